"""Held waits for all streams that tell of failures: each is told once, by the first wait for it."""

from __future__ import annotations

import pytest

from gon.wire import ops
from gon.wire.batch import Reply
from gon.wire.waiter_ops import NoteWaiters
from tests.gated_device import FREE, GATED
from tests.unit.test_holding import Lease, X, Y

BAD = ops.Fill(GATED, 77, 0, 16, b"\7")


@pytest.fixture
def lease() -> Lease:
    lease = Lease()
    lease.run(NoteWaiters(2), ops.SyncAll(1))
    lease.be_slow()
    return lease


def failed(replies: list[Reply]) -> list[tuple[int, int]]:
    """Return which answers tell of which op."""
    return [(each.reply, each.failure.number) for each in replies if each.failure is not None]


def test_of_two_failures_the_first_is_told_and_none_again(lease: Lease) -> None:
    lease.run(ops.Read(GATED, X, 0, 2, 2), BAD, ops.Copy(GATED, X, 12, X, 13, 2))
    assert lease.run(ops.SyncAll(3)) == []
    lease.device.gate.set()
    assert failed(lease.late()) == [(3, 10)]
    assert failed(lease.run(ops.SyncAll(4), ops.Sync(GATED, 5), ops.Sync(0, 6))) == []


def test_a_failure_of_no_stream_is_told_by_the_wait_before_others(lease: Lease) -> None:
    """It is met while streams behind the wait go on already."""
    lease.run(ops.Read(GATED, Y, 0, 2, 2), ops.Allocate(Y, 16))  # it is there already
    assert lease.run(ops.SyncAll(3), ops.Read(FREE, Y, 0, 2, 4)) == []
    lease.device.gate.set()
    late = lease.late()
    assert failed(late) == [(3, 10), (4, 10)]
    assert [each.reply for each in late] == [2, 3, 4]
    assert lease.run(ops.SyncAll(5)) == [Reply(5)]


def test_what_comes_behind_finds_streams_as_the_wait_leaves_them(lease: Lease) -> None:
    lease.run(ops.Read(GATED, X, 0, 2, 2), BAD, ops.SyncAll(3))
    behind = ops.Fill(GATED, X, 0, 16, b"\5")
    assert lease.run(behind, ops.Read(GATED, X, 0, 2, 4)) == []
    lease.device.gate.set()
    late = lease.late()
    assert failed(late) == [(3, 10)]
    assert late[-1] == Reply(4, b"\5\5")


def test_a_wait_tells_of_nothing_that_is_behind_it(lease: Lease) -> None:
    """An op that was skipped meanwhile is told by the wait behind it."""
    lease.run(ops.CreateEvent(5), ops.Fill(FREE, 77, 0, 16, b"\7"), ops.Record(FREE, 5))
    failures = lease.executor._failures
    touched = lease.executor._footprint(ops.SyncEvent(5, 1))
    failure = failures.poison[touched.reads[0]]
    failures.skip(touched, failure, 20)
    failures.told(touched, failure, 15)
    assert failures.tell_all(18) is None
    assert failures.tell_all(25) == failure
    assert failures.tell_all(25) is None
