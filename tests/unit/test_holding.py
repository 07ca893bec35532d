"""Waits that are held: when, what goes on meanwhile, and what has to come after them."""

from __future__ import annotations

import pytest

from gon.errors import DeviceError, RemoteProtocolError
from gon.limits import INLINE_BYTES_MAX
from gon.wire import ops
from gon.wire.batch import Batch, Reply, encode
from gon.wire.ops import AnyOp
from gon.wire.timing_ops import AskTimes
from gon.wire.waiter_ops import NoteWaiters
from gon_server.executor import Executor
from gon_server.limits import HELD_MAX, LOOK_MAX_S, LOOK_MIN_S, SHORT_WAITS, WAITERS_S
from tests.gated_device import FREE, GATED, GatedDevice

QUOTA = 1 << 20
# Buffers, and an event.
X, Y, EVENT = 3, 4, 5


class Lease:
    """An executor on such a device, with two streams and two buffers."""

    def __init__(self) -> None:
        self.device = GatedDevice()
        self.executor = Executor(self.device, QUOTA, clock=self.device.clock)
        self.holding = self.executor.holding
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
        for _ in range(50):  # each look lets the simulator run one op
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
    assert lease.late() == [Reply(2), Reply(3)]


@pytest.mark.parametrize("behind", [ops.Fill(GATED, X, 0, 16, b"\7"), ops.Free(X)])
def test_what_changes_the_bytes_of_a_held_read_is_held_behind_it(
    lease: Lease, behind: AnyOp
) -> None:
    lease.run(ops.Fill(FREE, X, 0, 16, b"\5"), ops.Sync(FREE, 1))
    lease.be_slow()
    assert lease.run(ops.Read(GATED, X, 0, 2, 2), behind) == []
    assert lease.run(ops.Fill(FREE, Y, 0, 16, b"\6"), ops.Read(FREE, Y, 0, 2, 3)) == [
        Reply(3, b"\6\6")
    ]
    assert lease.device.waits == 0
    lease.device.gate.set()
    assert lease.late() == [Reply(2, b"\5\5")]
    (last,) = [*lease.run(ops.Read(GATED, X, 0, 2, 4)), *lease.late()]
    assert last.data == b"\7\7" if isinstance(behind, ops.Fill) else last.failure is not None


def test_events_order_what_comes_behind_held_ops(lease: Lease) -> None:
    """And nothing else does: not the buffer."""
    lease.run(ops.CreateEvent(EVENT))
    lease.be_slow()
    read = ops.Read(GATED, X, 0, 2, 2)
    fill, record = ops.Fill(GATED, X, 0, 16, b"\7"), ops.Record(GATED, EVENT)
    assert lease.run(read, fill, record, ops.Read(FREE, X, 0, 2, 3)) == [Reply(3, bytes(2))]
    assert lease.run(ops.WaitEvent(FREE, EVENT), ops.Read(FREE, X, 0, 2, 4)) == []
    lease.device.gate.set()
    assert lease.late() == [Reply(2, bytes(2)), Reply(4, b"\7\7")]


def test_a_wait_for_all_streams_holds_up_none(lease: Lease) -> None:
    assert lease.run(NoteWaiters(2), ops.SyncAll(1)) == [Reply(1)]
    lease.be_slow()
    assert lease.run(ops.SyncAll(2), ops.Fill(FREE, X, 0, 16, b"\7"), ops.Sync(FREE, 3)) == [
        Reply(3)
    ]
    lease.device.gate.set()
    assert lease.late() == [Reply(2)]


def test_a_wait_for_all_streams_tells_of_what_came_before_it(lease: Lease) -> None:
    lease.run(NoteWaiters(2), ops.SyncAll(1))
    lease.be_slow()
    bad, read = ops.Fill(GATED, 77, 0, 16, b"\7"), ops.Read(GATED, X, 0, 2, 2)
    assert lease.run(read, bad, ops.SyncAll(3)) == []
    assert lease.run(ops.Fill(FREE, 78, 0, 16, b"\7")) == []
    lease.device.gate.set()
    read_late, late = lease.late()
    assert read_late == Reply(2, bytes(2))
    assert late.failure is not None
    assert (late.reply, late.failure.number) == (3, 10)
    (behind,) = lease.run(ops.SyncAll(4))
    assert behind.failure is not None
    assert behind.failure.number == 12


