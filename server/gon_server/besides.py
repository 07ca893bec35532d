"""Runs what a lease's device may give besides, as ops ask: launches of ranges, work on images,
notes of commands.

Must not know: links, sessions, frames.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.errors import Unsupported
from gon.model import Handle
from gon.ranges import Ranged
from gon.wire import ops
from gon.wire.image_ops import ImageWork
from gon.wire.timing_ops import NoteCommand
from gon_server.imaging import work_on_images
from gon_server.timing import note_command


def run_besides(device: HostDevice, op: ops.LaunchRange | ImageWork | NoteCommand) -> None:
    """Do it. Raises Unsupported where the device has no such thing, and what it raises."""
    if isinstance(op, ImageWork):
        work_on_images(device, op)
        return
    if isinstance(op, NoteCommand):
        note_command(device, op)
        return
    if not isinstance(device, Ranged):
        raise Unsupported("this unit launches whole blocks of threads from 0 on")
    stream, kernel = Handle(op.stream), Handle(op.kernel)
    device.launch_range(stream, kernel, op.offset, op.total, op.block, op.args)
