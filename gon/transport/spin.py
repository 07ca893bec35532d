"""When a receiver spins before it blocks, and how.

Waking a blocked thread on another core costs tens of microseconds, more than everything else in a
small round trip; a receiver that looks again and again for SPIN_US_MAX before it blocks does not
pay it. But where the peer is slow, or waits for this very core, spinning is loss. So a receiver
spins only while its recent spins were answered, and tries again the more seldom the more it has
lost: where both ends share a core, it soon blocks at once nearly always.

It does not yield the core between two looks: a yield goes to whoever the scheduler likes, which
between processes of different sessions is seldom the peer, and costs 2 µs a round trip there
(measured, as is that a yield is no faster than blocking where it does reach the peer).

Rules: the policy is pure; one policy belongs to one receiver and is not shared between threads.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from gon.limits import SHM_LOOKS, SPIN_SKIP_MAX, SPIN_US_MAX

_SPIN_S = SPIN_US_MAX / 1e6
_SKIP_BITS_MAX = SPIN_SKIP_MAX.bit_length() - 1


class SpinPolicy:
    """Decides for each wait whether to spin.

    Ask `wants` once a wait, then tell it what the spin gave.
    """

    __slots__ = ("_skip_bits", "hits", "skip")

    def __init__(self) -> None:
        # Spins that were answered.
        self.hits = 0
        # Waits still to go without a spin, and the power of two that the next loss makes it.
        self.skip = 0
        self._skip_bits = 0

    def wants(self) -> bool:
        """Return whether this wait should spin before it blocks."""
        if self.skip:
            self.skip -= 1
            return False
        return True

    def answered(self) -> None:
        """The spin was answered in time: go on, and forget half of what was lost."""
        self.hits += 1
        if self._skip_bits:
            self._skip_bits -= 1

    def missed(self) -> None:
        """The spin was in vain: skip 1 wait, after the next 2, then 4, … up to SPIN_SKIP_MAX."""
        self.skip = 1 << self._skip_bits
        self._skip_bits = min(self._skip_bits + 1, _SKIP_BITS_MAX)

    def __repr__(self) -> str:
        return f"SpinPolicy(skip={self.skip}, next={1 << self._skip_bits})"


def spin(
    policy: SpinPolicy, look: Callable[[], object], now_s: Callable[[], float] = perf_counter
) -> bool:
    """Look for up to SPIN_US_MAX, tell `policy` what came of it, return whether `look` said yes.

    A round trip asks the time several times here: so it is the machine's clock, not a Clock.
    """
    if look():
        # It was there before the spin began, as when the peer took this core to answer: that tells
        # nothing of spinning.
        return True
    end_s = now_s() + _SPIN_S
    while True:
        there = look()
        if now_s() > end_s:
            policy.missed()
            return bool(there)
        if there:
            policy.answered()
            return True


def spin_on_memory(
    policy: SpinPolicy,
    look: Callable[[], bool],
    ended: Callable[[], object],
    now_s: Callable[[], float] = perf_counter,
) -> bool:
    """Look for up to SPIN_US_MAX, tell `policy` what came of it, return whether `look` said yes.

    For looks that are a load and no system call. After so many of them `ended` is asked too, whose
    system call lets other threads of this process run; where it says yes there is no point in
    looking on.
    """
    end_s = now_s() + _SPIN_S
    while True:
        for _ in range(SHM_LOOKS):
            if look():
                policy.answered()
                return True
        if ended():
            return False
        if now_s() > end_s:
            policy.missed()
            return False
