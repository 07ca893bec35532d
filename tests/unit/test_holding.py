"""Waits that are held: when, what goes on meanwhile, and what has to come after them."""

from __future__ import annotations

import threading

import pytest

from gon.device import Pending
from gon.errors import DeviceError, RemoteProtocolError
from gon.model import Handle
from gon.wire import ops
from gon.wire.batch import Batch, Reply
from gon.wire.ops import AnyOp
from gon.wire.waiter_ops import NoteWaiters
from gon_client.remote import RemoteDevice
from gon_server.devices.sim import SimDevice
from gon_server.executor import Executor
from gon_server.holding import Holding
from gon_server.limits import (
    HELD_MAX,
    LOOK_MAX_S,
    LOOK_MIN_S,
    SHORT_WAITS,
    SLOW_WAIT_S,
    WAITERS_S,
)
from tests.e2e.gond_process import until
from tests.forced_holding import force_holding
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session, stream_pair

QUOTA = 1 << 20
# A stream whose work is held back, another one, and buffers.
GATED, FREE, X, Y = 1, 2, 3, 4


class Gated:
    """A Pending that waits for a gate; `takes_s` is what a wait for it takes of the clock."""

    def __init__(self, inner: Pending, device: GatedDevice) -> None:
        self._inner, self._device = inner, device

    def done(self) -> bool:
        return self._device.gate.is_set() and self._inner.done()

    def wait(self, timeout_s: float | None = None) -> None:
        device = self._device
        device.waits += 1
        device.clock.time_s += device.takes_s
        assert device.gate.wait(PATIENCE_S), "nobody opens the gate"
        if device.fault is not None:
            raise device.fault
        self._inner.wait(timeout_s)


class Stepped:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now_s(self) -> float:
        return self.time_s

    def sleep_s(self, duration_s: float, /) -> None:
        raise AssertionError("nobody sleeps")

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        raise AssertionError("nobody waits")


class GatedDevice(SimDevice):
    """A simulator with a stream whose work is done when a gate is open."""

    def __init__(self) -> None:
        super().__init__(3)
        self.gate = threading.Event()
        self.gate.set()
        self.clock = Stepped()
        self.takes_s = 2 * SLOW_WAIT_S
        self.waits = 0
        self.fault: DeviceError | None = None

    def sync(self, stream: Handle) -> Pending:
        pending = super().sync(stream)
        return Gated(pending, self) if stream == GATED else pending


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
        return [each.reply for each in self.holding.take_late()]


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


def test_a_thread_that_waits_long_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real loops, over sockets: nothing is forced but how long is long."""
    monkeypatch.setattr("gon_server.holding.SLOW_WAIT_S", 0.0)
    monkeypatch.setattr("gon_server.holding.WAITERS_S", PATIENCE_S)
    device = GatedDevice()
    worker = InprocWorker(device, stream_pair)
    far = RemoteDevice(open_session(worker))
    for stream in (GATED, FREE):
        far.create_stream(Handle(stream))
        far.sync(Handle(stream)).wait()
    holding = worker.conversation._executor.holding

    def wait_at_the_gate() -> threading.Thread:
        device.gate.clear()
        thread = threading.Thread(target=lambda: far.sync(Handle(GATED)).wait(), daemon=True)
        thread.start()
        return thread

    first = wait_at_the_gate()
    until(lambda: device.waits > 0, "the worker is blocked")
    second = threading.Thread(target=lambda: far.sync(Handle(FREE)).wait(), daemon=True)
    second.start()
    until(lambda: far._link._meetings._told_s > 0, "the two have met")
    device.gate.set()
    for thread in (first, second):
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert holding.told_s > 0

    held = wait_at_the_gate()
    until(lambda: bool(holding.held), "it is held")
    far.sync(Handle(FREE)).wait(PATIENCE_S)
    assert held.is_alive()
    device.gate.set()
    held.join(PATIENCE_S)
    assert not held.is_alive()
    far.close()
    worker.close()
    device.close()
    assert not any(isinstance(each, RemoteProtocolError) for each in worker.endings)


def test_a_lost_link_costs_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    (device, made) = GatedDevice(), force_holding(monkeypatch)
    worker = InprocWorker(device, stream_pair)
    session = open_session(worker)
    far = RemoteDevice(session)
    far.create_stream(Handle(GATED))
    far.sync(Handle(GATED)).wait()
    device.gate.clear()
    answer = far.sync(Handle(GATED))
    session.flush()
    until(lambda: bool(made[0].held), "it is held")
    session._link.close()
    device.gate.set()
    answer.wait(PATIENCE_S)
    far.close()
    worker.close()
    device.close()
