"""Transfers of whole arrays, natively on both ends: over sockets, in front of an OpenCL device.

What breaks a link in their middle is a relay that ends it after so many bytes.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from gon.errors import Code, GonError, InvalidArgument
from gon.limits import BATCH_OPS_MAX, INLINE_BYTES_MAX, WAIT_SLICE_S
from gon.model import DEFAULT_STREAM, Handle
from gon.native import NATIVE
from gon.transport.base import Link
from gon.transport.framing import parts_of
from gon.transport.stream import StreamLink
from gon.wire import ops
from gon.wire.batch import Failure, Reply, encode
from gon.wire.versions import VERSION_MAX
from gon_client.remote import RemoteDevice
from gon_server.devices import opencl
from gon_server.devices.sim import SimDevice
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session, stream_pair
from tests.unit.scripted_worker import ScriptedWorker, cookie_of, desk

if TYPE_CHECKING or NATIVE:
    from gon_client._transfers import Transfers

pytestmark = pytest.mark.skipif(not NATIVE, reason="the native modules are not built")

BUFFER, OTHER = Handle(1), Handle(2)
SIZE = 5 * INLINE_BYTES_MAX + 3
_PATTERN = bytes(7 * index % 251 for index in range(251)) * 8


def content(seed: int, size: int = SIZE) -> bytes:
    return (_PATTERN * (2 + size // len(_PATTERN)))[seed % 251 :][:size]


def pump(source: socket.socket, target: socket.socket, most: int) -> None:
    """Carry `most` bytes one way, then end both."""
    while most > 0:
        try:
            some = source.recv(min(most, 4096))
            target.sendall(some)
        except OSError:
            break
        if not some:
            break
        most -= len(some)
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue


def relay(near: socket.socket, far: socket.socket, up_bytes: int, down_bytes: int) -> None:
    """Carry both ways until one of them has had its bytes."""
    with near, far:
        down = threading.Thread(target=pump, args=(far, near, down_bytes), daemon=True)
        down.start()
        pump(near, far, up_bytes)
        down.join()


def relayed_pair(up_bytes: int, down_bytes: int) -> tuple[Link, Link]:
    """Return the ends of a link that breaks after so many bytes each way."""
    here, near = socket.socketpair()
    far, there = socket.socketpair()
    carried = (near, far, up_bytes, down_bytes)
    threading.Thread(target=relay, args=carried, daemon=True).start()
    return StreamLink(here, "relay:worker"), StreamLink(there, "relay:client")


def near_pair() -> tuple[Link, Link]:
    """Return the ends of a link whose short way is there from the beginning, not from the first
    wait that blocks.
    """
    ends = stream_pair()
    for end in ends:
        assert isinstance(end, StreamLink)
        end._bound_receives(WAIT_SLICE_S)
        end._bound_sends(WAIT_SLICE_S)
    return ends


def hear_nothing(size_bytes: int, took_s: float) -> None:
    """Stand for a link that measures nothing: however slow it seems, uploads go as ever."""
    del size_bytes, took_s


@pytest.fixture
def device() -> Iterator[opencl.OpenClDevice]:
    opened = opencl.open_device("")
    yield opened
    opened.close()


# Both ends ----------------------------------------------------------------------------------------
@pytest.fixture
def far(device: opencl.OpenClDevice, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteDevice]:
    worker = InprocWorker(device, near_pair)
    session = RemoteDevice(open_session(worker))
    # The worker is near, however slow this machine is: uploads wait for it, none is copied.
    session._link.bulk.round_trip.shortest_s = 0.0
    monkeypatch.setattr(session._link.bulk, "took", hear_nothing)
    session.allocate(BUFFER, SIZE)
    yield session
    for buffer in (BUFFER, OTHER):
        session.free(buffer)
    session.close()
    worker.close()


def test_bytes_arrive_as_they_were(far: RemoteDevice) -> None:
    for size in (INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, SIZE - 1, SIZE):
        data = bytearray(content(size, size))
        far.write(DEFAULT_STREAM, BUFFER, SIZE - size, memoryview(data))
        data[:] = bytes(size)  # it is the caller's own again
        out = bytearray(size)
        far.read_now(DEFAULT_STREAM, BUFFER, SIZE - size, memoryview(out))
        assert out == content(size, size)


def test_a_read_is_behind_what_was_posted(far: RemoteDevice) -> None:
    out = bytearray(SIZE)
    for value in range(20):
        far.fill(DEFAULT_STREAM, BUFFER, 0, SIZE, bytes([value]))
        far.write(DEFAULT_STREAM, BUFFER, 1, memoryview(b"\xff\xfe"))
        far.read_now(DEFAULT_STREAM, BUFFER, 0, memoryview(out))
        assert out == bytes([value, 0xFF, 0xFE]) + bytes([value]) * (SIZE - 3)


def test_failures_are_told_as_ever(far: RemoteDevice) -> None:
    out = memoryview(bytearray(SIZE))
    # Outside its buffer, and to one that is not there.
    far.write(DEFAULT_STREAM, BUFFER, 1, memoryview(bytearray(SIZE)))
    with pytest.raises(InvalidArgument, match="test_transfers"):
        far.sync(DEFAULT_STREAM).wait()
    far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(bytearray(content(1))))
    far.sync_all().wait()
    far.read_now(DEFAULT_STREAM, BUFFER, 0, out)
    assert out == content(1)
    for buffer, offset in ((BUFFER, 1), (OTHER, 0)):
        with pytest.raises(InvalidArgument, match="test_transfers"):
            far.read_now(DEFAULT_STREAM, buffer, offset, out)
    # A failed launch of sorts, in the read's own frame: what it should have written is not read.
    far.copy(DEFAULT_STREAM, OTHER, 0, BUFFER, 0, 8)
    with pytest.raises(InvalidArgument):
        far.read_now(DEFAULT_STREAM, BUFFER, 0, out)
    far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(bytearray(content(2))))
    far.read_now(DEFAULT_STREAM, BUFFER, 0, out)
    assert out == content(2)


@pytest.mark.parametrize("cut", range(12))
def test_links_that_break_in_the_middle_lose_nothing(device: opencl.OpenClDevice, cut: int) -> None:
    """Each link ends a little later than the one before it, up or down."""
    made = 0

    def pair() -> tuple[Link, Link]:
        nonlocal made
        made += 1
        if made > 14:
            return stream_pair()
        # The handshake and the first, long transfer get through.
        some = 400 + made * SIZE // 3 + cut * SIZE // 12
        return relayed_pair(some, 1 << 40) if made % 2 else relayed_pair(1 << 40, some)

    worker = InprocWorker(device, pair)
    far = RemoteDevice(open_session(worker))
    try:
        far.allocate(BUFFER, SIZE)
        for seed in range(24):
            data = bytearray(content(seed))
            far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(data))
            data[:] = bytes(SIZE)
            out = bytearray(SIZE)
            far.read_now(DEFAULT_STREAM, BUFFER, 0, memoryview(out))
            assert out == content(seed), seed
        assert far.counts().resumed >= 5
        far.free(BUFFER)
    finally:
        far.close()
        worker.close()


# The client's end ---------------------------------------------------------------------------------
def scripted() -> ScriptedWorker:
    return ScriptedWorker(make_pair=near_pair, version=VERSION_MAX)


def test_an_upload_returns_when_the_worker_has_it() -> None:
    with desk(scripted()) as made:
        transfers = Transfers(made.link, made.link.express)  # type: ignore[arg-type]
        data = memoryview(bytearray(content(3)))
        sending = made.threads.submit(transfers.send, DEFAULT_STREAM, BUFFER, 5, data)
        (op,) = made.worker.batch().ops
        assert op == ops.Write(DEFAULT_STREAM, BUFFER, 5, SIZE, None)
        assert not sending.done()
        made.worker.acknowledge()
        assert sending.result(PATIENCE_S) is True


def test_a_large_read_behind_more_than_a_frame_holds_is_alone_in_its_own() -> None:
    """As finalizers may leave it: they gather while their thread sends."""
    worker = InprocWorker(SimDevice(1), near_pair)
    link = open_session(worker)
    far = RemoteDevice(link)
    link.bulk.round_trip.shortest_s = 0.0
    last = BATCH_OPS_MAX + 100
    try:
        far.allocate(BUFFER, SIZE)
        far.fill(DEFAULT_STREAM, BUFFER, 0, SIZE, b"\1")
        for number in range(2, last):
            far.allocate(Handle(number), 64)
        far.sync(DEFAULT_STREAM).wait()

        def finalizer() -> None:
            for number in range(2, last):
                far.free(Handle(number))

        link._inside.run(finalizer)
        out = bytearray(SIZE)
        far.read_now(DEFAULT_STREAM, BUFFER, 0, memoryview(out))
        assert out == b"\1" * SIZE
        assert not worker.endings
    finally:
        far.close()
        worker.close()


def test_an_upload_that_was_not_acknowledged_is_sent_again() -> None:
    with desk(scripted()) as made:
        data = memoryview(bytearray(content(4)))
        sending = made.threads.submit(made.far.write, DEFAULT_STREAM, BUFFER, 0, data)
        head = made.worker.frame()
        assert head.sizes == (SIZE,)
        made.worker.link.close()
        made.worker.greet()
        (op,) = made.worker.batch().ops
        assert isinstance(op, ops.Write)
        made.worker.acknowledge()
        sending.result(PATIENCE_S)


def test_a_download_that_breaks_off_begins_again() -> None:
    with desk(scripted()) as made:
        out = bytearray(SIZE)
        reading = made.threads.submit(made.far.read_now, DEFAULT_STREAM, BUFFER, 0, memoryview(out))
        cookie = cookie_of(made.worker.ops(1)[0])
        session, link = made.worker.session, made.worker.link
        frame = session.seal(encode([Reply(cookie, None, SIZE)]), [memoryview(content(5))])
        whole = b"".join(parts_of(frame.head, frame.payloads))
        assert isinstance(link, StreamLink)
        link.send_rest(frame.head, len(whole), None, frame.payloads)  # none of it
        link._socket.sendall(whole[: SIZE // 2])
        link.close()
        made.worker.greet()  # which sends again what is kept
        reading.result(PATIENCE_S)
        assert out == content(5)


def test_a_download_may_come_in_any_way() -> None:
    with desk(scripted()) as made:

        def asked() -> tuple[object, bytearray, int]:
            out = bytearray(SIZE)
            reading = made.threads.submit(
                made.far.read_now, DEFAULT_STREAM, BUFFER, 0, memoryview(out)
            )
            return reading, out, cookie_of(made.worker.ops(1)[0])

        reading, out, cookie = asked()
        for part in (content(6)[:1000], content(6)[1000:]):
            made.worker.reply(Reply(cookie, None, len(part)), payloads=[part])
        reading.result(PATIENCE_S)  # type: ignore[attr-defined]
        assert out == content(6)
        reading, out, cookie = asked()
        made.worker.reply(Reply(cookie, failure=Failure(3, "gone", "Read", 1)))
        error = reading.exception(PATIENCE_S)  # type: ignore[attr-defined]
        assert isinstance(error, GonError)
        assert out == bytes(SIZE)
        reading, out, cookie = asked()
        made.worker.reply(Reply(cookie + 1, None, SIZE), payloads=[content(7)])
        error = reading.exception(PATIENCE_S)  # type: ignore[attr-defined]
        assert isinstance(error, GonError)
        assert error.code is Code.REMOTE_PROTOCOL
