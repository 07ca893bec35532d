"""The client's loops against a worker that is slow, mean or gone: what the end-to-end tests do not
reach, with the pump held and every frame of the worker's under the test's hand.
"""

from __future__ import annotations

import inspect
from concurrent.futures import Future
from functools import partial
from typing import cast

import pytest

from gon.device import Pending
from gon.errors import (
    Code,
    DeviceError,
    GonError,
    InvalidArgument,
    LeaseLost,
    WaitTimeout,
)
from gon.limits import BATCH_OPS_TARGET, INLINE_BYTES_MAX
from gon.model import DEFAULT_STREAM, Handle, LeaseTerms
from gon.transport.base import Link
from gon.wire import ops
from gon.wire.batch import Failure, Reply
from gon.wire.frame import Kind
from gon_client.batcher import IDLE_OPS_TARGET
from gon_client.control import ControlChannel
from gon_client.device import Device
from gon_client.lease import Lease
from gon_client.statistics import stats
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S
from tests.interrupts import Interrupt
from tests.unit.scripted_worker import Desk, ScriptedWorker, cookie_of, desk

BUFFER = Handle(7)


def waiting(made: Desk, *streams: int) -> list[Future[None]]:
    """Queue a sync of each stream, and wait for each in a thread of its own."""
    pendings = [made.far.sync(Handle(stream)) for stream in streams]
    return [made.threads.submit(pending.wait) for pending in pendings]


def wait_error(pending: Pending) -> GonError:
    with pytest.raises(GonError) as caught:
        pending.wait(PATIENCE_S)
    return caught.value


# Threads on one session --------------------
def test_each_thread_gets_its_own_answer_whoever_receives_it() -> None:
    with desk() as made:
        first, second, third = waiting(made, 1, 2, 3)
        one, two, three = (cookie_of(op) for op in made.worker.ops(3))
        made.worker.reply(Reply(two))
        second.result(PATIENCE_S)
        made.worker.reply(Reply(three))
        third.result(PATIENCE_S)
        assert not first.done()
        made.worker.reply(Reply(one))
        first.result(PATIENCE_S)


