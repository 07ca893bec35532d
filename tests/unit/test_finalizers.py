"""Finalizers that queue work and free, at each place where one may run: whatever its thread holds
there, nobody waits for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from gon.errors import InvalidArgument
from gon.model import DEFAULT_STREAM, Handle
from gon.transport.bundle import Bundle
from gon.transport.stream import StreamLink
from gon_client import pump
from gon_client.link import SessionLink
from gon_client.pump import Bell
from gon_client.remote import RemoteDevice
from gon_client.width import Way, Width
from gon_server.devices.sim import SimDevice
from tests.bundles import lose, stream_ends
from tests.forced_side_links import MOST
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session
from tests.interrupts import CLIENT, TRANSPORT, Places

BIG, SMALL = Handle(7), Handle(8)
PIECE = 40_000
SIZE = 3 * PIECE + 1000
# What one finalizer queues: more than the first frame of a burst has.
QUEUED = 10


class Trial:
    """A session over side links, whose pump does nothing by itself."""

    def __init__(self) -> None:
        self.clock = HeldClock()
        self.worker = InprocWorker(SimDevice(), self._pair)
        self.link: SessionLink = open_session(
            self.worker, clock=self.clock, open_side=self._open_side
        )
        self.far = RemoteDevice(self.link)
        self.far.allocate(BIG, SIZE)
        self.far.allocate(SMALL, 64)
        self.clock.settle()
        while self.link.side_links.count < MOST:
            self.link._tick()

    @staticmethod
    def _pair() -> tuple[Bundle, Bundle]:
        here, there = (Bundle(end) for end in stream_ends())
        return here, there

    def _open_side(self) -> StreamLink:
        here, there = stream_ends()
        self.worker.take_side(there)
        return here

    def finalizer(self) -> None:
        for _ in range(QUEUED):
            self.far.fill(DEFAULT_STREAM, SMALL, 0, 64, b"\1")
        if self.link._inside.is_here():  # else it may
            with pytest.raises(InvalidArgument, match="finalizer"):
                self.far.write(DEFAULT_STREAM, BIG, 0, memoryview(bytes(SIZE)))

    def close(self) -> None:
        self.far.close()
        self.clock.close()
        self.worker.close()


def upload(made: Trial) -> None:
    made.far.write(DEFAULT_STREAM, BIG, 0, memoryview(bytes(SIZE)))


def read(made: Trial) -> None:
    made.far.read(DEFAULT_STREAM, BIG, 0, memoryview(bytearray(SIZE))).wait()


def sync(made: Trial) -> None:
    made.far.sync_all().wait(PATIENCE_S)


def tick(made: Trial) -> None:
    made.link._tick()


def tick_after_a_break(made: Trial) -> None:
    """One side link breaks, and is healed."""
    bundle = made.link._link
    assert isinstance(bundle, Bundle)
    made.far.write(DEFAULT_STREAM, BIG, 0, memoryview(bytes(SIZE)))
    lose(bundle._all[0].sock)
    made.link._tick()


def another_link(made: Trial) -> None:
    """It is lost, and replaced."""
    made.worker.connect().close()
    made.far.sync_all().wait()


@pytest.mark.parametrize("call", [upload, read, sync, tick, tick_after_a_break, another_link])
def test_finalizers_anywhere_may_queue(
    call: Callable[[Trial], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", PIECE)

    class Told(Width):
        def look(self, now_s: float) -> None:
            self.wanted = MOST

        def moved(
            self, way: Way, size_bytes: int, took_s: float, now_s: float, round_trip_s: float
        ) -> None: ...

    monkeypatch.setattr("gon_client.side_links.Width", Told)
    monkeypatch.setattr("gon_client.side_links.ROUND_TRIP_S", 0.0)
    made = Trial()
    places = Places(made.finalizer, CLIENT, TRANSPORT, visits=3)
    thread = threading.Thread(target=lambda: places.call(lambda: call(made)), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "it waits for ever"
    made.far.sync_all().wait(PATIENCE_S)
    made.close()


def test_finalizers_anywhere_may_wake_the_pump() -> None:
    """In the middle of whoever wakes it, and of its own sleep."""
    bell, woken = Bell(), list[bool]()
    places = Places(bell.set, pump.__file__, threading.__file__)

    def call() -> None:
        bell.set()
        bell.clear()
        woken.append(bell.wait(PATIENCE_S))

    thread = threading.Thread(target=lambda: places.call(call), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert woken == [True]
    bell.clear()
    assert (bell.is_set(), bell.wait(0)) == (False, False)
