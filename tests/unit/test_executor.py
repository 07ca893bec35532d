"""The executor on the simulator: quota, poison, and who hears of a failure."""

from __future__ import annotations

import itertools
import struct
from typing import NoReturn

import pytest

from gon.errors import Code, RemoteProtocolError
from gon.limits import INLINE_BYTES_MAX
from gon.model import Program
from gon.wire import ops, timing_ops
from gon.wire.batch import Batch, Failure, Reply
from gon.wire.ops import AnyOp
from gon_server.devices import null
from gon_server.devices.sim import open_device
from gon_server.executor import Executor
from gon_server.footprint import Noun, footprint

QUOTA = 1 << 20
N = 16
SIZE = 4 * N


class Session:
    """An executor and the count of ops it was given."""

    def __init__(self) -> None:
        self.device = open_device("3")
        self.executor = Executor(self.device, QUOTA)
        self.number = 1

    def answers(self, *some: AnyOp) -> list[Reply]:
        batch = Batch(self.number, list(some))
        self.number += len(some)
        return self.executor.run(batch)

    def reply(self, *some: AnyOp) -> Reply:
        """Run ops of which the last is answered, and return its answer."""
        return self.answers(*some)[-1]

    def failure(self, *some: AnyOp) -> Failure:
        failure = self.reply(*some).failure
        assert failure is not None
        return failure


@pytest.fixture
def session() -> Session:
    """Buffers 1 and 2 of N floats, a stream 3, module 4 with kernel 5: y += a * x."""
    session = Session()
    loaded = session.reply(ops.Load(4, Program(b"saxpy\n", "python-sim"), 1))
    assert loaded.failure is None
    answers = session.answers(
        ops.Allocate(1, SIZE),
        ops.Allocate(2, SIZE),
        ops.CreateStream(3),
        ops.GetKernel(5, 4, "saxpy"),
        ops.SyncAll(2),
    )
    assert answers[-1].failure is None
    return session


def launch(stream: int = 3, *, x: int = 1, y: int = 2, block: int = N, n: int = N) -> ops.Launch:
    return ops.Launch(
        stream, 5, (1, 1, 1), (block, 1, 1), 0, (struct.pack("<f", 2), x, y, struct.pack("<i", n))
    )


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def write(value: float, buffer: int = 1, stream: int = 3) -> ops.Write:
    return ops.Write(stream, buffer, 0, SIZE, floats(*[value] * N))


def test_work_is_done_and_answered(session: Session) -> None:
    reply = session.reply(write(1), launch(), launch(), ops.Read(3, 2, 0, SIZE, 9))
    assert reply == Reply(9, floats(*[4] * N))


def test_a_failed_launch_is_reported_by_the_next_wait_with_its_number(session: Session) -> None:
    number = session.number
    failure = session.failure(launch(block=1 << 20), ops.Sync(3, 9))
    assert (failure.code, failure.op, failure.number) == (Code.LAUNCH_TOO_LARGE, "Launch", number)
    assert session.reply(ops.Sync(3, 10)).failure is None, "the wait has cleared the stream"


def test_what_follows_a_failure_is_skipped_not_run(session: Session) -> None:
    session.answers(write(1), launch())
    first = session.number
    failure = session.failure(
        launch(block=1 << 20),
        write(7),
        launch(),
        ops.Copy(3, 1, 0, 2, 0, SIZE),
        ops.Sync(3, 9),
    )
    assert failure.number == first, "the first failure is the one that is told"
    assert session.reply(ops.Read(0, 1, 0, SIZE, 10)).failure is not None, "its write was skipped"
    healed = session.reply(write(5, 1, 0), ops.Read(0, 1, 0, SIZE, 11))
    assert healed.data == floats(*[5] * N)


