"""What a device may give besides: whether events have happened, without waiting (`Looked`).

A device of this process tells so by the `Pending` of a sync; a remote one would have to wait for
that sync's answer.

Must not know: wires, sockets, leases.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gon.model import Handle


class Look(Protocol):
    """A look at the last record that an event had when it was made."""

    def is_over(self) -> bool:
        """Return whether that has happened, as of a moment ago; waits for no work. Raises its
        error.
        """
        ...


class Looking(Protocol):
    """Looks at a device's events."""

    def look(self, event: Handle) -> Look:
        """Return a look at an event. Asks nothing yet."""
        ...

    def catch_up(self) -> bool:
        """Let answers be here that have arrived: a `Pending` may be done with that. Return whether
        something may be asked now, or queued, without waiting for anything.
        """
        ...


@runtime_checkable
class Looked(Protocol):
    """A device whose events are looked at so."""

    @property
    def looking(self) -> Looking: ...
