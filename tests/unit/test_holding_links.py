"""Waits that are held, over links: other threads go on, nothing is lost, all is told in time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyopencl as cl
import pytest

from gon.clock import SYSTEM_CLOCK
from gon.errors import RemoteProtocolError, WaitTimeout
from gon.limits import INLINE_BYTES_MAX
from gon.model import DEFAULT_STREAM, Handle, Program
from gon.native import NATIVE
from gon.transport.inproc import inproc_pair
from gon.wire import ops
from gon.wire.batch import Hello, Reply, encode
from gon.wire.frame import Kind
from gon.wire.ops import AnyOp
from gon.wire.session import Role, Session
from gon.wire.timing_ops import NoteCommand
from gon.wire.versions import VERSION_MAX
from gon_client.remote import RemoteDevice
from gon_server.conversation import Conversation
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl import open_device
from gon_server.devices.sim import SimDevice
from gon_server.holding import Holding
from tests.e2e.gond_process import until
from tests.forced_holding import force_holding
from tests.gated_device import FREE, GATED, GatedDevice
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session, remote, stream_pair

QUOTA = 1 << 20
X = 3


def test_a_thread_that_waits_long_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real loops, over sockets: nothing is forced but how long is long."""
    monkeypatch.setattr("gon_server.paces.SLOW_WAIT_S", 0.0)
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
    until(lambda: holding.told_s is not None, "the worker has heard of it")

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


def test_a_busy_client_hears_what_has_taken_effect_while_waits_are_held() -> None:
    here, there = inproc_pair()
    conversation = Conversation(SimDevice(1), QUOTA)
    session = Session(Role.CLIENT, frames_max=64, bytes_max=QUOTA)
    hello = Hello(1, VERSION_MAX, bytes(16), 0, "tests")
    here.send(session.word(Kind.HELLO, encode(hello)))
    conversation._greet(there)
    assert here.receive(PATIENCE_S) is not None
    conversation.owed = 8
    here.send(session.word(Kind.ACK))
    assert conversation._receive_between(there) is not None
    assert conversation.owed == 0
    assert here.receive(0) is not None


class Gate:
    """A session whose worker holds waits, and its device with the gate."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.device, self.made = GatedDevice(), force_holding(monkeypatch)
        self.worker = InprocWorker(self.device, stream_pair)
        self.session = open_session(self.worker)
        self.far = RemoteDevice(self.session)
        self.far.create_stream(Handle(GATED))
        self.far.sync(Handle(GATED)).wait()

    def held(self, wait: Callable[[], object]) -> threading.Thread:
        """Close the gate and let a thread wait, which is held; return the thread."""
        self.device.gate.clear()
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        until(lambda: bool(self.made[0].held), "it is held")
        return thread

    def end(self) -> None:
        self.far.close()
        self.worker.close()
        self.device.close()


def test_a_buffer_whose_large_read_is_held_lives_until_it_is_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, size = Gate(monkeypatch), 2 * INLINE_BYTES_MAX
    gate.far.allocate(Handle(X), size)
    gate.far.fill(Handle(GATED), Handle(X), 0, size, b"\5")
    gate.far.sync(Handle(GATED)).wait()
    place = bytearray(size)
    reader = gate.held(
        lambda: gate.far.read_now(Handle(GATED), Handle(X), 0, memoryview(place), PATIENCE_S)
    )
    gate.far.free(Handle(X))
    gate.session.flush()
    gate.device.gate.set()
    reader.join(PATIENCE_S)
    assert place == b"\5" * size
    for _ in range(2):  # the first tells the worker that all is here
        gate.far.sync_all().wait(PATIENCE_S)
    assert "0 buffers" in repr(gate.worker.conversation._executor)
    gate.end()


def test_a_wait_of_limited_time_that_meets_another_ends_whoever_sends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate(monkeypatch)
    pending = gate.far.sync(Handle(DEFAULT_STREAM))
    gate.session.flush()
    session, ended = gate.session, threading.Event()

    def wait() -> None:
        with pytest.raises(WaitTimeout):
            pending.wait(0.001)
        ended.set()

    def replace() -> None:
        """As whoever replaces a lost link."""
        waiter = threading.Thread(target=wait, daemon=True)
        waiter.start()
        assert ended.wait(PATIENCE_S / 3)

    session._turn.within(lambda: session._sending.within(replace))
    pending.wait(PATIENCE_S)
    gate.end()


def noted_ops(monkeypatch: pytest.MonkeyPatch) -> list[AnyOp]:
    """Return the ops that do not go the quick way, as they come."""
    looked_at: list[AnyOp] = []
    run = Holding.run

    def noted(self: Holding, op: AnyOp, number: int) -> Reply | None:
        looked_at.append(op)
        return run(self, op, number)

    monkeypatch.setattr(Holding, "run", noted)
    return looked_at


@pytest.mark.skipif(not NATIVE, reason="the quick way is native")
def test_the_quick_way_notes_no_event_whose_times_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, device = force_holding(monkeypatch), open_device("")
    looked_at = noted_ops(monkeypatch)
    with remote(device, stream_pair) as far:
        for stream in (1, 2):
            far.create_stream(Handle(stream))
            far.create_event(Handle(stream))
        far.load(Handle(1), Program(b"kernel void none(void) { }", "opencl-c"))
        far.get_kernel(Handle(1), Handle(1), "none")

        def launch() -> None:
            far.launch(Handle(2), Handle(1), (1, 1, 1), (1, 1, 1), 0, ())

        launch()  # as the first of a kernel it goes the long way
        far.sync_all().wait()
        gate = cl.UserEvent(device._context)
        gated = device._streams[Handle(1)]
        gated.last = driver.enqueue_marker(gated.queue, [gate])
        made[0].slow.add(-1)
        assert far.timing is not None
        first = far.timing.note(Handle(1), Handle(1))
        first.ask()
        far._link.flush()
        until(lambda: bool(made[0].held), "it is held")
        launch()
        second = far.timing.note(Handle(2), Handle(1))
        far._link.flush()
        try:
            until(lambda: NoteCommand(2, 1) in looked_at, "it comes behind the question")
        finally:
            gate.set_status(driver.COMPLETE)
        first.wait(PATIENCE_S)
        second.wait(PATIENCE_S)
        assert first.times.ended_ns != second.times.ended_ns


@pytest.mark.skipif(not NATIVE, reason="the quick way is native")
def test_long_waits_go_the_quick_way_while_one_thread_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gon_server.paces.SLOW_WAIT_S", 0.0)
    monkeypatch.setattr("gon_server.holding.WAITERS_S", PATIENCE_S)
    looked_at = noted_ops(monkeypatch)
    device = open_device("")
    worker = InprocWorker(device, stream_pair)
    far = RemoteDevice(open_session(worker))
    holding = worker.conversation._executor.holding
    far.create_stream(Handle(1))
    far.sync(Handle(1)).wait(PATIENCE_S)
    holding.slow.add(1)
    looked_at.clear()
    far.sync(Handle(1)).wait(PATIENCE_S)
    assert not looked_at
    holding.told_s = SYSTEM_CLOCK.now_s()
    far.sync(Handle(1)).wait(PATIENCE_S)
    assert [type(op) for op in looked_at] == [ops.Sync]
    # What was told long ago is forgotten where it is looked at.
    holding.told_s -= 2 * PATIENCE_S
    far.sync(Handle(1)).wait(PATIENCE_S)
    assert holding.told_s is None
    far.close()
    worker.close()
    device.close()
