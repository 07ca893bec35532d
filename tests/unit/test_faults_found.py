"""Faults that reviews and simulations found, one test each, so that none comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

import gon
from gon.errors import (
    GonError,
    LeaseLost,
    RemoteProtocolError,
    WaitTimeout,
)
from gon.limits import INLINE_BYTES_MAX, KIB
from gon.model import DEFAULT_STREAM, Handle, Program
from gon.wire import ops
from gon.wire.batch import Batch, Reply
from gon.wire.ops import AnyOp
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_client.pump import QUIET_TICKS
from gon_client.remote import RemoteDevice
from gon_client.turn import Turn
from gon_server.devices.sim import SimDevice
from gon_server.executor import Executor
from tests.inproc_worker import InprocWorker, open_session, remote
from tests.sim.programs import Step, WaitFor
from tests.sim.test_conversation_sim import Simulation
from tests.unit.scripted_worker import Desk, desk

# What hangs, hangs for ever: long enough to be sure, short enough to be run often.
HANGS_S = 1.0
LARGE = INLINE_BYTES_MAX + 1


# gon_server.executor --------------------
class _Executed:
    """An executor and the answers it gave, by cookie."""

    def __init__(self) -> None:
        self.executor = Executor(SimDevice(), 1 << 20)
        self.number = 1

    def run(self, *some: AnyOp) -> dict[int, Reply]:
        replies = self.executor.run(Batch(self.number, list(some)))
        self.number += len(some)
        return {reply.reply: reply for reply in replies}


_BAD = ops.Fill(3, 1, 0, 5, b"ab")


def _with_a_poisoned_buffer() -> _Executed:
    """Return buffers 1 and 2 and streams 3 and 4; buffer 1 is poisoned, and its failure told."""
    executed = _Executed()
    made = executed.run(
        ops.Allocate(1, 64), ops.Allocate(2, 64), ops.CreateStream(3), ops.CreateStream(4),
        _BAD, ops.Sync(3, 1),
    )  # fmt: skip
    assert made[1].failure is not None
    return executed


def test_a_sync_of_all_streams_tells_of_one_that_skips() -> None:
    """The buffer's failure has been told; the copy is skipped because of it, and nobody hears."""
    executed = _with_a_poisoned_buffer()
    assert executed.run(ops.Copy(4, 1, 0, 2, 0, 64), ops.SyncAll(9))[9].failure is not None


def test_poison_of_a_buffer_is_not_that_of_a_stream_of_the_same_number() -> None:
    executed = _with_a_poisoned_buffer()
    reply = executed.run(ops.CreateStream(1), ops.Sync(1, 9))[9]
    assert reply.failure is None


# gon_server.conversation --------------------
def test_an_upload_that_is_skipped_is_dropped_whole() -> None:
    """`_drop` receives a payload in pieces, which only stream links allow; the client's too. Over
    zmq the link ends, the frame comes again on the next one, and so on for ever."""
    device = SimDevice()
    worker = InprocWorker(device)
    session = open_session(worker)
    far = RemoteDevice(session)
    far.allocate(Handle(1), 1 << 20)
    far.fill(DEFAULT_STREAM, Handle(1), 0, 5, b"ab")
    data = memoryview(bytes(100 * KIB))
    with ThreadPoolExecutor(1) as thread:
        uploading = thread.submit(far.write, DEFAULT_STREAM, Handle(1), 0, data)
        try:
            uploading.result(HANGS_S)
        finally:
            session.end(LeaseLost("the test is over"))
            worker.close()


def test_two_sides_that_both_send_again_do_not_wait_for_each_other() -> None:
    """After a lost link the client sends again without receiving, the worker too: more than the
    link holds each way, and both are stuck."""
    reads = [ops.Read(0, 1, 0, 32 * KIB, 100 + number) for number in range(64)]
    writes = [ops.Write(0, 1, 0, 32 * KIB, bytes(32 * KIB)) for _ in range(200)]
    waits = [WaitFor(read.reply) for read in reads]
    program: list[Step] = [ops.Allocate(1, 32 * KIB), *reads, *writes, *waits]
    for seed in range(120):
        Simulation(seed, SimDevice(), cuts=6, room=2).play(program)


# gon_client.link --------------------
def _behind_a_large_read(made: Desk) -> int:
    """Ask for a large read that is not answered; return its cookie."""
    made.far.read(DEFAULT_STREAM, Handle(1), 0, memoryview(bytearray(LARGE)))
    (read,) = made.worker.ops(1)
    assert isinstance(read, ops.Read)
    return read.reply


def test_a_wait_times_out_while_a_large_read_is_on_its_way() -> None:
    """`wait` called `flush`, which waited without a limit while nothing may be sent."""
    with desk() as made:
        _behind_a_large_read(made)
        pending = made.far.sync(DEFAULT_STREAM)
        waiting = made.threads.submit(pending.wait, 0.01)
        assert isinstance(waiting.exception(HANGS_S), WaitTimeout)


def test_closing_does_not_wait_for_a_large_read() -> None:
    """`close` calls `flush` too: behind an endless kernel it never returns, and the lease stays."""
    with desk() as made:
        _behind_a_large_read(made)
        made.far.free(Handle(1))
        made.threads.submit(made.far.close).result(HANGS_S)


def test_a_wait_times_out_while_the_link_is_lost() -> None:
    """`_take` replaces a lost link before it looks at the time again: up to the whole grace."""
    gone: Future[None] = Future()

    def alive() -> None:
        gone.result()

    with desk(alive=alive) as made:
        try:
            pending = made.far.sync(DEFAULT_STREAM)
            made.clock.tick(2)
            made.worker.ops(1)
            made.worker.link.close()
            waiting = made.threads.submit(pending.wait, 0.01)
            assert isinstance(waiting.exception(HANGS_S), WaitTimeout)
        finally:
            gone.set_exception(LeaseLost("the test is over"))


def test_an_upload_whose_acknowledgement_another_thread_took_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look at `acked` and taking the turn another thread may have received what was
    waited for: `_receive_some(None)` then waits for a frame that never comes. So in `flush`,
    `send_alone` and `ask`."""
    with desk() as made:
        take, asked = Turn.hold, 0

        def take_late(turn: Turn, do: Callable[[], object]) -> bool:
            nonlocal asked
            asked += 1
            if asked == 1:
                # What another thread does at this moment.
                made.worker.batch()
                made.worker.acknowledge()
                made.link.catch_up()
            return take(turn, do)

        monkeypatch.setattr(Turn, "hold", take_late)
        data = memoryview(bytearray(LARGE))
        uploading = made.threads.submit(made.far.write, DEFAULT_STREAM, Handle(1), 0, data)
        uploading.result(HANGS_S)


def test_a_read_nobody_waits_for_is_sent_though_the_pump_is_parked() -> None:
    """`ask` does not wake the pump as `post` does."""
    with desk() as made:
        made.clock.tick(QUIET_TICKS)
        pump = made.link._pump
        assert pump.parked
        made.far.read(DEFAULT_STREAM, Handle(1), 0, memoryview(bytearray(8)))
        assert pump._event.is_set()


BAD: dict[str, Callable[[RemoteDevice], object]] = {
    "offset": lambda far: far.fill(DEFAULT_STREAM, Handle(1), 1 << 64, 8, b"a"),
    "shared_bytes": lambda far: far.launch(
        DEFAULT_STREAM, Handle(1), (1, 1, 1), (1, 1, 1), 1 << 64, ()
    ),
    "options": lambda far: far.load(Handle(9), Program(b"", "python-sim", "x" * (5 << 20))),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_an_op_that_cannot_be_coded_takes_no_others_with_it(
    bad: Callable[[RemoteDevice], object],
) -> None:
    """`_send_batch` empties `_ops` before it encodes them: the whole batch is lost, its numbers
    too, and OverflowError is not ours. Reached from the API by LaunchConfig(shared_bytes=2**64),
    LocalBytes(2**64) and long compiler options."""
    with remote(SimDevice()) as far:
        far.allocate(Handle(1), 64)
        far.sync_all().wait()
        far.fill(DEFAULT_STREAM, Handle(1), 0, 64, b"x")
        place = bytearray(64)
        with contextlib.suppress(GonError, OverflowError):
            bad(far)
            far.read(DEFAULT_STREAM, Handle(1), 0, memoryview(place)).wait(HANGS_S)
        far.read(DEFAULT_STREAM, Handle(1), 0, memoryview(place)).wait(HANGS_S)
        assert place == b"x" * 64


def test_counts_stay_what_they_are_when_a_device_is_closed() -> None:
    """`close` adds the last link's counts to those carried, and `counts` adds them again; so does a
    resumption that fails."""
    with desk() as made:
        made.far.free(Handle(1))
        made.clock.tick(2)
        made.worker.ops(1)
        made.far.close()
        assert made.link.counts().bytes_sent == made.link._link.statistics().bytes_sent


def test_a_large_reply_has_its_payload() -> None:
    """`decode_replies` compares sizes only if there are payloads: a reply that names bytes which
    are not there settles a read with whatever was in its place."""
    with desk() as made:
        place = memoryview(bytearray(b"?" * LARGE))
        pending = made.far.read(DEFAULT_STREAM, Handle(1), 0, place)
        (read,) = made.worker.ops(1)
        assert isinstance(read, ops.Read)
        made.worker.reply(Reply(read.reply, None, LARGE))
        try:
            pending.wait(HANGS_S)
        except RemoteProtocolError:
            return
        raise AssertionError("settled with no bytes")


def test_a_break_of_the_protocol_seen_while_sending_ends_the_session() -> None:
    """`_receive_while_blocked` does not call `end`, as `_take` does: the session goes on."""
    with desk() as made:
        made.worker.greet()
        made.worker.link.send(b"\xff" * 64)

        def send_blocked(*args: object) -> None:
            made.link._receive_while_blocked()

        made.link._link.send = send_blocked  # type: ignore[method-assign]
        made.far.free(Handle(1))
        with pytest.raises(RemoteProtocolError):
            made.link.flush()
        with pytest.raises(RemoteProtocolError):
            made.far.free(Handle(2))


# gon_client.module --------------------
def test_a_kernel_does_not_keep_the_buffers_of_its_last_launch() -> None:
    """It remembers the arguments it was given: a forgotten array is not given back."""
    device = Device(
        SimDevice(),
        where="a test",
        memory_bytes=100,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
    )
    index = device.compile("index", "python-sim").get_kernel("index")
    array = device.zeros(16, np.uint32)
    gon.launch(device.default_stream, gon.LaunchConfig(1, 16), index, array, 1)
    del array
    device.zeros(16, np.uint32)
