"""The worker's side of large transfers: reads in pieces, buffers that are overwritten in parts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from gon.errors import RemoteProtocolError
from gon.limits import (
    DOWNLOAD_PIECES_MAX,
    DOWNLOADS_MAX,
    OVERWRITING_MAX,
    PARTS_UNACKED_BYTES_MAX,
    PARTS_UNACKED_MAX,
    PIECE_BYTES_MAX,
    UPLOAD_BYTES_MAX,
    UPLOAD_PIECES_MAX,
)
from gon.model import Handle
from gon.transport.base import Link
from gon.transport.inproc import inproc_pair
from gon.wire import ops
from gon.wire.batch import Reply
from gon.wire.session import Role, Session
from gon_server.devices.sim import SimDevice
from gon_server.downloads import Downloads
from gon_server.executor import Executor
from gon_server.overwriting import Overwriting, Parts

BUFFER = Handle(7)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", 1)


@contextmanager
def downloads() -> Generator[tuple[Downloads, Session, Link]]:
    """Give a worker's downloads of a buffer, and both ends of a link in one thread."""
    device = SimDevice()
    device.allocate(BUFFER, 2 * DOWNLOAD_PIECES_MAX)
    session = Session(Role.WORKER, frames_max=1 << 20, bytes_max=1 << 40)
    session.join(0)
    some = Downloads(Executor(device, 1 << 20), session)
    some.on_another_link(pieces=True)
    here, there = inproc_pair()
    yield some, session, here
    there.close()
    device.close()


def test_a_worker_keeps_so_many_pieces_until_it_hears_of_them() -> None:
    with downloads() as (some, session, _link):
        some.add(ops.Read(0, BUFFER, 0, 2 * DOWNLOAD_PIECES_MAX, 1), 1)
        for _ in range(DOWNLOAD_PIECES_MAX):
            here, there = inproc_pair()
            assert some.may_send()
            some.send_piece(here)
            there.close()
        assert not some.may_send()
        session.take_ack(1)
        assert some.may_send()
        assert some


def test_a_worker_answers_so_many_large_reads_at_once() -> None:
    with downloads() as (some, _session, _link):
        for cookie in range(DOWNLOADS_MAX):
            some.add(ops.Read(0, BUFFER, 0, 2, cookie), 1)
        with pytest.raises(RemoteProtocolError, match="large reads at once"):
            some.add(ops.Read(0, BUFFER, 0, 2, 1 << 20), 1)


def test_a_piece_that_can_not_be_read_again_ends_the_session() -> None:
    with downloads() as (some, session, link):
        some.add(ops.Read(0, BUFFER, 0, 2, 1), 1)
        some.send_piece(link)
        (frame,) = session.kept()
        some._executor._device.free(BUFFER)
        with pytest.raises(RemoteProtocolError, match="gone before it was received"):
            some.send_again(link, frame)


def test_a_buffer_that_is_freed_lives_until_its_reads_are_received() -> None:
    with downloads() as (some, session, link):
        executor = some._executor
        executor.run_op(ops.Free(BUFFER), 1)
        executor.run_op(ops.Allocate(BUFFER, 2), 2)
        some.add(ops.Read(0, BUFFER, 0, 2, 1), 3)
        some.send_piece(link)
        executor.run_op(ops.Free(BUFFER), 4)
        some.send_piece(link)
        assert not some
        for frame in session.kept():
            some.send_again(link, frame)
        assert "1 buffers" in repr(executor)
        for acked, left in ((1, 1), (2, 0)):
            session.take_ack(acked)
            some.forget_received()
            assert f"{left} buffers" in repr(executor)
        assert executor.run_op(ops.SyncAll(1), 5) == Reply(1)


def test_a_free_after_the_last_piece_is_received_is_at_once() -> None:
    with downloads() as (some, session, link):
        executor = some._executor
        executor.run_op(ops.Free(BUFFER), 1)
        executor.run_op(ops.Allocate(BUFFER, 1), 2)
        some.add(ops.Read(0, BUFFER, 0, 1, 1), 3)
        some.send_piece(link)
        session.take_ack(1)
        executor.run_op(ops.Free(BUFFER), 4)
        assert "0 buffers" in repr(executor)


def test_a_buffer_that_is_gone_fails_the_rest_of_its_download() -> None:
    with downloads() as (some, session, link):
        some.add(ops.Read(0, BUFFER, 0, 2, 1), 1)
        some.send_piece(link)
        some._executor._device.free(BUFFER)
        some.send_piece(link)
        assert not some
        assert session.sent == 2


def part(at: int, size: int, buffer: int = 1) -> ops.WritePart:
    return ops.WritePart(0, buffer, at, size, 0, 30)


def test_a_buffer_is_overwritten_once_no_part_is_missing() -> None:
    some = Overwriting()
    assert [some.completes(part(at, 10)) for at in (0, 10, 20)] == [False, False, True]
    # The same part comes again on the next link.
    assert [some.completes(part(at, 10)) for at in (0, 10, 10, 20)] == [False, False, False, True]
    assert [some.completes(part(at, 10)) for at in (0, 20)] == [False, False]
    assert [some.completes(part(at, 10)) for at in (10, 20)] == [False, False]
    assert not some.completes(part(0, 10))
    some.begin_again(1)
    assert [some.completes(part(at, 10)) for at in (10, 20)] == [False, False]
    assert some.completes(ops.Write(0, 1, 0, 30, None))


def test_buffers_that_are_being_overwritten_are_so_many() -> None:
    some = Overwriting()
    for buffer in range(OVERWRITING_MAX + 1):
        some.completes(part(0, 10, buffer))
    assert [some.completes(part(10, 20, buffer)) for buffer in (0, 1)] == [False, True]


def test_a_poisoned_buffer_is_usable_again_after_the_last_part() -> None:
    device = SimDevice()
    executor = Executor(device, 1 << 20)
    read = ops.Read(0, BUFFER, 0, 4, 9)

    def fails() -> bool:
        reply = executor.run_op(read, 99)
        executor.run_op(ops.Sync(0, 10), 100)
        assert reply is not None
        return reply.failure is not None

    def write(number: int, at: int) -> None:
        place = executor.begin_write(ops.WritePart(0, BUFFER, at, 10, 0, 30), number)
        assert place is not None
        place[:] = b"x" * 10
        executor.end_window()

    executor.run_op(ops.Allocate(BUFFER, 30), 1)
    executor.run_op(ops.Copy(0, 1234, 0, BUFFER, 0, 4), 2)
    executor.run_op(ops.Sync(0, 10), 3)
    assert fails()
    write(4, 0)
    assert fails()
    write(5, 10)
    write(6, 10)  # again, on the next link
    assert fails()
    write(7, 20)
    assert not fails()
    device.close()


def test_parts_are_acknowledged_before_their_sender_may_send_no_more() -> None:
    parts = Parts()
    assert [parts.are_owed(1) for _ in range(PARTS_UNACKED_MAX)].index(True) < UPLOAD_PIECES_MAX
    parts.acknowledge()
    assert not parts.are_owed(PARTS_UNACKED_BYTES_MAX - 1)
    assert parts.are_owed(1)
    assert PARTS_UNACKED_BYTES_MAX + PIECE_BYTES_MAX < UPLOAD_BYTES_MAX
