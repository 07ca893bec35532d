"""When gathered ops are sent: bursts, waits, what is left to the pump; and what that comes to."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import pytest

from gon.limits import BATCH_OPS_TARGET
from gon_client.batcher import AGE_MAX_S, AGE_MIN_S, IDLE_OPS_TARGET, Batcher


def test_a_burst_goes_in_ever_larger_frames() -> None:
    batcher = Batcher()
    targets: list[int] = []
    for _ in range(60):
        targets.append(batcher.ops_target)
        batcher.sent(batcher.ops_target, 1)
    assert targets[0] == targets[1] == IDLE_OPS_TARGET
    assert targets == sorted(targets)
    assert targets[-1] == BATCH_OPS_TARGET
    batcher.waited(1)
    assert batcher.ops_target == IDLE_OPS_TARGET


def test_a_worker_that_is_behind_is_sent_the_largest() -> None:
    batcher = Batcher()
    batcher.sent(8, 20)
    assert batcher.ops_target == BATCH_OPS_TARGET
    batcher.flying(0)
    assert batcher.ops_target == IDLE_OPS_TARGET


def test_what_is_left_to_the_pump_goes_sooner_until_it_is_waited_for() -> None:
    batcher = Batcher()
    assert batcher.settled
    for _ in range(10):
        batcher.aged()
    assert (batcher.ops_target, batcher.age_s, batcher.settled) == (1, AGE_MIN_S, False)
    batcher.waited(1)
    assert batcher.ops_target == 1, "its ops had gone long before it came"
    batcher.sent(1, 1)
    assert batcher.ops_target > 1, "what follows at once is gathered all the same"
    for _ in range(10):
        batcher.sent(1, 0)
        batcher.waited(1)
    assert (batcher.ops_target, batcher.age_s, batcher.settled) == (8, AGE_MAX_S, True)
    batcher.aged()
    for _ in range(3):
        batcher.waited(2)
    assert batcher.ops_target == IDLE_OPS_TARGET


def burst(batcher: Batcher, ops: int, queued_s: float, waited_s: float, now_s: float) -> list[int]:
    """Queue and wait for a burst that begins at `now_s`; return how many ops each frame had."""
    frames: list[int] = []
    gathered = 0
    for _ in range(ops):
        gathered += 1
        if gathered >= batcher.ops_target:
            batcher.sent(gathered, 1)
            frames.append(gathered)
            gathered = 0
    batcher.begins(now_s + queued_s)
    batcher.waited(gathered + 1)
    batcher.ends(now_s + queued_s + waited_s)
    return [*frames, gathered + 1]


def test_a_burst_that_is_waited_for_long_goes_in_one_frame() -> None:
    batcher = Batcher()
    batcher.ends(1.0)
    assert burst(batcher, 30, 60e-6, 0.006, 1.0) == [8, 8, 8, 7], "nothing is known yet"
    assert burst(batcher, 30, 60e-6, 0.006, 1.00606) == [31]
    assert burst(batcher, 30, 60e-6, 0.0006, 1.01212) == [31], "it is still ten times as long"
    # Whose few ops say nothing changes nothing.
    assert burst(batcher, 1, 0.001, 1e-6, 1.01278) == [2]
    assert burst(batcher, 300, 600e-6, 0.0006, 1.01379) == [BATCH_OPS_TARGET, 45]
    assert burst(batcher, 30, 60e-6, 0.006, 1.01499)[0] == IDLE_OPS_TARGET, "that wait was short"


def test_a_burst_goes_at_once_again_where_it_is_left_to_the_pump() -> None:
    batcher = Batcher()
    batcher.ends(1.0)
    burst(batcher, 30, 60e-6, 0.006, 1.0)
    assert batcher.ops_target == BATCH_OPS_TARGET
    batcher.aged()
    assert batcher.ops_target == 1


def test_how_long_a_first_burst_took_to_queue_is_not_known() -> None:
    batcher = Batcher()
    burst(batcher, 30, 60e-6, 0.006, 1.0)
    assert batcher.ops_target == IDLE_OPS_TARGET


class Host(NamedTuple):
    """A worker as the simulation has it: how far away, how long an op takes it."""

    round_trip_us: float
    op_us: float


@pytest.mark.parametrize("host", [Host(10, 0.5), Host(10, 2), Host(50, 5), Host(1000, 1)])
@pytest.mark.parametrize("ops", [30, 300, 3000, 30_000])
def test_a_burst_takes_little_longer_than_it_must(host: Host, ops: int) -> None:
    """Ops come each 2 µs, a frame costs 6 more; the worker acknowledges what it has done."""
    batcher = Batcher()
    now = free = 0.0
    gathered = frames = 0
    acks: deque[float] = deque()
    for number in range(ops):
        now += 2
        gathered += 1
        if gathered < batcher.ops_target and number < ops - 1:
            continue
        now += 6
        free = max(free, now + host.round_trip_us / 2) + gathered * host.op_us
        acks.append(free + host.round_trip_us / 2)
        while acks and acks[0] <= now:
            acks.popleft()
        batcher.sent(gathered, len(acks))
        gathered, frames = 0, frames + 1
    least = max(ops * 2, 2 + ops * host.op_us) + host.round_trip_us / 2
    assert free <= 1.25 * least + 50
    assert frames <= 40 + ops / BATCH_OPS_TARGET
