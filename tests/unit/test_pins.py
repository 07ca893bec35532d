"""Buffers that are freed while a large read still needs them: client and worker together."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from gon.errors import LinkLost
from gon.limits import KIB
from gon.model import DEFAULT_STREAM, Handle
from gon.testing.faulty_link import Cut, Direction, FaultyLink
from gon.transport.base import Link
from gon.transport.inproc import inproc_pair
from gon.wire import ops
from gon.wire.batch import Reply
from gon.wire.ops import AnyOp
from gon_client.remote import RemoteDevice
from gon_server.devices.sim import SimDevice
from gon_server.executor import Executor
from tests.inproc_worker import PATIENCE_S, InprocWorker, MakePair, open_session, stream_pair

BUFFER, OTHER = Handle(7), Handle(8)
SIZE = 120 * KIB
CONTENT = random.Random(1).randbytes(SIZE)


class Meanwhile(FaultyLink):
    """A link that is lost in the middle of a payload, after something else has been done."""

    def __init__(self, link: Link, do: Callable[[], None]) -> None:
        super().__init__(link, Cut(Direction.IN, 1 << 60, delivers=True))
        self._do = do

    def receive_into(self, target: memoryview) -> None:
        self._do()
        self.close()
        super().receive_into(target)


@pytest.mark.parametrize("make_pair", [inproc_pair, stream_pair])
def test_a_buffer_that_another_thread_frees_lives_until_its_read_is_here(
    make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", SIZE // 3)
    freed, first = threading.Event(), True

    def free() -> None:
        def send() -> None:
            far.free(BUFFER)
            link.flush()

        thread = threading.Thread(target=send)
        thread.start()
        thread.join(PATIENCE_S)
        assert freed.wait(PATIENCE_S)

    def pair() -> tuple[Link, Link]:
        nonlocal first
        here, there = make_pair()
        first, is_first = False, first
        return Meanwhile(here, free) if is_first else here, there

    run = Executor.run_op

    def noted(self: Executor, op: AnyOp, number: int) -> Reply | None:
        reply = run(self, op, number)
        if isinstance(op, ops.Free):
            freed.set()
        return reply

    monkeypatch.setattr(Executor, "run_op", noted)
    # Room for this buffer and half of another one.
    worker = InprocWorker(SimDevice(), pair, memory_bytes=SIZE + SIZE // 2)
    executor = worker.conversation._executor
    link = open_session(worker)
    far = RemoteDevice(link)
    try:
        far.allocate(BUFFER, SIZE)
        far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(bytearray(CONTENT)))
        place = bytearray(SIZE)
        far.read_now(DEFAULT_STREAM, BUFFER, 0, memoryview(place), PATIENCE_S)
        assert place == CONTENT
        # Its memory counts until the read is here, and no longer.
        far.allocate(OTHER, SIZE)
        far.sync_all().wait(PATIENCE_S)
        far.free(OTHER)
        for _ in range(2):  # the first tells the worker that all is here
            far.sync_all().wait(PATIENCE_S)
        assert "0 buffers" in repr(executor)
        assert all(isinstance(each, LinkLost) for each in worker.endings), worker.endings
    finally:
        far.close()
        worker.close()
