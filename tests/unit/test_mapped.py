"""Transfers that the client does by itself, in memory that the worker lends: when it asks first,
when it sends the bytes instead, and what becomes of a buffer that is freed meanwhile.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from gon.errors import BadHandle, InvalidArgument, LeaseLost, OutOfMemory, RemoteProtocolError
from gon.limits import KIB, MIB
from gon.model import DEFAULT_STREAM, Handle
from gon.native import NATIVE
from gon.transport.shm import ShmLink
from gon_client.buffer import Buffer
from gon_client.device import Device
from gon_client.link import SessionLink
from gon_client.mapped import Borrowed
from gon_client.remote import RemoteDevice
from gon_server.devices.sim import SimDevice
from tests.inproc_worker import InprocWorker, open_session
from tests.loans import SmallPages, shm_pair

DATA, OTHER = Handle(1), Handle(2)
SIZE_BYTES = 512 * KIB


def handled(handle: Handle) -> Buffer:
    """Return a buffer's handle, and no more of it."""
    return cast("Buffer", SimpleNamespace(handle=handle))


class Far:
    """A session with a worker in this process that lends its memory."""

    def __init__(self) -> None:
        self.pages = SmallPages(16 * MIB)
        self.worker = InprocWorker(SimDevice(1), make_pair=shm_pair, pages=self.pages)
        self.session: SessionLink = open_session(self.worker)
        self.device = RemoteDevice(self.session)
        self.device.allocate(DATA, SIZE_BYTES)

    @property
    def link(self) -> ShmLink:
        link = self.session._link
        assert isinstance(link, ShmLink)
        return link

    def write(self, value: int, buffer: Handle = DATA, size_bytes: int = SIZE_BYTES) -> None:
        data = np.full(size_bytes, value, np.uint8)
        self.device.write(DEFAULT_STREAM, buffer, 0, data.data)

    def read(self, buffer: Handle = DATA) -> npt.NDArray[np.uint8]:
        out = np.empty(SIZE_BYTES, np.uint8)
        self.device.read_now(DEFAULT_STREAM, buffer, 0, out.data)
        return out

    def ops(self) -> int:
        return self.device.counts().ops


@pytest.fixture
def far() -> Iterator[Far]:
    far = Far()
    yield far
    far.session.close()
    far.worker.close()


def test_bytes_are_copied_by_the_client_and_pass_no_link(far: Far) -> None:
    far.write(7)
    assert (far.read() == 7).all()
    counts = far.device.counts()
    assert counts.direct_copies == 2
    assert counts.direct_bytes == 2 * SIZE_BYTES
    assert counts.mapped_bytes == SIZE_BYTES
    assert counts.bytes_sent + counts.bytes_received < 10 * KIB


@pytest.mark.skipif(not NATIVE, reason="numbers of ops are known natively")
def test_nothing_is_asked_where_nothing_was_sent_since_a_wait(far: Far) -> None:
    far.write(1)
    asked = far.ops()
    far.write(2)
    assert (far.read() == 2).all()
    assert far.ops() == asked
    far.device.fill(DEFAULT_STREAM, DATA, 0, SIZE_BYTES, b"\3")
    assert (far.read() == 3).all()
    assert far.ops() == asked + 2
    # Not even if it was for another buffer, or on another stream.
    far.device.create_stream(Handle(9))
    far.write(4)
    assert far.ops() == asked + 4


@pytest.mark.skipif(not NATIVE, reason="numbers of ops are known natively")
def test_a_wait_for_one_of_several_streams_tells_of_the_others(far: Far) -> None:
    express = far.session.express
    assert express is not None
    far.device.create_stream(Handle(9))
    far.device.allocate(OTHER, SIZE_BYTES)
    far.write(1)
    far.device.fill(DEFAULT_STREAM, DATA, 0, SIZE_BYTES, b"\3")
    express.sync_now(DEFAULT_STREAM)
    asked = far.ops()
    assert (far.read() == 3).all()
    far.write(4)
    assert far.ops() == asked
    far.device.copy(Handle(9), Handle(77), 0, OTHER, 0, 4)
    express.sync_now(DEFAULT_STREAM)
    asked = far.ops()
    with pytest.raises(InvalidArgument, match="77"):
        far.read(OTHER)
    far.write(5)
    assert (far.read() == 5).all()
    assert far.ops() > asked
    # Once that is overwritten, and told, a wait is enough again.
    far.write(6, OTHER)
    with pytest.raises(InvalidArgument, match="77"):
        far.device.sync(Handle(9)).wait()
    express.sync_now(DEFAULT_STREAM)
    asked = far.ops()
    far.write(7)
    assert far.ops() == asked


