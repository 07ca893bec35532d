"""How many side links a session should have: what is tried, what is kept, when it ends."""

from __future__ import annotations

from collections.abc import Callable

from gon.limits import MIB
from gon.side_limits import SIDES_MAX
from gon_client.width import AGAIN_FIRST_S, FIRST, IDLE_S, ROUND_TRIP_S, WINDOW_BYTES, Way, Width

ROUND_TRIP = 0.03
RATE = 10_000_000.0

# Bytes a second that so many side links carry; 0 is the link alone.
Carries = Callable[[int], float]


def by_the_window(count: int) -> float:
    return RATE * max(1, count)


def by_the_way(_count: int) -> float:
    return RATE


class Path:
    """Transfers over a path, and side links that come and go as soon as they are wanted."""

    def __init__(self, carries: Carries, round_trip_s: float = ROUND_TRIP) -> None:
        self.width = Width()
        self.carries = carries
        self.round_trip_s = round_trip_s
        self.count = 0
        self.now_s = 100.0
        # How many there were, one after the other.
        self.told: list[int] = []

    def transfer(self, duration_s: float, way: Way = Way.UP) -> None:
        end_s = self.now_s + duration_s
        while self.now_s < end_s:
            took_s = MIB / self.carries(self.count)
            self.now_s += took_s
            self.width.moved(way, MIB, took_s, self.now_s, self.round_trip_s)
            self.obey()

    def pause(self, duration_s: float) -> None:
        self.now_s += duration_s
        self.width.look(self.now_s)
        self.obey()

    def obey(self) -> None:
        if self.width.wanted != self.count:
            self.count = self.width.wanted
            self.told.append(self.count)
            self.width.there_are(self.count)


def test_where_windows_are_what_is_short_there_are_as_many_as_may_be() -> None:
    path = Path(by_the_window)
    path.transfer(60)
    assert path.told == [FIRST, 2 * FIRST, SIDES_MAX]


def test_where_the_way_is_what_is_short_one_trial_ends_without() -> None:
    path = Path(by_the_way)
    path.transfer(AGAIN_FIRST_S / 2)
    assert path.told == [FIRST, 0]


def test_trials_in_vain_are_ever_rarer() -> None:
    path = Path(by_the_way)
    path.transfer(20 * AGAIN_FIRST_S)
    assert path.told == [FIRST, 0] * (len(path.told) // 2)
    assert 3 <= len(path.told) // 2 <= 6


def test_what_has_proved_itself_stays_when_more_do_not() -> None:
    path = Path(lambda count: RATE * min(4, max(1, count)))
    path.transfer(AGAIN_FIRST_S)
    assert path.told == [2, 4, 8, 4]


def test_downloads_are_judged_by_themselves() -> None:
    path = Path(by_the_window)
    path.transfer(60, Way.DOWN)
    assert path.told == [FIRST, 2 * FIRST, SIDES_MAX]


def test_nothing_is_tried_near_by_nor_on_a_slow_way_nor_for_short_transfers() -> None:
    for path in (
        Path(by_the_window, 0.9 * ROUND_TRIP_S),
        Path(lambda _count: 0.9 * WINDOW_BYTES / ROUND_TRIP),
    ):
        path.transfer(60)
        assert path.told == []
    path = Path(by_the_window)
    for _ in range(20):
        path.transfer(0.2)
        path.pause(2)
    assert path.told == []


def test_nobody_needs_them_any_more_and_then_again() -> None:
    path = Path(by_the_window)
    path.transfer(60)
    path.pause(IDLE_S / 2)
    assert path.count == SIDES_MAX
    path.pause(IDLE_S)
    assert path.count == 0
    path.told.clear()
    path.transfer(60)
    assert path.told == [SIDES_MAX]


def test_a_trial_whose_transfers_end_is_broken_off() -> None:
    path = Path(by_the_window)
    while not path.count:
        path.transfer(0.1)
    path.pause(2 * IDLE_S)
    assert path.count == 0


def test_a_refusal_is_not_asked_again_soon() -> None:
    path = Path(by_the_window)
    while not path.width.wanted:
        path.now_s += 0.1
        path.width.moved(Way.UP, MIB, 0.1, path.now_s, ROUND_TRIP)
    path.width.refused(path.now_s)
    assert path.width.wanted == 0
    path.transfer(0.9 * AGAIN_FIRST_S)
    assert path.told == []
    path.transfer(AGAIN_FIRST_S)
    assert path.told


def test_a_lost_link_takes_them_along_and_is_not_blamed_without() -> None:
    path = Path(by_the_window)
    path.width.lost(path.now_s)
    path.transfer(60)
    path.told.clear()
    path.width.lost(path.now_s)
    path.obey()
    assert path.count == 0
    path.transfer(0.9 * AGAIN_FIRST_S)
    assert path.told == [0]


def test_fewer_than_wanted_are_all_that_can_be_had() -> None:
    path = Path(by_the_window)
    while not path.width.wanted:
        path.now_s += 0.1
        path.width.moved(Way.UP, MIB, 0.1, path.now_s, ROUND_TRIP)
    path.width.there_are(1)
    assert path.width.wanted == 1
