"""What a device may give besides: when single commands ran, by its own clock (`Timed`).

A command is what the device's own queue knows as one: a launch, a copy, a fill. What its host does
by itself, as writes where nothing is queued, is none.

Must not know: wires, sockets, leases.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gon.device import Pending
from gon.model import CommandTimes, Handle


class PendingTimes(Pending, Protocol):
    """Times that may not be there yet; until they are waited for nobody need have asked for them.

    They are to be asked for, or waited for, before their event is another command.
    """

    def ask(self) -> None:
        """Let them come."""
        ...

    @property
    def is_asked(self) -> bool:
        """Whether they were asked for."""
        ...

    @property
    def is_latest(self) -> bool:
        """Whether nothing was queued on the device, as far as is known, since they were asked for,
        or, if they were not, since their command was noted. Once they are there everything is over
        on its stream then.
        """
        ...

    @property
    def times(self) -> CommandTimes:
        """The times, once waited for."""
        ...

    @property
    def between_ns(self) -> tuple[int, int]:
        """By this process's monotonic clock, a moment before the command was queued on the device,
        and one by which it was told that it has ended; 0 where that is not known.
        """
        ...


class Timing(Protocol):
    """The times of a device's commands. Calls raise, early or late, as those of `Device` do."""

    def note(self, stream: Handle, event: Handle) -> PendingTimes:
        """Let the event be the command that was queued last on the stream, and happen when that has
        ended, without queueing anything; where nothing is on its way, a command that does nothing
        is queued and noted. An earlier note or record is forgotten. Returns its times.

        A stream may measure only from the first note or record in it on: of a command before that,
        the times are those of a mark behind it.
        """
        ...

    def times(self, event: Handle) -> PendingTimes:
        """Return the times of the command that was noted, or recorded, last.

        Raises InvalidArgument for an event that never was.
        """
        ...


@runtime_checkable
class Timed(Protocol):
    """A device that may tell times."""

    @property
    def timing(self) -> Timing | None:
        """What tells them; None where the device does not."""
        ...
