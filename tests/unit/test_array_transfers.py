"""Whole arrays to and from a far device by the native way, and what an upload's acknowledgement
tells of the wait behind it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gon.errors import InvalidArgument
from gon.model import DEFAULT_STREAM, Handle
from gon.native import NATIVE
from gon.wire import ops
from gon.wire.batch import Reply
from gon.wire.frame import Kind
from gon.wire.versions import QUIET_WORDS
from gon_client.device import Device
from gon_client.remote import RemoteDevice
from gon_server.devices import opencl
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session, stream_pair
from tests.unit.scripted_worker import cookie_of, desk
from tests.unit.test_transfers import (
    BUFFER,
    OTHER,
    SIZE,
    content,
    device,
    far,
    scripted,
)

pytestmark = pytest.mark.skipif(not NATIVE, reason="the native modules are not built")

__all__ = ["device", "far"]  # fixtures


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
