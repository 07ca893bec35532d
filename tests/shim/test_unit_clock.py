"""The clock that maps the unit's times to the program's, by itself: no driver, no unit."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gon_shim.opencl.unit_clock import UnitClock

DELAYS = st.lists(st.tuples(*[st.integers(1, 10**6)] * 3), min_size=1, max_size=50)


@given(st.integers(-(10**15), 10**15), DELAYS)
def test_a_command_never_begins_before_it_is_sent_nor_ends_after_it_is_told(
    apart: int, delays: list[tuple[int, int, int]]
) -> None:
    clock, now = UnitClock(), 10**15
    for there, runs, back in delays:
        sent, queued = now, now + there + apart
        ended, now = queued + runs, now + there + runs + back
        clock.learn(sent, queued, ended, now)
        assert sent <= clock.here(queued) <= clock.here(ended) <= now
    quickest = min(there for there, _, _ in delays) + min(back for _, _, back in delays)
    # Bounds give way a little as time goes by.
    given_way = 2 * 500 * (now - 10**15) // 10**6 + 1
    assert abs(clock.here(apart)) * 2 <= quickest + given_way


def test_clocks_that_drift_or_are_set_are_followed() -> None:
    clock, chance, now, apart = UnitClock(), random.Random(7), 0.0, 10**9 + 0.0
    assert clock.here(5) == 0
    for number in range(20_000):
        there, back = (5000 + chance.expovariate(1 / 3000) for _ in range(2))
        sent, now = now, now + there + back
        drifted = apart + sent * 100e-6
        clock.learn(int(sent), int(sent + there + drifted), int(sent + there + drifted), int(now))
        if number > 100:
            assert abs(clock.here(int(now + drifted)) - now) < 5000
        now += 100_000
        if number == 10_000:
            apart = -(10**12) + 0.0


def test_moments_that_contradict_each_other_teach_nothing() -> None:
    clock = UnitClock()
    clock.learn(1000, 5000, 5100, 1200)
    known = clock.here(5000)
    clock.learn(sent=9000, queued=12_000, told=13_000, heard=9100)
    assert clock.here(5000) == known