def test_a_poisoned_buffer_stays_so_until_all_of_it_is_overwritten(session: Session) -> None:
    session.failure(launch(block=1 << 20), ops.Sync(3, 9))
    half = ops.Write(3, 2, 0, SIZE // 2, bytes(SIZE // 2))
    assert session.failure(half, ops.Sync(3, 10)).code == Code.LAUNCH_TOO_LARGE
    assert session.reply(write(3, 2), ops.Read(3, 2, 0, SIZE, 11)).data == floats(*[3] * N)
    fill = ops.Fill(3, 2, 0, SIZE, b"\0")
    session.failure(launch(block=1 << 20), ops.Sync(3, 12))
    assert session.reply(fill, ops.Read(3, 2, 0, SIZE, 13)).data == bytes(SIZE)


def test_only_what_it_should_have_written_is_poisoned(session: Session) -> None:
    session.answers(write(1))
    session.failure(launch(block=1 << 20), ops.Sync(3, 9))
    assert session.reply(ops.Read(3, 1, 0, SIZE, 10)).data == floats(*[1] * N), "x is const"


def test_other_streams_go_on(session: Session) -> None:
    session.answers(launch(block=1 << 20))
    done = session.reply(write(6, 1, 0), ops.Read(0, 1, 0, SIZE, 9))
    assert done.data == floats(*[6] * N)
    assert session.failure(ops.Sync(3, 10)).code == Code.LAUNCH_TOO_LARGE


def test_poison_travels_through_events_and_buffers(session: Session) -> None:
    failure = session.failure(
        ops.CreateEvent(6),
        launch(block=1 << 20),
        ops.Record(3, 6),
        ops.WaitEvent(0, 6),
        ops.Sync(0, 9),
    )
    assert failure.op == "Launch"
    assert session.failure(ops.SyncEvent(6, 10)).op == "Launch"
    through_buffer = session.failure(ops.Copy(0, 2, 0, 1, 0, SIZE), ops.Read(0, 1, 0, SIZE, 11))
    assert through_buffer.op == "Launch"


def test_events_order_streams_though_what_records_and_awaits_them_is_skipped(
    session: Session,
) -> None:
    """What is left of a failed stream's work is over before what comes behind its event."""
    session.answers(ops.CreateEvent(6))
    for _ in range(20):  # the simulator would run either stream first
        session.answers(write(1), write(0, 2), launch(), write(3))
        session.answers(launch(x=2, y=2, block=1 << 20), ops.Record(3, 6), ops.WaitEvent(0, 6))
        assert session.failure(ops.Sync(0, 9)).op == "Launch"
        assert session.reply(ops.Read(0, 1, 0, SIZE, 10)).data == floats(*[3] * N)
        session.failure(ops.Sync(3, 11))


def test_an_event_that_is_another_point_is_no_longer_spoilt(session: Session) -> None:
    spoilt = (ops.CreateEvent(6), launch(block=1 << 20), ops.Record(3, 6), ops.Sync(3, 9))
    assert session.failure(*spoilt).code == Code.LAUNCH_TOO_LARGE
    assert session.failure(ops.SyncEvent(6, 10)).code == Code.LAUNCH_TOO_LARGE
    session.failure(launch(block=1 << 20), ops.Record(3, 6), ops.Sync(3, 11))
    good = session.reply(write(1, 2), ops.Record(3, 6), ops.SyncEvent(6, 12))
    assert good.failure is None
    noted = footprint(timing_ops.NoteCommand(3, 6), {}, lambda _launch: ())
    assert noted.cleans == ((Noun.EVENT, 6),)


def test_a_sync_of_all_streams_tells_what_nobody_has_waited_for(session: Session) -> None:
    failure = session.failure(ops.Allocate(77, QUOTA + 1), ops.SyncAll(9))
    assert (failure.code, failure.op) == (Code.OUT_OF_MEMORY, "Allocate")
    assert session.reply(ops.SyncAll(10)).failure is None


def test_what_nobody_is_told_of_is_bounded(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure that was told may be passed on again."""
    monkeypatch.setattr("gon_server.failures.POISONED_MAX", 4)
    bad, copy = ops.Fill(0, 8, SIZE, 16, b"\1"), ops.Copy(3, 8, 0, 2, 0, 4)
    for _ in range(8):
        told = session.failure(ops.Allocate(8, SIZE), bad, ops.Sync(0, 9))
        assert session.failure(copy, ops.Sync(3, 10)) == told
        session.answers(copy, ops.Free(8), ops.Fill(3, 2, 0, SIZE, b"\0"), ops.CloseStream(3))
        session.answers(ops.Free(2), ops.Allocate(2, SIZE), ops.CreateStream(3))
    assert len(session.executor._failures._unreported) <= 4
    assert session.failure(ops.SyncAll(11)).op == "Fill"


def test_a_wait_for_all_streams_clears_those_of_a_failure_that_was_told(session: Session) -> None:
    bad, copy = ops.Fill(0, 1, SIZE, 16, b"\1"), ops.Copy(3, 1, 0, 2, 0, 4)
    told = session.failure(bad, copy, ops.Sync(0, 9))
    assert session.reply(ops.SyncAll(10)).failure is None, "it was told"
    fine = ops.Fill(3, 8, 0, 16, b"\1")
    assert session.reply(ops.Allocate(8, SIZE), fine, ops.Sync(3, 11)).failure is None
    # But what was not written is not.
    assert session.failure(ops.Read(3, 2, 0, 4, 12)) == told


def test_a_failure_that_no_wait_has_told_slows_nothing_down(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stream is closed before anyone waits for it; nothing is poisoned any more."""
    session.answers(ops.WaitEvent(3, 77), ops.CloseStream(3))

    def looked_at(_kernel: int, _args: object) -> NoReturn:
        pytest.fail("an op is looked at though nothing is poisoned")

    monkeypatch.setattr(session.device, "written_by", looked_at)
    assert session.reply(launch(0), ops.Sync(0, 9)).failure is None
    assert session.failure(ops.SyncAll(10)).op == "WaitEvent", "it is told all the same"
    assert session.reply(ops.SyncAll(11)).failure is None


def test_what_was_never_made_can_be_used_and_freed_without_harm(session: Session) -> None:
    failure = session.failure(
        ops.Allocate(77, QUOTA + 1), write(1, 77), ops.Free(77), ops.Sync(3, 9)
    )
    assert failure.code == Code.OUT_OF_MEMORY
    session.reply(ops.SyncAll(10))
    assert session.reply(ops.SyncAll(11)).failure is None


def test_the_quota_counts_what_is_allocated_and_freed(session: Session) -> None:
    left = QUOTA - 2 * SIZE
    assert session.reply(ops.Allocate(8, left), ops.SyncAll(9)).failure is None
    assert session.failure(ops.Allocate(9, 1), ops.SyncAll(10)).code == Code.OUT_OF_MEMORY
    assert session.reply(ops.Free(8), ops.Allocate(10, left), ops.SyncAll(11)).failure is None


def test_unknown_handles_fail_and_leave_nothing_behind(session: Session) -> None:
    for stranger in range(1000, 1100):
        failure = session.failure(
            ops.Write(stranger, stranger, 0, 4, b"abcd"), ops.Sync(0, stranger)
        )
        assert failure.code == Code.BAD_HANDLE
    assert repr(session.executor).endswith("0 handles poisoned)")
    assert session.failure(ops.Sync(4242, 9)).code == Code.BAD_HANDLE


def test_a_write_of_another_size_than_it_names_is_refused(session: Session) -> None:
    failure = session.failure(ops.Write(3, 1, 0, 8, b"abcd"), ops.Sync(3, 9))
    assert failure.code == Code.INVALID_ARGUMENT


def test_a_large_read_is_answered_by_the_devices_memory(session: Session) -> None:
    size = INLINE_BYTES_MAX + 4
    answer = session.answers(
        ops.Allocate(8, size), ops.Fill(3, 8, 0, size, b"\7"), ops.Read(3, 8, 0, size, 9)
    )[-1]
    assert answer == Reply(9, None, size)
    read = ops.Read(3, 8, 0, size, 9)
    for at, count in ((0, 4), (4, size - 4)):
        assert bytes(session.executor.begin_read(read, at, count)) == b"\7" * count
        session.executor.end_window()


def test_a_large_read_must_be_the_last_op(session: Session) -> None:
    size = INLINE_BYTES_MAX + 4
    with pytest.raises(RemoteProtocolError, match="not the last"):
        session.answers(ops.Allocate(8, size), ops.Read(3, 8, 0, size, 9), ops.Free(8))


def test_an_upload_goes_into_the_devices_memory(session: Session) -> None:
    view = session.executor.begin_write(ops.Write(3, 1, 0, SIZE, None), session.number)
    assert view is not None
    view[:] = floats(*[9] * N)
    session.executor.end_window()
    assert session.reply(ops.Read(3, 1, 0, SIZE, 9)).data == floats(*[9] * N)


def test_an_upload_that_fails_is_told_by_the_next_wait(session: Session) -> None:
    assert session.executor.begin_write(ops.Write(3, 1, 8, SIZE, None), session.number) is None
    assert session.failure(ops.Sync(3, 9)).op == "Write"


def test_compile_errors_answer_at_once_with_the_log(session: Session) -> None:
    failure = session.failure(ops.Load(20, Program(b"no such kernel", "python-sim"), 9))
    assert failure.code == Code.COMPILE
    assert session.reply(ops.SyncAll(10)).failure is None, "an answered op poisons nothing"


def test_elapsed_needs_recorded_events(session: Session) -> None:
    failure = session.failure(ops.CreateEvent(6), ops.CreateEvent(7), ops.Elapsed(6, 7, 9))
    assert failure.code == Code.INVALID_ARGUMENT


def test_an_upload_that_is_skipped_is_told_by_a_wait_for_all_streams(session: Session) -> None:
    """Its buffer's failure was told before; that the upload did not happen was not."""
    session.failure(ops.Fill(3, 1, 0, 5, b"ab"), ops.Sync(3, 9))
    part = ops.Write(0, 1, 0, SIZE // 2, None)
    assert session.executor.begin_write(part, session.number) is None
    session.number += 1
    assert session.failure(ops.SyncAll(10)).op == "Fill"


def test_variables_of_a_module_count_until_all_that_uses_them_is_gone() -> None:
    executor = Executor(null.open_device(""), 4096)
    numbers = itertools.count(1)

    def fails(*some: AnyOp) -> Failure | None:
        answers = executor.run(Batch(next(numbers), [*some, ops.SyncAll(1)]))
        return answers[-1].failure

    def load(module: int, size: int) -> Failure | None:
        program = Program(f"kernel\nvariable table {size}".encode(), "null")
        return executor.run(Batch(next(numbers), [ops.Load(module, program, 1)]))[0].failure

    assert load(1, 3000) is None
    failure = load(2, 3000)
    assert failure is not None
    assert failure.code == Code.OUT_OF_MEMORY
    assert fails(ops.GetGlobal(5, 1, "table"), ops.GetKernel(6, 1, "kernel"), ops.Unload(1)) is None
    assert load(2, 3000) is not None, "its kernel and its variable are still there"
    assert fails(ops.Free(5)) is None
    assert load(2, 3000) is not None, "its kernel is still there"
    assert fails(ops.CloseKernel(6)) is None
    assert load(2, 3000) is None
    missing = fails(ops.GetGlobal(7, 2, "no such"))
    assert missing is not None
    assert missing.code == Code.INVALID_ARGUMENT
    assert fails(ops.Unload(2)) is None
    assert load(3, 4096) is None
