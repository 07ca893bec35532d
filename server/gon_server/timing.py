"""What ops ask of a lease's device's events: the times of single commands, whether they are over.

Must not know: links, sessions, frames.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.errors import Unsupported
from gon.model import Handle
from gon.timing import Timed, Timing
from gon.wire.timing_ops import EventQuestion, NoteCommand, TellTimes
from gon.wire.waiter_ops import AskDone


def _timing(device: HostDevice) -> Timing:
    """Return what tells a device's times. Raises Unsupported."""
    timing = device.timing if isinstance(device, Timed) else None
    if timing is None:
        raise Unsupported("this unit does not tell when single commands run")
    return timing


def note_command(device: HostDevice, op: NoteCommand) -> None:
    """Let an event be a stream's last command. Raises what the device raises."""
    _timing(device).note(Handle(op.stream), Handle(op.event))


def told_of_event(device: HostDevice, op: EventQuestion) -> bool | tuple[int, ...]:
    """Return whether what an event stands for is over; or its times, once it is, as many as the
    question asks for. Raises what the device raises.
    """
    return _is_over(device, op) if isinstance(op, AskDone) else _times(device, op)


def _is_over(device: HostDevice, op: AskDone) -> bool:
    pending = device.sync_event(Handle(op.event))
    is_over = pending.done()
    if is_over:
        pending.wait()
    return is_over


def _times(device: HostDevice, op: EventQuestion) -> tuple[int, ...]:
    pending = _timing(device).times(Handle(op.event))
    pending.wait()
    times = tuple(pending.times)
    return times if isinstance(op, TellTimes) else times[:-1]
