"""Events that are asked about: the answer waits for no work, and nothing for the answer."""

from __future__ import annotations

import threading
from functools import partial

import pytest

import gon
from gon.errors import DeviceError, GonError, WaitTimeout
from gon.model import Handle
from gon.transport.base import Link
from gon.wire import versions
from gon_client.looks import has_come, look_at, may_ask
from gon_client.remote import RemoteDevice
from tests.e2e.gond_process import until
from tests.gated_device import FREE, GATED, GatedDevice
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session, stream_pair

EVENT, X = Handle(5), Handle(3)


class Keeping(GatedDevice):
    """One that keeps who reads from its stream until the gate is open, as every unit does."""

    def host_window(
        self, stream: Handle, buffer: Handle, offset: int, size: int, *, write: bool
    ) -> memoryview:
        if stream == GATED:
            assert self.gate.wait(PATIENCE_S), "nobody opens the gate"
        return super().host_window(stream, buffer, offset, size, write=write)


class Far:
    """A device over real loops, whose events happen when a gate is open."""

    def __init__(self) -> None:
        self.device = Keeping()
        self.worker = InprocWorker(self.device, stream_pair)
        self.link = open_session(self.worker)
        self.far = RemoteDevice(self.link)
        for stream in (GATED, FREE):
            self.far.create_stream(Handle(stream))
        self.far.create_event(EVENT)

    def record(self) -> None:
        """Record the event, and close the gate before it."""
        self.far.sync(Handle(FREE)).wait()
        self.device.gate.clear()
        self.device.waits = 0
        self.far.record(Handle(GATED), EVENT)

    def keep_shut(self, door: threading.Event) -> threading.Event:
        """Let nobody in until `door` is set; return what is set when somebody is before it."""
        dialled, connect = threading.Event(), self.worker.connect

        def wait_outside() -> Link:
            dialled.set()
            assert door.wait(PATIENCE_S), "nobody opens the door"
            return connect()

        self.link._dialer._connect = wait_outside
        return dialled

    def end(self) -> None:
        self.device.gate.set()
        self.far.close()
        self.worker.close()
        self.device.close()


def test_a_look_waits_for_no_work_and_holds_up_nobody() -> None:
    gate = Far()
    gate.record()
    look = look_at(gate.far, EVENT)
    assert [look.is_over() for _ in range(3)] == [False] * 3
    gate.far.sync(Handle(FREE)).wait(PATIENCE_S)
    assert not gate.device.waits
    gate.device.gate.set()
    until(look.is_over, "it is over")
    gate.end()


def test_what_an_event_is_behind_is_told_by_a_look_once() -> None:
    gate = Far()
    gate.far.fill(Handle(GATED), Handle(77), 0, 16, b"\7")
    gate.far.record(Handle(GATED), EVENT)
    look = look_at(gate.far, EVENT)
    with pytest.raises(GonError, match="77") as told:
        until(look.is_over, "it has failed")
    assert told.value.op == "Fill"
    gate.far.record(Handle(GATED), EVENT)
    gate.device.fault = DeviceError("it burns")
    with pytest.raises(GonError):
        until(look_at(gate.far, EVENT).is_over, "it has failed")
    gate.device.fault = None
    gate.end()


def test_behind_a_worker_that_waits_nobody_knows_yet() -> None:
    """A read that is posted keeps the worker; one that is large keeps back whatever comes then."""
    gate, places = Far(), [bytearray(size) for size in (16, 1 << 20)]
    gate.far.allocate(X, 1 << 20)
    gate.far.sync(Handle(GATED)).wait()
    gate.record()
    for place in places:
        reads = gate.far.read(Handle(GATED), X, 0, memoryview(place))
        look = look_at(gate.far, EVENT)
        assert [look.is_over() for _ in range(3)] == [False] * 3
        assert not has_come(gate.far, reads)
        gate.device.gate.set()
        until(look.is_over, "it is over")
        until(partial(has_come, gate.far, reads), "it is here")
        gate.record()
    gate.end()


def test_an_older_host_is_asked_to_wait_and_the_program_does_not() -> None:
    gate = Far()
    gate.far._link.version = versions.LOOKING - 1
    gate.record()
    look = look_at(gate.far, EVENT)
    assert [look.is_over() for _ in range(3)] == [False] * 3
    gate.device.gate.set()
    until(look.is_over, "it is over")
    gate.end()


def test_what_was_waited_for_is_known_and_what_was_never_recorded() -> None:
    with gon.local("sim:") as device:
        event, stream = device.create_event(), device.create_stream()
        assert event.is_done
        for _ in range(3):
            stream.record(event)
            event.sync()
            assert event.is_done
        stream.record(event)
        until(lambda: event.is_done, "it is over")


def test_a_lost_link_is_mended_by_others_and_a_look_knows_nothing_yet() -> None:
    """Nobody answers at the door until the test says so: who waits for that is the pump."""
    gate = Far()
    gate.far.sync(Handle(FREE)).wait()
    gate.record()
    door, looks, link = threading.Event(), [look_at(gate.far, EVENT) for _ in range(2)], gate.link
    assert not looks[0].is_over()
    dialled = gate.keep_shut(door)
    link._link.close()
    assert not looks[1].is_over()
    assert dialled.wait(PATIENCE_S), "nobody replaces the link"
    # Some with a question that is on its way, some with none.
    assert not any(look.is_over() for look in looks)
    assert not has_come(gate.far, gate.far.sync(Handle(FREE)))
    with pytest.raises(WaitTimeout):
        gate.far.sync(Handle(FREE)).wait(0.001)
    assert not may_ask(gate.far)
    door.set()
    gate.device.gate.set()
    for look in looks:
        until(look.is_over, "it is over")
    gate.end()