def test_what_failed_several_streams_is_told_once_by_a_wait_for_all(lease: Lease) -> None:
    """And all of them are usable again."""
    lease.run(NoteWaiters(2), ops.SyncAll(1))
    lease.be_slow()
    bad = ops.Fill(FREE, 77, 0, 16, b"\7")  # it fails its own stream and the default one
    assert lease.run(ops.Read(GATED, X, 0, 2, 2), bad, ops.SyncAll(3)) == []
    lease.device.gate.set()
    _, late = lease.late()
    assert late.failure is not None
    assert lease.run(ops.Sync(FREE, 4)) == [Reply(4)]


def test_a_wait_for_all_that_tells_of_one_stream_makes_others_usable(lease: Lease) -> None:
    """Also those whose failures others have told, and whose turn has come before."""
    lease.run(NoteWaiters(2), ops.SyncAll(1))
    lease.be_slow()
    lease.run(ops.Read(GATED, X, 0, 2, 2), ops.Fill(FREE, 77, 0, 16, b"\7"))
    (told,) = lease.run(ops.Sync(0, 3))  # it has failed the default stream as well
    assert told.failure is not None
    assert lease.run(ops.Copy(GATED, X, 12, X, 13, 2), ops.SyncAll(4)) == []
    lease.device.gate.set()
    assert [each.reply for each in lease.late() if each.failure] == [4]
    assert [each.failure for each in lease.run(ops.Sync(FREE, 5))] == [None]


def test_a_wait_for_all_streams_waits_for_those_that_are_made_before_it(lease: Lease) -> None:
    """Also where that comes behind something; a stream that is never made is not waited for."""
    lease.run(NoteWaiters(2), ops.SyncAll(1))
    lease.be_slow()
    made = 7
    lease.run(ops.Reconfigure("other", True, 2), ops.CreateStream(made))
    lease.run(ops.Fill(made, X, 0, 16, b"\7"), ops.Fill(99, X, 0, 16, b"\7"), ops.SyncAll(3))
    (barrier,) = lease.holding.held
    lease.device.gate.set()
    lease.holding._finish(barrier)
    assert {each.stream for each in lease.holding.held} == {0, GATED, FREE, made}
    _, late = lease.late()
    assert late.failure is not None
    assert (late.reply, late.failure.op) == (3, "Fill")


def test_so_many_waits_for_all_streams_are_held_and_no_more(lease: Lease) -> None:
    lease.be_slow()
    lease.run(ops.Read(GATED, X, 0, 2, 2))
    assert lease.run(*(ops.SyncAll(10 + each) for each in range(HELD_MAX))) == []
    assert len(lease.holding.held) <= HELD_MAX + 3
    lease.device.gate.set()
    assert len(lease.late()) == HELD_MAX + 1


def test_a_question_for_the_time_between_records_is_held(lease: Lease) -> None:
    lease.run(NoteWaiters(2), ops.CreateEvent(EVENT), ops.Record(GATED, EVENT))
    assert lease.run(ops.SyncEvent(EVENT, 1)) == [Reply(1)]
    lease.device.gate.clear()
    lease.device.waits = 0
    assert lease.run(ops.Elapsed(EVENT, EVENT, 2), ops.WaitEvent(FREE, EVENT)) == []
    # What makes it another point comes behind.
    assert lease.run(ops.Record(FREE, EVENT), ops.CloseEvent(EVENT)) == []
    assert lease.device.waits == 0
    lease.device.gate.set()
    (late,) = lease.late()
    assert (late.reply, late.failure) == (2, None)


def test_a_stream_that_is_closed_is_waited_for(lease: Lease) -> None:
    """What it had is finished for whatever comes behind it, on whatever stream."""
    lease.be_slow()
    lease.device.takes_s = 0.0
    lease.run(ops.Read(GATED, X, 0, 2, 2))
    lease.device.gate.set()
    assert lease.run(ops.CloseStream(GATED)) == []
    assert [each.reply for each in lease.late()] == [2]
    assert not lease.holding.slow


def test_bytes_of_an_upload_are_kept_until_its_stream_has_come_to_it(lease: Lease) -> None:
    lease.be_slow()
    upload = ops.Write(GATED, X, 0, 16, None)
    assert lease.holding.takes(upload)
    lease.holding.take(upload, 7, b"\7" * 16)
    part = ops.WritePart(GATED, Y, 0, 8, 0, 16)
    assert lease.holding.takes(part)
    lease.holding.take(part, 8, b"\6" * 8)
    assert not lease.holding.takes(ops.Write(FREE, Y, 0, 16, None))
    lease.device.gate.set()
    lease.late()
    assert lease.run(ops.Read(GATED, X, 0, 2, 2), ops.Read(GATED, Y, 7, 2, 3)) == [
        Reply(2, b"\7\7"),
        Reply(3, b"\6\0"),
    ]