def test_an_interrupt_in_the_middle_of_a_frame_loses_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as Ctrl-C between the reading of a frame and its taking effect."""
    with desk() as made:
        pending = made.far.sync(Handle(1))
        made.link.flush()
        (op,) = made.worker.ops(1)

        def interrupted(link: Link, raw: memoryview) -> None:
            monkeypatch.undo()
            raise KeyboardInterrupt

        monkeypatch.setattr(made.link._intake, "digest", interrupted)
        made.worker.reply(Reply(cookie_of(op)))
        with pytest.raises(KeyboardInterrupt):
            pending.wait()
        again = made.threads.submit(pending.wait)
        made.worker.greet()
        again.result(PATIENCE_S)


@pytest.mark.parametrize("way", ["post", "flush"])
def test_an_interrupt_leaves_nobody_waiting_to_send(way: str) -> None:
    """Wherever it comes: whoever sends next, and the pump, would wait for ever."""
    place, interrupted = 0, True
    while interrupted:
        with desk() as made:
            made.link.post(ops.Record(1, 1))
            call = made.link.flush if way == "flush" else partial(made.link.post, ops.Record(1, 2))
            place += 1
            interrupted = Interrupt(place).call(call)
            assert made.link._sending.acquire(blocking=False), place
            made.link._sending.release()
    assert place > 5


def test_the_receiving_turn_is_handed_on() -> None:
    """Whoever receives leaves with its answer; another thread then receives for those left."""
    with desk() as made:
        waits = waiting(made, 1, 2, 3, 4)
        cookies = [cookie_of(op) for op in made.worker.ops(4)]
        for cookie, wait in zip(cookies, waits, strict=True):
            made.worker.reply(Reply(cookie))
            wait.result(PATIENCE_S)


def test_a_failure_goes_to_the_thread_that_waits_for_it() -> None:
    with desk() as made:
        good, bad = waiting(made, 1, 2)
        one, two = (cookie_of(op) for op in made.worker.ops(2))
        made.worker.reply(Reply(two, failure=Failure(int(Code.DEVICE), "broke", "Launch", 1)))
        with pytest.raises(DeviceError, match="broke"):
            bad.result(PATIENCE_S)
        made.worker.reply(Reply(one))
        good.result(PATIENCE_S)


# Timeouts --------------------
def test_a_wait_that_timed_out_succeeds_later() -> None:
    with desk() as made:
        pending = made.far.sync(DEFAULT_STREAM)
        with pytest.raises(WaitTimeout, match=r"0\.01 s; the op goes on"):
            pending.wait(0.01)
        assert not pending.done()
        (sync,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(sync)))
        pending.wait(PATIENCE_S)
        assert pending.done()
        pending.wait(0)


def test_a_limit_that_is_no_time_is_refused_and_one_beyond_all_is_a_wait() -> None:
    with desk() as made:
        pending = made.far.sync(DEFAULT_STREAM)
        with pytest.raises(InvalidArgument, match="timeout_s is nan"):
            pending.wait(float("nan"))
        waits = [made.threads.submit(pending.wait, each) for each in (float("inf"), 1e30)]
        (sync,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(sync)))
        for wait in waits:
            wait.result(PATIENCE_S)


def test_a_follower_times_out_too() -> None:
    with desk() as made:
        leader, other = made.far.sync(Handle(1)), made.far.sync(Handle(2))
        leading = made.threads.submit(leader.wait)
        one, two = (cookie_of(op) for op in made.worker.ops(2))
        with pytest.raises(WaitTimeout):
            other.wait(0.01)
        made.worker.reply(Reply(one), Reply(two))
        leading.result(PATIENCE_S)
        other.wait(PATIENCE_S)


# Ends --------------------
def test_closing_wakes_whoever_waits() -> None:
    with desk() as made:
        waits = waiting(made, 1, 2)
        made.worker.ops(2)
        made.far.close()
        for wait in waits:
            with pytest.raises(LeaseLost, match="the device is closed"):
                wait.result(PATIENCE_S)
        assert made.worker.frame().kind is Kind.BYE
        with pytest.raises(LeaseLost, match="closed"):
            made.far.free(BUFFER)
        made.far.close()


def test_a_lease_that_ends_wakes_whoever_waits() -> None:
    class Control:
        """A control plane that renews once and then knows of no lease."""

        renewals = 0

        def hold(self) -> None: ...

        def let_go(self) -> None: ...

        def renew(self, lease: str, token: bytes) -> None:
            assert (lease, token) == ("lease-1", b"t" * 32)
            self.renewals += 1
            if self.renewals > 1:
                raise LeaseLost("the lease has ended: the owner wants it back")

    control, clock = Control(), HeldClock()
    terms = LeaseTerms("lease-1", "u", "gpu", 1, 1, b"t" * 32, 1, 90.0, 60.0, "inproc://")
    lease = Lease(cast(ControlChannel, control), terms, clock)
    with desk() as made:
        lease.keep(made.link.end)
        waits = waiting(made, 1, 2)
        made.worker.ops(2)
        clock.settle()
        clock.tick()
        assert not any(wait.done() for wait in waits)
        clock.wake()
        for wait in waits:
            with pytest.raises(LeaseLost, match="the owner wants it back"):
                wait.result(PATIENCE_S)
        with pytest.raises(LeaseLost, match="the owner wants it back"):
            made.far.sync_all()
        assert control.renewals == 2


def test_an_answer_comes_on_the_link_that_replaces_a_lost_one() -> None:
    with desk() as made:
        (wait,) = waiting(made, 1)
        (sync,) = made.worker.ops(1)
        made.worker.link.close()
        made.worker.greet()
        made.worker.reply(Reply(cookie_of(sync)))
        wait.result(PATIENCE_S)
        assert made.link.counts().resumed == 1


# Credit --------------------
def test_a_client_without_credit_waits_for_acknowledgements() -> None:
    total = 6 * BATCH_OPS_TARGET
    with desk(ScriptedWorker(frames_max=2)) as made:

        def post() -> None:
            for _ in range(total):
                made.far.free(BUFFER)

        posting = made.threads.submit(post)
        came, acked = 0, 0
        while came < total - BATCH_OPS_TARGET:
            came += len(made.worker.batch().ops)
            received = made.worker.session.received
            assert received <= acked + 2, "a frame that there was no credit for"
            if received == acked + 2:
                posted_all = total - came <= BATCH_OPS_TARGET
                assert posted_all or not posting.done(), "posted what nothing will carry"
                made.worker.acknowledge()
                acked = received
        made.worker.acknowledge()
        posting.result(PATIENCE_S)


# What is told --------------------
def test_an_error_names_the_line_that_queued_the_op() -> None:
    with desk() as made:
        made.far.free(BUFFER)
        made.far.fill(DEFAULT_STREAM, BUFFER, 0, 4, b"abcd")
        line = _line() - 1
        sync = made.far.sync(DEFAULT_STREAM)
        made.clock.tick(2)
        cookie = cookie_of(made.worker.ops(3)[2])
        failure = Failure(int(Code.DEVICE), "broke", "Fill", 2)
        made.worker.reply(Reply(cookie, failure=failure))
        error = wait_error(sync)
        assert (type(error), error.op, error.number) == (DeviceError, "Fill", 2)
        assert error.origin == f"{__file__}:{line}"
        assert f"(op Fill #2, queued at {__file__}:{line})" in str(error)
        again = wait_error(sync)
        assert again is not error, "a raised exception is not raised again"


def test_an_error_names_the_users_line_through_the_whole_api() -> None:
    with desk() as made:
        device = _device(made)
        buffer = device.allocate(64)
        other = device.allocate(64)
        buffer.copy_from(other)
        line = _line() - 1
        made.clock.tick(2)
        made.worker.ops(3)
        waiting_ = made.threads.submit(device.sync)
        (sync,) = made.worker.ops(1)
        failure = Failure(int(Code.DEVICE), "broke", "Copy", 3)
        made.worker.reply(Reply(cookie_of(sync), failure=failure))
        with pytest.raises(DeviceError) as caught:
            waiting_.result(PATIENCE_S)
        assert caught.value.origin == f"{__file__}:{line}"


def test_posted_ops_are_sent_by_the_pump() -> None:
    with desk() as made:
        made.far.free(BUFFER)
        made.clock.tick(2)
        assert made.worker.ops(1) == [ops.Free(BUFFER)]


def test_a_burst_is_sent_before_any_tick() -> None:
    with desk() as made:
        for _ in range(IDLE_OPS_TARGET):
            made.far.free(BUFFER)
        assert len(made.worker.batch().ops) == IDLE_OPS_TARGET
        assert made.link.counts().batches == 1


def test_statistics_count_ops_waits_and_bytes() -> None:
    with desk() as made:
        device = _device(made)
        for _ in range(3):
            made.far.free(BUFFER)
        sync = made.far.sync(DEFAULT_STREAM)
        made.clock.tick(2)
        cookie = cookie_of(made.worker.ops(4)[3])
        before = stats(device).counts
        assert (before.ops, before.batches, before.waits, before.round_trips) == (4, 1, 0, 0)
        made.worker.reply(Reply(cookie))
        sync.wait(PATIENCE_S)
        after = stats(device).counts
        assert (after.waits, after.round_trips, after.resumed) == (1, 1, 0)
        assert after.bytes_sent == before.bytes_sent > 0
        assert after.bytes_received > before.bytes_received > 0
        sync.wait()
        assert stats(device).counts == after, "an answer that is here costs nothing"
        assert stats(device).wait_bound
        assert "wait-bound: a round trip every 4.0 ops" in str(stats(device))


def test_payloads_count_by_their_size_and_not_as_copied() -> None:
    with desk() as made:
        size = INLINE_BYTES_MAX + 1
        # Of bytes, which never change, it would return at once.
        uploading = made.threads.submit(
            made.far.write, DEFAULT_STREAM, BUFFER, 0, memoryview(bytearray(size))
        )
        made.worker.batch()
        assert not uploading.done(), "a large write returns when the worker has it"
        made.worker.acknowledge()
        uploading.result(PATIENCE_S)
        assert made.link.counts().bytes_sent > size
        out = bytearray(size)
        read = made.far.read(DEFAULT_STREAM, BUFFER, 0, memoryview(out))
        cookie = cookie_of(made.worker.ops(1)[0])
        made.worker.reply(Reply(cookie, None, size), payloads=[b"\7" * size])
        read.wait(PATIENCE_S)
        assert out == b"\7" * size
        assert made.link.counts().bytes_received > size


def _device(made: Desk) -> Device:
    return Device(
        made.far,
        where="a test",
        memory_bytes=1 << 20,
        counts=made.link.counts,
        on_close=lambda: None,
    )


def _line() -> int:
    """Return the line this is called from."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno
