"""What this process's clock says when the unit's says something.

A command is queued on the unit after it was sent, and heard of after the unit has told of it, which
an older one says nothing of but that it has ended by then; so each tells how much the clocks differ
at least and at most. What the quickest way there and the quickest way back
leave open is halved: the error is half of how much these two differ, and half of what both take at
most. Clocks drift, so what was learned is the less sure the older it is.

Rules: pure; all in ns.
"""

from __future__ import annotations

from gon_shim.opencl.limits import CLOCK_DRIFT_PPM


class UnitClock:
    """The difference between two clocks, between its bounds."""

    __slots__ = ("_least", "_most", "_seen")

    def __init__(self) -> None:
        self._least: int | None = None
        self._most = self._seen = 0

    def __repr__(self) -> str:
        known = "unknown" if self._least is None else f"{self._least} to {self._most} ns"
        return f"UnitClock({known})"

    def learn(self, sent: int, queued: int, told: int, heard: int) -> None:
        """Hear that a command was queued and told of at these times of the unit's, or later, sent
        before and heard of after these of ours.
        """
        least, most = sent - queued, heard - told
        if least > most:  # one of these moments was not what it is said to be
            return
        if self._least is not None:
            unsure = max(0, heard - self._seen) * CLOCK_DRIFT_PPM // 1_000_000
            known_least, known_most = self._least - unsure, self._most + unsure
            # Where they exclude each other a clock was set, and what was known is over.
            if least <= known_most and known_least <= most:
                least, most = max(least, known_least), min(most, known_most)
        self._least, self._most, self._seen = least, most, max(heard, self._seen)

    def here(self, there: int) -> int:
        """Return our time for one of the unit's; 0 as long as nothing is known."""
        return 0 if self._least is None else there + (self._least + self._most) // 2
