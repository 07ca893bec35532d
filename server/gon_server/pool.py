"""The policy of one unit's pool of workers: how many to start, and when.

Rules: pure. Enough are started for everyone who waits, and then for the warm reserve; a pause after
each worker taken leaves the cores to its client; a worker that fails to start delays the next one,
each time longer, so that a broken device is never a hot loop.
Must not know: processes, sockets, clocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from gon.limits import REFILL_PAUSE_S, RESPAWN_FIRST_S, RESPAWN_LONGEST_S


@dataclass(frozen=True, slots=True)
class Census:
    """How many of a unit's workers are where, and how many wait for one: clients, and those who
    hire a builder (which takes no slice).
    """

    starting: int
    idle: int
    serving: int
    waiting: int
    hiring: int = 0


def pause_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    exponent = min(failures - 1, 32)
    return min(RESPAWN_FIRST_S * 2.0**exponent, RESPAWN_LONGEST_S)


class Pool:
    """Decides for one unit. `warm` is its reserve, `slices` bounds what could ever serve."""

    def __init__(self, *, warm: int, slices: int) -> None:
        self._warm = warm
        self._slices = slices
        self._failures = 0
        self._error = ""
        self._not_before_s = float("-inf")
        self._refill_s = float("-inf")

    def __repr__(self) -> str:
        return f"Pool(warm {self._warm}, failures {self._failures})"

    @property
    def error(self) -> str:
        """Why the last worker failed to start; "" once one has started since."""
        return self._error

    def due(self, now_s: float, census: Census) -> int:
        """Return how many workers to start now."""
        if now_s < self._not_before_s:
            return 0
        missing = self._missing(census, reserve=self._warm if now_s >= self._refill_s else 0)
        # After a failure one worker tries the device; the others wait for how it fares.
        return min(missing, max(0, 1 - census.starting)) if self._failures else missing

    def wake_s(self, now_s: float, census: Census) -> float | None:
        """Return when `due` may give more, if nothing else happens until then."""
        if not self._missing(census, reserve=self._warm):
            return None
        return next((at for at in (self._not_before_s, self._refill_s) if at > now_s), None)

    def retry_in_s(self, now_s: float) -> float:
        """Return how long nothing will be started because of failures."""
        return max(0.0, self._not_before_s - now_s)

    def taken(self, now_s: float) -> None:
        """Note that a worker was given to a client."""
        self._refill_s = now_s + REFILL_PAUSE_S

    def started(self) -> None:
        """Note that a worker is warm."""
        self._failures = 0
        self._error = ""
        self._not_before_s = float("-inf")

    def failed(self, error: str, now_s: float) -> None:
        """Note that a worker did not get warm."""
        self._failures += 1
        self._error = error
        self._not_before_s = now_s + pause_s(self._failures)

    def _missing(self, census: Census, reserve: int) -> int:
        there = census.starting + census.idle
        room = self._slices - census.serving - there + census.hiring
        return max(0, min(census.waiting + census.hiring + reserve - there, room))
