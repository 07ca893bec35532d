"""What ops wait for.

A lane is what is known of how long an op waits: its stream, or that it is for an event, or for all
streams. Must not know: who holds what.
"""

from __future__ import annotations

from typing import Final

from gon.device import HostDevice, Pending
from gon.errors import GonError
from gon.model import Handle
from gon.together import Together
from gon.wire import ops, timing_ops
from gon.wire.ops import AnyOp
from gon_server.line import Held

# What waits for an event, and for all streams, is known under these.
EVENTS: Final = -1
ALL: Final = -2
_OF_STREAMS: Final = (ops.Sync, ops.Read, ops.Reach, ops.LoadUploaded)
_OF_EVENTS: Final = (ops.SyncEvent, ops.Elapsed, timing_ops.TimesQuestion)
_OF_ALL: Final = (ops.SyncAll, ops.Reconfigure)
# What stands for what was queued before it, and holds up nothing behind it.
STANDS: Final = (ops.Sync, ops.SyncEvent, ops.SyncAll)


def lane_of(op: AnyOp) -> int | None:
    """Return the lane of an op; None for what does not wait."""
    if isinstance(op, _OF_STREAMS):
        return op.stream
    if isinstance(op, _OF_EVENTS):
        return EVENTS
    return ALL if isinstance(op, _OF_ALL) else None


def lane_of_held(held: Held) -> int | None:
    """Return the lane of a held op: of a part of a wait for all streams its stream."""
    return held.stream if held.whole is not None else lane_of(held.op)


def pending_of(device: HostDevice, op: AnyOp) -> Pending | None:
    """Return what an op waits for; None if it is over, or the op is wrong."""
    try:
        if isinstance(op, ops.SyncEvent | timing_ops.TimesQuestion):
            pending = device.sync_event(Handle(op.event))
        elif isinstance(op, ops.Elapsed):
            pending = Together([device.sync_event(Handle(each)) for each in (op.start, op.end)])
        elif isinstance(op, _OF_ALL):
            pending = device.sync_all()
        else:
            assert isinstance(op, (*_OF_STREAMS, ops.Write, ops.WritePart)), "nothing else waits"
            pending = device.sync(Handle(op.stream))
        return None if pending.done() else pending
    except GonError:
        return None  # whoever runs it says what it is


def size_of(op: AnyOp) -> int:
    """Return what an op carries itself, if that may be much."""
    if isinstance(op, ops.Write):
        return len(op.data or b"")
    return len(op.program.code) if isinstance(op, ops.Load) else 0
