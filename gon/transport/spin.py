"""When a receiver spins before it blocks, and how.

Waking a blocked thread on another core costs tens of microseconds, more than everything else in a
small round trip; a receiver that looks again and again for SPIN_US_MAX before it blocks does not
pay it. But where the peer is slow, or waits for this very core, spinning is loss. So a receiver
spins only while its recent spins were answered, and tries again the more seldom the more it has
lost: where both ends share a core, it soon blocks at once nearly always.

Two ends that both block keep each other so: each is woken too late for the other's spin. And what a
kernel answers, or a host behind a switch, comes a little later than that. So a receiver that hears
from waits that did not begin by a spin, or were answered in one, that PATIENT_SPIN_US_MAX would
have been long enough, spins as long as that, until one such spin is in vain.

It does not yield the core between two looks: a yield goes to whoever the scheduler likes, which
between processes of different sessions is seldom the peer, and costs 2 µs a round trip there
(measured, as is that a yield is no faster than blocking where it does reach the peer).

Rules: the policy is pure; one policy belongs to one receiver and is not shared between threads.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from gon.limits import SHM_LOOKS
from gon.spin_limits import (
    PATIENT_SPIN_US_MAX,
    PATIENT_WAITS,
    SPIN_SKIP_FACTOR,
    SPIN_SKIP_MAX,
    SPIN_US_MAX,
)

# A round trip asks the time several times here: so it is the machine's clock, not a Clock.
now_s = perf_counter

_SPIN_S = SPIN_US_MAX / 1e6
_PATIENT_S = PATIENT_SPIN_US_MAX / 1e6


class SpinPolicy:
    """Decides for each wait whether to spin.

    Ask `wants` once a wait, then tell it what the spin gave.
    """

    __slots__ = ("_next_skip", "_patience", "hits", "skip")

    def __init__(self) -> None:
        # Spins that were answered.
        self.hits = 0
        # Waits still to go without a spin, and what the next loss makes them.
        self.skip = 0
        self._next_skip = 1
        # Waits still to go of which a spin may last for PATIENT_SPIN_US_MAX.
        self._patience = 0

    def wants(self) -> bool:
        """Return whether this wait should spin before it blocks."""
        if self.skip:
            self.skip -= 1
            return False
        return True

    @property
    def bound_s(self) -> float:
        """How long a spin may last."""
        return _PATIENT_S if self._patience else _SPIN_S

    def answered(self, took_s: float) -> None:
        """The spin was answered in time: go on, and forget the last loss."""
        self.hits += 1
        if self._next_skip > 1:
            self._next_skip //= SPIN_SKIP_FACTOR
        self.took(took_s)

    def missed(self) -> None:
        """The spin was in vain: skip 1 wait, after the next 8, then 64, … up to SPIN_SKIP_MAX."""
        self._patience = 0
        self.skip = self._next_skip
        self._next_skip = min(self._next_skip * SPIN_SKIP_FACTOR, SPIN_SKIP_MAX)

    def took(self, took_s: float) -> None:
        """Hear how long a wait took that no spin in vain was part of: that one tells nothing of the
        peer, which may have waited for this core.
        """
        if _SPIN_S < took_s <= _PATIENT_S:
            self._patience = PATIENT_WAITS
        elif self._patience:
            self._patience -= 1

    def __repr__(self) -> str:
        return f"SpinPolicy(skip={self.skip}, next={self._next_skip}, patience={self._patience})"


def spin(
    policy: SpinPolicy, look: Callable[[], object], now_s: Callable[[], float] = now_s
) -> bool:
    """Look as long as `policy` says, tell it what came of that, return whether `look` said yes."""
    if look():
        # It was there before the spin began, as when the peer took this core to answer: that tells
        # nothing of spinning.
        return True
    begun_s, bound_s = now_s(), policy.bound_s
    while True:
        there = look()
        took_s = now_s() - begun_s
        if took_s > bound_s:
            policy.missed()
            return bool(there)
        if there:
            policy.answered(took_s)
            return True


def spin_on_memory(
    policy: SpinPolicy,
    look: Callable[[], bool],
    ended: Callable[[], object],
    now_s: Callable[[], float] = now_s,
) -> bool:
    """Look as long as `policy` says, tell it what came of that, return whether `look` said yes.

    For looks that are a load and no system call. After so many of them `ended` is asked too, whose
    system call lets other threads of this process run; where it says yes there is no point in
    looking on.
    """
    begun_s, bound_s = now_s(), policy.bound_s
    while True:
        for _ in range(SHM_LOOKS):
            if look():
                policy.answered(now_s() - begun_s)
                return True
        if ended():
            return False
        if now_s() - begun_s > bound_s:
            policy.missed()
            return False