@pytest.mark.skipif(not NATIVE, reason="the quick copies are native")
def test_a_quick_copy_is_of_a_plain_array_of_a_known_buffer_on_a_quiet_stream(far: Far) -> None:
    express = far.session.express
    assert express is not None
    quick = express.copies
    assert quick is not None
    source, out = np.full(SIZE_BYTES // 4, 7, np.int32), np.zeros(SIZE_BYTES // 4, np.int32)
    data, other = handled(DATA), handled(OTHER)
    assert not quick.upload(DEFAULT_STREAM, data, 0, source)  # where it lies is not known
    far.write(1)
    counts, asked = far.device.counts(), far.ops()
    assert quick.upload(DEFAULT_STREAM, data, 0, source)
    assert quick.download(DEFAULT_STREAM, data, 4, out[1:])
    assert (out[1:] == 7).all()
    assert out[0] == 0
    after = far.device.counts()
    assert (after.ops, after.direct_copies) == (asked, counts.direct_copies + 2)
    assert after.direct_bytes == counts.direct_bytes + 2 * SIZE_BYTES - 4
    # What is not plain is left to whoever refuses it, or can do it.
    read_only = out.view()
    read_only.flags.writeable = False
    for array in (out[::2], read_only, np.empty(2, object), out[:0], out.data):
        assert not quick.download(DEFAULT_STREAM, data, 0, array)  # type: ignore[arg-type]
    for stream, buffer, offset in ((9, data, 0), (0, other, 0), (0, data, 1), (0, data, -1)):
        assert not quick.download(stream, buffer, offset, out)
    assert not quick.download(DEFAULT_STREAM, data, 2**70, out)
    far.device.fill(DEFAULT_STREAM, DATA, 0, SIZE_BYTES, b"\3")
    assert not quick.download(DEFAULT_STREAM, data, 0, out)
    assert (far.read() == 3).all()
    far.device.free(DATA)
    assert not quick.download(DEFAULT_STREAM, data, 0, out)


@pytest.mark.skipif(not NATIVE, reason="the quick copies are native")
def test_a_sync_behind_a_quick_upload_asks_once(far: Far) -> None:
    express = far.session.express
    assert express is not None
    quick = express.copies
    assert quick is not None
    far.write(1)
    asked = far.ops()
    assert quick.upload(DEFAULT_STREAM, handled(DATA), 0, np.zeros(SIZE_BYTES, np.uint8))
    express.sync_now(DEFAULT_STREAM)
    assert far.ops() == asked
    express.sync_now(DEFAULT_STREAM)
    assert far.ops() == asked + 1
    # Another stream's, and one behind anything that was queued.
    for stream in (Handle(9), DEFAULT_STREAM):
        assert quick.upload(DEFAULT_STREAM, handled(DATA), 0, np.zeros(SIZE_BYTES, np.uint8))
        if stream == DEFAULT_STREAM:
            far.device.fill(stream, DATA, 0, SIZE_BYTES, b"\3")
        asked = far.ops()
        if stream:
            with pytest.raises(BadHandle):
                express.sync_now(stream)
        else:
            express.sync_now(stream)
        assert far.ops() == asked + 1
        express.sync_now(DEFAULT_STREAM)


@pytest.mark.skipif(not NATIVE, reason="the quick copies are native")
def test_a_buffer_in_the_middle_of_a_quick_copy_is_freed_behind_it(far: Far) -> None:
    far.write(1)
    mapped = far.session.mapped
    known = mapped._buffers[DATA]
    known.quick_uses += 1
    far.device.free(DATA)
    asked = far.ops()
    known.quick_uses -= 1
    mapped.settle(known)
    mapped.settle(known)
    assert far.ops() == asked + 1


@pytest.mark.skipif(not NATIVE, reason="the quick copies are native")
def test_a_quick_copy_is_not_believed_once_the_worker_is_gone(far: Far) -> None:
    far.write(1)
    quick = far.session.mapped.quick
    assert quick is not None
    data = handled(DATA)
    far.worker.close()
    assert not quick.download(DEFAULT_STREAM, data, 0, np.zeros(8, np.uint8))
    assert quick.copies == 0


def test_small_buffers_and_ranges_outside_go_as_ever(far: Far) -> None:
    far.device.allocate(OTHER, 100 * KIB)
    far.write(5, OTHER, 100 * KIB)
    far.write(6, DATA, SIZE_BYTES + 1)
    with pytest.raises(InvalidArgument):
        far.device.sync(DEFAULT_STREAM).wait()
    assert far.device.counts().direct_copies == 0


def test_what_a_failure_left_is_not_read_until_it_is_overwritten(far: Far) -> None:
    far.write(1)
    assert (far.read() == 1).all()
    far.device.copy(DEFAULT_STREAM, Handle(77), 0, DATA, 0, 4)
    with pytest.raises(InvalidArgument, match="77"):
        far.device.sync(DEFAULT_STREAM).wait()
    with pytest.raises(InvalidArgument, match="77"):
        far.read()
    far.write(2, size_bytes=SIZE_BYTES - 1)
    with pytest.raises(InvalidArgument, match="77"):
        far.read()
    far.write(3)
    assert (far.read() == 3).all()


def test_the_next_link_lends_the_same_memory(far: Far) -> None:
    far.write(1)
    far.link.close()
    assert (far.read() == 1).all()
    far.link.close()
    far.write(2)
    assert (far.read() == 2).all()
    assert far.device.counts().resumed >= 2


def test_a_next_link_that_lends_less_is_refused(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what asks, and by what would copy without asking."""
    far.write(1)
    borrowed = far.session._dialer.borrowed
    assert borrowed is not None
    less = Borrowed(borrowed.memory[: SIZE_BYTES // 2], borrowed.loan)
    monkeypatch.setattr(far.session._dialer, "borrowed", less)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=f"{SIZE_BYTES} bytes"):
            far.write(2)
        far.device.sync(DEFAULT_STREAM).wait()


def test_what_is_read_from_a_worker_that_is_gone_is_not_believed(far: Far) -> None:
    far.write(1)
    assert (far.read() == 1).all()
    far.worker.close()
    with pytest.raises(LeaseLost):
        far.read()


def test_a_buffer_that_another_thread_frees_lives_until_it_is_copied(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.write(1)
    copy, in_the_middle, go_on = np.copyto, threading.Event(), threading.Event()

    def slow(target: npt.NDArray[np.uint8], source: npt.NDArray[np.uint8]) -> None:
        in_the_middle.set()
        assert go_on.wait(30)
        copy(target, source)

    got: list[npt.NDArray[np.uint8]] = []
    monkeypatch.setattr("gon_client.mapped.np.copyto", slow)
    reader = threading.Thread(target=lambda: got.append(far.read()))
    reader.start()
    assert in_the_middle.wait(30)
    held_up = far.session.mapped.held_up_bytes
    client = Device(
        far.device,
        where="a mapped copy",
        memory_bytes=2 * SIZE_BYTES - 1,
        counts=far.device.counts,
        on_close=lambda: None,
        held_up=held_up,
    )
    far.device.free(DATA)
    far.device.sync(DEFAULT_STREAM).wait()
    assert far.pages.used_bytes
    # Its room is not given twice.
    with pytest.raises(OutOfMemory):
        client.allocate(SIZE_BYTES)
    go_on.set()
    reader.join(30)
    assert (got[0] == 1).all()
    assert held_up() == 0
    # It was freed then: its handle may be used anew.
    far.device.allocate(DATA, SIZE_BYTES)
    far.device.sync_all().wait()


@pytest.mark.parametrize("what", ["nothing", "a pipe", "another size"])
def test_memory_that_is_none_is_refused(what: str) -> None:
    here, there = shm_pair()
    assert here.loan is not None
    assert there.loan is not None
    if what == "a pipe":
        reading, writing = os.pipe()
        there.loan.lend(reading)
        os.close(reading)
        os.close(writing)
    elif what == "another size":
        pages = SmallPages(2 * MIB)
        there.loan.lend(pages.fd)
    with pytest.raises(RemoteProtocolError):
        here.loan.borrow(4 * MIB)
    assert here.loan.is_held()
    there.close()
    assert not here.loan.is_held()
    here.close()


def test_a_client_that_does_not_know_of_it_hears_a_ring() -> None:
    here, there = shm_pair()
    assert there.loan is not None
    pages = SmallPages(2 * MIB)
    there.loan.lend(pages.fd)
    assert isinstance(here, ShmLink)
    assert here._room.end.recv(8, socket.MSG_DONTWAIT) == b"\1"
    here.close()
    there.close()
