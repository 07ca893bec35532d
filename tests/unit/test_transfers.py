"""Transfers of whole arrays, natively on both ends: over sockets, in front of an OpenCL device.

What breaks a link in their middle is a relay that ends it after so many bytes.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
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
from gon.wire.frame import Kind
from gon.wire.versions import QUIET_WORDS, VERSION_MAX
from gon_client.device import Device
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
    monkeypatch.setattr(session._link.bulk, "took", lambda _bytes, _took_s: None)
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


def test_an_upload_answers_the_sync_behind_it(far: RemoteDevice) -> None:
    """One wait for both, once, where nothing has failed and nothing was queued in between."""
    express = far._express
    assert express is not None
    data = memoryview(bytearray(content(1)))

    def syncs(between: Callable[[], None] = lambda: None) -> int:
        far.write(DEFAULT_STREAM, BUFFER, 0, data)
        between()
        asked = far.counts().ops
        express.sync_now(DEFAULT_STREAM)
        first = far.counts().ops - asked
        express.sync_now(DEFAULT_STREAM)
        assert far.counts().ops == asked + first + 1
        return first

    express.sync_now(DEFAULT_STREAM)
    assert syncs() == 0
    assert syncs(lambda: far.fill(DEFAULT_STREAM, BUFFER, 0, 8, b"\1")) == 1
    # What has failed on another stream, or stays to be told on this one, is asked for.
    far.create_stream(Handle(7))
    far.copy(Handle(7), OTHER, 0, BUFFER, 0, 8)
    assert syncs() == 1
    with pytest.raises(InvalidArgument):
        far.sync(Handle(7)).wait()
    assert syncs() == 0
    far.write(DEFAULT_STREAM, BUFFER, 1, memoryview(bytearray(SIZE)))
    far.write(DEFAULT_STREAM, BUFFER, 0, data)
    with pytest.raises(InvalidArgument):
        express.sync_now(DEFAULT_STREAM)
    far.write(DEFAULT_STREAM, BUFFER, 0, data)
    express.sync_now(DEFAULT_STREAM)


def test_an_older_client_is_told_of_no_quiet(
    device: opencl.OpenClDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gon_client.dial.VERSION_MAX", QUIET_WORDS - 1)
    worker = InprocWorker(device, stream_pair)
    far = RemoteDevice(open_session(worker))
    try:
        assert far._express is not None
        far.allocate(BUFFER, SIZE)
        for seed in range(3):
            far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(bytearray(content(seed))))
            asked = far.counts().ops
            far._express.sync_now(DEFAULT_STREAM)
            assert far.counts().ops == asked + 1
        far.free(BUFFER)
    finally:
        far.close()
        worker.close()


@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "f4", "c8", "M8[s]", "S3", "i4,f8", "?"])
@pytest.mark.parametrize("count", [1, 700, 70_000])
def test_arrays_of_any_kind(device: opencl.OpenClDevice, dtype: str, count: int) -> None:
    """Those that have no plain view of their bytes, and those that are refused, the long way."""
    worker = InprocWorker(device, stream_pair)
    link = open_session(worker)
    link.bulk.round_trip.shortest_s = 0.0
    raw = content(count, count * np.dtype(dtype).itemsize)
    host = np.frombuffer(raw, "?" if dtype == "?" else dtype)
    host = (np.frombuffer(raw, np.uint8) & 1).view(bool) if dtype == "?" else host
    far = RemoteDevice(link)
    with Device(
        far,
        where="here",
        memory_bytes=1 << 30,
        counts=far.counts,
        on_close=far.close,
        express=link.express,
    ) as dev:
        array = dev.empty((count, 1), host.dtype)
        array.set(host.reshape(count, 1))
        array.set(np.asfortranarray(np.repeat(host.reshape(count, 1), 2, 1))[:, :1])
        out = np.zeros((count, 1), host.dtype)
        assert array.get(out) is out
        assert out.tobytes() == host.tobytes()
        for wrong in (out[::-1], np.broadcast_to(out[:1], out.shape)):
            with pytest.raises(InvalidArgument):
                array.get(wrong) if count > 1 else array.get(out[:0])
        with pytest.raises(InvalidArgument, match="fit"):
            array.buffer.copy_from(host, offset=1)
        array.buffer.close()
        for moved in (lambda: array.set(out), lambda: array.get(out)):
            with pytest.raises(InvalidArgument, match="closed"):
                moved()
    worker.close()


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


def test_a_quiet_word_is_of_the_upload_that_was_sent_last() -> None:
    """And of its stream; whatever else it comes for, it acknowledges, and no more."""
    with desk(scripted()) as made:
        express = made.link.express
        assert express is not None

        def upload(stream: Handle, kind: Kind) -> None:
            data = memoryview(bytearray(content(3)))
            sending = made.threads.submit(made.far.write, stream, BUFFER, 0, data)
            made.worker.batch()
            made.worker.acknowledge(kind)
            sending.result(PATIENCE_S)

        def asks(stream: Handle) -> None:
            waiting = made.threads.submit(express.sync_now, stream)
            (op,) = made.worker.batch().ops
            assert op == ops.Sync(stream, cookie_of(op))
            made.worker.reply(Reply(cookie_of(op)))
            waiting.result(PATIENCE_S)

        upload(DEFAULT_STREAM, Kind.QUIET)
        express.sync_now(DEFAULT_STREAM)  # nobody answers
        asks(DEFAULT_STREAM)
        upload(DEFAULT_STREAM, Kind.ACK)
        asks(DEFAULT_STREAM)
        upload(Handle(7), Kind.QUIET)
        asks(DEFAULT_STREAM)
        asks(Handle(7))
        # A wait for another stream that was over before, and is heard of now.
        upload(Handle(7), Kind.QUIET)
        express.found_quiet(DEFAULT_STREAM, 1)
        asks(DEFAULT_STREAM)


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
