"""What `Reach` does: a client of the host itself is told where a buffer lies in the memory it maps.

The answer is a place only while nothing is poisoned: what is then skipped, and what is usable
again, is decided where reads and writes are run, which the client sends instead. So a failure looks
the same either way.

Rules: nothing of what the memory holds is believed. Must not know: links, who maps the memory.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.model import Handle
from gon.placement import Placed
from gon.wire import ops
from gon.wire.batch import Reply, encode


def poisoned_elsewhere(waited: Reply | None) -> Reply | None:
    """Return the answer to a wait that went well, so that the client asks before it touches memory:
    while something else is poisoned.
    """
    return None if waited is None else Reply(waited.reply, encode(True))


def unreached(op: ops.Reach) -> Reply:
    """Return the answer that the client is to send a read or write this time."""
    return Reply(op.reply, encode(ops.NOT_NOW))


def name_of(op: ops.AnyOp) -> str:
    """Return what failures of an op are told as: those of a `Reach`, and of a part of a write, are
    what it stands for.
    """
    if isinstance(op, ops.Reach):
        return "Write" if op.write else "Read"
    if isinstance(op, ops.WritePart):
        return "Write"
    return type(op).__name__


def reached(device: HostDevice, op: ops.Reach, *, clean: bool) -> Reply:
    """Run a `Reach`; `clean` says that nothing has failed. Raises what the device raises."""
    if not clean:
        return unreached(op)
    place = device.place_of(Handle(op.buffer)) if isinstance(device, Placed) else None
    if place is None:
        return Reply(op.reply, encode(ops.ELSEWHERE))
    stream = Handle(op.stream)
    device.host_window(stream, Handle(op.buffer), op.offset, op.size_bytes, write=op.write)
    device.close_window(stream)
    return Reply(op.reply, encode(place))
