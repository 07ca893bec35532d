"""The policy of a pool of workers, with time as an argument."""

from __future__ import annotations

import itertools

import pytest

from gon.limits import REFILL_PAUSE_S, RESPAWN_FIRST_S, RESPAWN_LONGEST_S
from gon_server.pool import Census, Pool, pause_s

EMPTY = Census(starting=0, idle=0, serving=0, waiting=0)


def census(starting: int = 0, idle: int = 0, serving: int = 0, waiting: int = 0) -> Census:
    return Census(starting, idle, serving, waiting)


@pytest.mark.parametrize(
    ("there", "due"),
    [
        (EMPTY, 2),
        (census(idle=1), 1),
        (census(starting=1, idle=1), 0),
        (census(idle=2, serving=5), 0),
        (census(waiting=3), 5),
        (census(waiting=3, starting=2), 3),
        (census(waiting=9), 8),
        (census(serving=7), 1),
        (census(serving=8), 0),
    ],
)
def test_as_many_are_started_as_wait_and_as_are_kept_warm(there: Census, due: int) -> None:
    assert Pool(warm=2, slices=8).due(0.0, there) == due


def test_a_reserve_of_none_starts_workers_for_those_who_wait() -> None:
    pool = Pool(warm=0, slices=8)
    assert pool.due(0.0, EMPTY) == 0
    assert pool.due(0.0, census(waiting=1)) == 1


def test_after_one_is_taken_only_those_who_wait_are_served_for_a_while() -> None:
    pool = Pool(warm=2, slices=8)
    pool.taken(10.0)
    there = census(idle=1, serving=1)
    assert pool.due(10.0, there) == 0
    assert pool.wake_s(10.0, there) == 10.0 + REFILL_PAUSE_S
    assert pool.due(10.0, census(serving=2, waiting=1)) == 1
    assert pool.due(10.0 + REFILL_PAUSE_S, there) == 1
    assert pool.wake_s(10.0 + REFILL_PAUSE_S, there) is None


def test_nothing_wakes_a_full_pool() -> None:
    pool = Pool(warm=2, slices=8)
    pool.taken(10.0)
    assert pool.wake_s(10.0, census(idle=2)) is None


def test_a_failure_delays_the_next_try_and_then_one_tries() -> None:
    pool = Pool(warm=4, slices=8)
    pool.failed("broken", 5.0)
    assert pool.error == "broken"
    assert pool.retry_in_s(5.0) == pytest.approx(RESPAWN_FIRST_S)
    assert pool.due(5.0, EMPTY) == 0
    at = pool.wake_s(5.0, EMPTY)
    assert at is not None
    assert at == 5.0 + RESPAWN_FIRST_S
    assert pool.due(at, EMPTY) == 1
    assert pool.due(at, census(starting=1)) == 0
    pool.started()
    assert (pool.error, pool.due(at, census(idle=1))) == ("", 3)


def test_pauses_grow_to_a_longest() -> None:
    pauses = [pause_s(failures) for failures in range(1, 200)]
    assert pauses[0] == RESPAWN_FIRST_S
    assert pauses[-1] == RESPAWN_LONGEST_S
    assert all(a <= b for a, b in itertools.pairwise(pauses))
