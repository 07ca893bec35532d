"""Times of single commands of a lease's device, as ops ask for them.

Must not know: links, sessions, frames.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.errors import Unsupported
from gon.model import Handle
from gon.timing import Timed, Timing
from gon.wire.timing_ops import NoteCommand, TellTimes, TimesQuestion


def _timing(device: HostDevice) -> Timing:
    """Return what tells a device's times. Raises Unsupported."""
    timing = device.timing if isinstance(device, Timed) else None
    if timing is None:
        raise Unsupported("this unit does not tell when single commands run")
    return timing


def note_command(device: HostDevice, op: NoteCommand) -> None:
    """Let an event be a stream's last command. Raises what the device raises."""
    _timing(device).note(Handle(op.stream), Handle(op.event))


def command_times(device: HostDevice, op: TimesQuestion) -> tuple[int, ...]:
    """Return the times of a noted command, once it has ended: as many as the question asks for.
    Raises what the device raises.
    """
    pending = _timing(device).times(Handle(op.event))
    pending.wait()
    times = tuple(pending.times)
    return times if isinstance(op, TellTimes) else times[:-1]
