"""Launches a range of threads on a lease's device, as an op asks.

Must not know: links, sessions, frames.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.errors import Unsupported
from gon.model import Handle
from gon.ranges import Ranged
from gon.wire import ops


def launch_range(device: HostDevice, op: ops.LaunchRange) -> None:
    """Launch it. Raises Unsupported where the device has no such launches, and what it raises."""
    if not isinstance(device, Ranged):
        raise Unsupported("this unit launches whole blocks of threads from 0 on")
    stream, kernel = Handle(op.stream), Handle(op.kernel)
    device.launch_range(stream, kernel, op.offset, op.total, op.block, op.args)
