"""Waits that are held: when, what goes on meanwhile, and what has to come after them."""

from __future__ import annotations

import pytest

from gon.errors import DeviceError
from gon.wire import ops
from gon.wire.batch import Batch, Reply, encode
from gon.wire.ops import AnyOp
from gon.wire.timing_ops import AskTimes
from gon.wire.waiter_ops import NoteWaiters
from gon_server.executor import Executor
from gon_server.holding import Holding
from gon_server.limits import HELD_MAX, LOOK_MAX_S, LOOK_MIN_S, SHORT_WAITS, WAITERS_S
from tests.gated_device import FREE, GATED, GatedDevice

QUOTA = 1 << 20
# Buffers, and an event.
X, Y, EVENT = 3, 4, 5


class Lease:
    """An executor on such a device, with two streams and two buffers."""

    def __init__(self) -> None:
        self.device = GatedDevice()
        self.executor = Executor(self.device, QUOTA)
        self.holding = Holding(
            self.device,
            self.executor.run_op,
            self.executor.fail,
            self.executor.poison,
            self.device.clock,
        )
        self.executor.holding = self.holding
        self._number = 1
        streams = (ops.CreateStream(GATED), ops.CreateStream(FREE))
        self.run(*streams, ops.Allocate(X, 16), ops.Allocate(Y, 16))

    def run(self, *some: AnyOp) -> list[Reply]:
        batch = Batch(self._number, list(some))
        self._number += len(some)
        return self.executor.run(batch)

    def be_slow(self) -> None:
        """Let the stream's last wait be a long one, and close the gate."""
        assert self.run(NoteWaiters(2), ops.Sync(GATED, 1)) == [Reply(1)]
        self.device.gate.clear()
        self.device.waits = 0

    def late(self) -> list[Reply]:
        """Return what is answered late by now."""
        self.holding.look()
        return self.holding.take_late()


@pytest.fixture
def lease() -> Lease:
    return Lease()


def test_other_streams_go_on_while_a_long_wait_is_held(lease: Lease) -> None:
    lease.be_slow()
    assert lease.run(ops.Sync(GATED, 2)) == []
    assert lease.run(ops.Fill(FREE, X, 0, 16, b"\7"), ops.Read(FREE, X, 0, 2, 3)) == [
        Reply(3, b"\7\7")
    ]
    assert lease.late() == []
    assert lease.device.waits == 0
    lease.device.gate.set()
    assert lease.late() == [Reply(2)]
    assert lease.late() == []


def test_nothing_is_held_before_several_threads_wait_nor_long_after(lease: Lease) -> None:
    for told in ((), (NoteWaiters(1),)):
        assert lease.run(*told, ops.Sync(GATED, 1), ops.Sync(GATED, 2)) == [Reply(1), Reply(2)]
    assert lease.run(NoteWaiters(2)) == []
    lease.device.clock.time_s += WAITERS_S
    assert lease.run(ops.Sync(GATED, 3)) == [Reply(3)]


def test_nothing_is_held_after_short_waits(lease: Lease) -> None:
    lease.be_slow()
    lease.device.gate.set()
    lease.device.takes_s = 0.0
    lease.device.clock.time_s += WAITERS_S  # nobody has told for a while: waits block
    for _ in range(SHORT_WAITS):
        lease.run(ops.Fill(GATED, X, 0, 16, b"\1"), ops.Sync(GATED, 2))
    lease.run(NoteWaiters(2))
    assert lease.run(ops.Sync(GATED, 3)) == [Reply(3)]


def test_a_sync_does_not_wait_for_what_comes_behind_it(lease: Lease) -> None:
    lease.be_slow()
    assert lease.run(ops.Sync(GATED, 2), ops.Fill(GATED, X, 0, 16, b"\7")) == []
    assert lease.device.waits == 0
    assert lease.run(ops.Sync(GATED, 3)) == []
    lease.device.gate.set()
    assert [*lease.late(), *lease.late()] == [Reply(2), Reply(3)]  # each look runs one op


@pytest.mark.parametrize("behind", [ops.Fill(GATED, X, 0, 16, b"\7"), ops.Free(X)])
def test_a_read_is_run_before_what_changes_its_bytes(lease: Lease, behind: AnyOp) -> None:
    lease.run(ops.Fill(FREE, X, 0, 16, b"\5"), ops.Sync(FREE, 1))
    lease.be_slow()
    assert lease.run(ops.Read(GATED, X, 0, 2, 2)) == []
    assert lease.run(ops.Fill(FREE, Y, 0, 16, b"\6"), ops.Free(Y)) == []
    assert lease.device.waits == 0
    lease.device.gate.set()
    assert lease.run(behind) == []
    assert lease.late() == [Reply(2, b"\5\5")]


def test_a_wait_that_fails_says_so_and_where(lease: Lease) -> None:
    lease.be_slow()
    lease.run(ops.Sync(GATED, 2))
    lease.device.fault = DeviceError("it burns")
    lease.device.gate.set()
    (late,) = lease.late()
    assert late.failure is not None
    assert (late.reply, late.failure.op, late.failure.number) == (2, "Sync", 7)


def test_nothing_is_held_while_something_is_poisoned(lease: Lease) -> None:
    lease.be_slow()
    lease.device.gate.set()
    lease.run(ops.Fill(FREE, 77, 0, 16, b"\7"))
    (answer,) = lease.run(ops.Sync(GATED, 2))
    assert answer.reply == 2
    assert not lease.holding.held


def test_so_many_are_held_at_once(lease: Lease) -> None:
    lease.be_slow()
    assert lease.run(*(ops.Sync(GATED, 10 + each) for each in range(HELD_MAX))) == []
    lease.device.gate.set()
    assert lease.run(ops.Sync(GATED, 9)) == [Reply(9)]
    assert len(lease.late()) == HELD_MAX


def test_it_is_looked_at_again_after_a_part_of_the_time(lease: Lease) -> None:
    lease.be_slow()
    lease.run(ops.Sync(GATED, 2))
    assert lease.holding.look_again_s() == LOOK_MIN_S
    lease.device.clock.time_s += 0.016
    assert LOOK_MIN_S < lease.holding.look_again_s() < LOOK_MAX_S
    lease.device.clock.time_s += 60.0
    assert lease.holding.look_again_s() == LOOK_MAX_S


def test_a_closed_stream_is_forgotten(lease: Lease) -> None:
    lease.be_slow()
    lease.device.gate.set()
    lease.run(ops.CloseStream(GATED))
    assert not lease.holding.slow


def test_a_read_by_the_client_itself_is_held_too(lease: Lease) -> None:
    lease.be_slow()
    assert lease.run(ops.Reach(GATED, X, 0, 2, False, 2), ops.Fill(FREE, Y, 0, 16, b"\6")) == []
    lease.device.gate.set()
    assert lease.late() == [Reply(2, encode(ops.ELSEWHERE))]


def test_only_what_makes_its_event_another_has_a_question_for_times_run_first(
    lease: Lease,
) -> None:
    lease.run(NoteWaiters(2), ops.CreateEvent(EVENT), ops.Record(GATED, EVENT))
    lease.device.takes_s = 0.0
    lease.device.gate.clear()
    lease.holding.slow.add(-1)
    assert lease.run(AskTimes(EVENT, 2), ops.WaitEvent(FREE, EVENT)) == []
    assert lease.device.waits == 0
    lease.device.gate.set()
    lease.run(ops.Record(FREE, EVENT))
    assert lease.device.waits == 1
    assert [each.reply for each in lease.late()] == [2]
