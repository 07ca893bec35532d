"""How many side links a session should have: the policy. Pure; seconds are arguments.

One TCP connection carries a window of bytes each round trip. Over a long way that may be less than
the way carries, and then several carry more; where the way itself is what is short, they only take
each other's share. No end of a connection can tell which it is (what is in between may end TCP, and
losses look like both), so it is tried: what large transfers carry is measured, side links are
opened, measured again, and kept only if they carry clearly more. Then twice as many are tried.

Rules: nothing is tried near by, nor where less is on its way than any window holds, nor while
transfers are short. After one in vain the next trial is ever later. Each direction is measured by
itself, and a trial is judged by the direction that began it.
"""

from __future__ import annotations

from enum import IntEnum

from gon.limits import KIB
from gon.side_limits import SIDES_MAX

# A shorter round trip is that of a way on which one connection's window holds what it carries.
ROUND_TRIP_S = 0.004
# Less than this on its way is no window's doing: TCP's smallest is 64 KiB, not always full.
WINDOW_BYTES = 48 * KIB
# Transfers are measured over so much of their time, in which windows have settled: the first such
# time after a pause, or after a change, says nothing.
MEASURE_S = 0.25
MEASURE_ROUND_TRIPS = 12
PAUSE_S = 1.0
# Side links are kept that carry so many times what fewer did. The first trial is of two.
GAIN = 1.2
FIRST = 2
# After a trial in vain nothing is tried for this long, then twice as long, up to the most.
AGAIN_FIRST_S = 30.0
AGAIN_LONGEST_S = 3600.0
# Side links that no large transfer has needed for this long are closed.
IDLE_S = 10.0


class Way(IntEnum):
    """The direction of a transfer."""

    UP = 0
    DOWN = 1


class _Meter:
    """What transfers of one direction carry."""

    __slots__ = ("_bytes", "_seconds", "last_s", "rate", "unsettled")

    def __init__(self) -> None:
        self.last_s = float("-inf")
        # Bytes a second when last measured with what has proved itself.
        self.rate = 0.0
        # Whether the next measurement says nothing.
        self.unsettled = True
        self._bytes = 0
        self._seconds = 0.0

    def moved(self, size_bytes: int, took_s: float, now_s: float, measure_s: float) -> float:
        """Count bytes; return bytes a second where that is known now, or else 0."""
        if now_s - took_s - self.last_s > PAUSE_S:
            self.begin_again()
        self.last_s = now_s
        self._bytes += size_bytes
        self._seconds += took_s
        if self._seconds < measure_s:
            return 0.0
        rate = 0.0 if self.unsettled else self._bytes / self._seconds
        self.unsettled = False
        self._bytes, self._seconds = 0, 0.0
        return rate

    def begin_again(self) -> None:
        self.unsettled = True
        self._bytes, self._seconds = 0, 0.0


class Width:
    """What one session has measured, and how many side links it makes of that: `wanted`."""

    def __init__(self, most: int = SIDES_MAX) -> None:
        self.wanted = 0
        self._most = most
        # How many there are, and how many have proved themselves, now and before all were closed.
        self._there = self._proved = self._before = 0
        self._meters = tuple(_Meter() for _ in Way)
        self._trial: _Meter | None = None
        self._again_s = float("-inf")
        self._pause_s = AGAIN_FIRST_S

    def __repr__(self) -> str:
        return f"Width({self._there} side links, {self._proved} proved, {self.wanted} wanted)"

    def moved(
        self, way: Way, size_bytes: int, took_s: float, now_s: float, round_trip_s: float
    ) -> None:
        """Hear that so much of a large transfer has moved in that time until now."""
        if round_trip_s < ROUND_TRIP_S:
            return
        meter = self._meters[way]
        measure_s = max(MEASURE_S, MEASURE_ROUND_TRIPS * round_trip_s)
        rate = meter.moved(size_bytes, took_s, now_s, measure_s)
        if not rate or self.wanted != self._there:
            return
        if self._trial is None:
            meter.rate = rate
            if now_s >= self._again_s and rate * round_trip_s >= WINDOW_BYTES:
                self._try_more(meter)
        elif self._trial is meter:
            self._judge(meter, rate, now_s)

    def _try_more(self, meter: _Meter) -> None:
        if self._there < self._most:
            self.wanted = min(self._most, max(FIRST, 2 * self._there, self._before))
            self._before = 0
            self._trial = meter

    def _judge(self, meter: _Meter, rate: float, now_s: float) -> None:
        """End a trial: keep what it was of, and try more, or go back."""
        self._trial = None
        if rate < GAIN * meter.rate:
            self._in_vain(now_s)
            return
        self._proved, meter.rate = self._there, rate
        self._pause_s = AGAIN_FIRST_S
        self._try_more(meter)

    def _in_vain(self, now_s: float) -> None:
        self.wanted = self._proved
        self._again_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, AGAIN_LONGEST_S)

    def there_are(self, count: int) -> None:
        """Hear how many there are now; fewer than wanted are all that can be had."""
        self._there = self.wanted = count
        if count <= self._proved:
            self._proved = count
            self._trial = None
        for meter in self._meters:
            meter.begin_again()

    def refused(self, now_s: float) -> None:
        """Hear that none of those wanted could be had."""
        self._trial = None
        self._in_vain(now_s)

    def lost(self, now_s: float) -> None:
        """Hear that the link is lost, and all side links with it: perhaps by one of them."""
        had = self._there or self.wanted
        self._there = self._proved = self.wanted = self._before = 0
        self._trial = None
        for meter in self._meters:
            meter.begin_again()
        if had:
            self._in_vain(now_s)

    def look(self, now_s: float) -> None:
        """End what nobody needs any more: all side links, or a trial whose transfers have ended."""
        if self.wanted != self._there:
            return
        if self._there and now_s - max(meter.last_s for meter in self._meters) > IDLE_S:
            self._before, self._proved, self.wanted = self._proved, 0, 0
            self._trial, self._again_s = None, float("-inf")
        elif self._trial is not None and now_s - self._trial.last_s > IDLE_S:
            self._trial, self.wanted = None, self._proved