def test_so_many_bytes_are_kept_and_no_more(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_server.holding.HELD_BYTES_MAX", 20)
    lease.be_slow()
    upload = ops.Write(GATED, X, 0, 16, None)
    assert lease.holding.takes(upload)
    lease.holding.take(upload, 7, b"\7" * 16)
    lease.device.gate.set()
    assert not lease.holding.takes(upload)  # it was waited for
    assert not lease.holding.held


def test_so_many_stand_in_line_and_no_more(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_server.holding.LINE_MAX", 2)
    lease.be_slow()
    fill = ops.Fill(GATED, X, 0, 16, b"\7")
    assert lease.run(ops.Read(GATED, X, 0, 2, 2), fill) == []
    assert len(lease.holding.line) == 2
    lease.device.gate.set()
    assert lease.run(fill) == []
    assert not len(lease.holding.line)
    assert lease.late() == [Reply(2, bytes(2))]


def test_memory_that_is_to_be_freed_is_waited_for_where_there_is_no_other(lease: Lease) -> None:
    lease.run(ops.Allocate(7, QUOTA - 100))
    lease.be_slow()
    assert lease.run(ops.Read(GATED, X, 0, 2, 2), ops.Read(GATED, 7, 0, 2, 3), ops.Free(7)) == []
    # One that there is room for, one that there is not, and one behind that.
    lease.run(ops.Allocate(8, 10), ops.Allocate(9, QUOTA // 2), ops.Allocate(10, 10))
    assert lease.run(ops.Read(FREE, 8, 0, 2, 4)) == [Reply(4, bytes(2))]
    assert lease.run(ops.Read(FREE, 10, 0, 2, 5)) == []
    lease.device.gate.set()
    assert [each.failure for each in lease.late()] == [None] * 3
    assert lease.run(ops.SyncAll(6)) == [Reply(6)]


def test_memory_goes_to_who_asks_first_where_its_handle_is_not_free_yet(lease: Lease) -> None:
    lease.run(ops.Allocate(7, 100))
    lease.be_slow()
    lease.run(ops.Read(GATED, X, 0, 2, 2), ops.Read(GATED, 7, 0, 2, 3), ops.Free(7))
    lease.run(ops.Allocate(7, QUOTA - 100), ops.Allocate(8, 100))
    lease.device.gate.set()
    lease.late()
    assert lease.run(ops.Read(FREE, 7, 0, 2, 4)) == [Reply(4, bytes(2))]
    assert [each.failure is None for each in lease.run(ops.Read(FREE, 8, 0, 2, 5))] == [False]


def test_a_large_read_beyond_what_is_answered_at_once_fails_and_holds_up_none(
    lease: Lease,
) -> None:
    def begin_large(op: ops.Read, number: int) -> None:
        raise RemoteProtocolError(f"more than {op.size_bytes} large reads at {number}")

    size = 2 * INLINE_BYTES_MAX
    lease.run(ops.Allocate(7, size))
    lease.holding.begin_large = begin_large
    lease.be_slow()
    assert lease.run(ops.Read(GATED, 7, 0, size, 2), ops.Fill(GATED, X, 0, 16, b"\7")) == []
    lease.device.gate.set()
    (late,) = lease.late()
    assert late.failure is not None
    assert not len(lease.holding.line)
    (behind,) = [*lease.run(ops.Read(GATED, X, 0, 2, 3)), *lease.late()]
    assert behind == Reply(3, b"\7\7")


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


def test_a_read_by_the_client_itself_is_held_too(lease: Lease) -> None:
    lease.be_slow()
    assert lease.run(ops.Reach(GATED, X, 0, 2, False, 2), ops.Fill(FREE, Y, 0, 16, b"\6")) == []
    lease.device.gate.set()
    assert lease.late() == [Reply(2, encode(ops.ELSEWHERE))]


def test_only_what_makes_its_event_another_comes_behind_a_question_for_times(
    lease: Lease,
) -> None:
    lease.run(NoteWaiters(2), ops.CreateEvent(EVENT), ops.Record(GATED, EVENT))
    lease.device.takes_s = 0.0
    lease.device.gate.clear()
    lease.holding.slow.add(-1)
    assert lease.run(AskTimes(EVENT, 2), ops.WaitEvent(FREE, EVENT)) == []
    assert lease.device.waits == 0
    assert lease.run(ops.Record(FREE, EVENT)) == []
    assert len(lease.holding.line) == 2
    lease.device.gate.set()
    assert [each.reply for each in lease.late()] == [2]
    assert not len(lease.holding.line)
