"""Large transfers in pieces: what goes between two of them, what is sent again, what an older peer
is given.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from gon.errors import GonError, LinkLost, RemoteProtocolError, WaitTimeout
from gon.limits import (
    BATCH_OPS_MAX,
    COPY_BYTES_PER_S,
    COPY_ROUND_TRIP_S,
    DOWNLOAD_PIECES_ACK,
    KIB,
)
from gon.model import DEFAULT_STREAM, Handle
from gon.testing.faulty_link import Cut, FaultyLink
from gon.transport.base import Link
from gon.wire import ops
from gon.wire.batch import Failure, Reply
from gon.wire.frame import Kind
from gon_client.interruption import Inside
from gon_client.remote import RemoteDevice
from gon_client.round_trip import RoundTrip
from gon_client.sending import Sending
from gon_server.devices.sim import SimDevice
from tests.forced_compression import force_compression
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session, remote, stream_pair
from tests.unit.scripted_worker import Desk, ScriptedWorker, cookie_of, desk

BUFFER, OTHER, STREAM = Handle(7), Handle(8), Handle(9)
PIECE = 40 * KIB
# Three pieces, the last one shorter.
SIZE = 2 * PIECE + 1000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", PIECE)


def content(seed: int, size: int = SIZE) -> bytearray:
    return bytearray(random.Random(seed).randbytes(size))


class Far(RoundTrip):
    """A round trip at which every upload is worth a copy."""

    def worth_copying(self, size_bytes: int) -> bool:
        return size_bytes > 0


# Uploads --------------------
def test_what_others_queue_goes_between_two_parts_of_an_upload() -> None:
    with desk(ScriptedWorker(frames_max=2, version=5)) as made:
        uploading = made.threads.submit(made.far.write, STREAM, BUFFER, 16, memoryview(content(1)))
        parts = [made.worker.ops(1)[0], made.worker.ops(1)[0]]
        sync = made.far.sync(DEFAULT_STREAM)
        made.worker.acknowledge()
        (asked,) = made.worker.ops(1)
        assert asked == ops.Sync(DEFAULT_STREAM, cookie_of(asked))
        made.worker.reply(Reply(cookie_of(asked)))
        parts += made.worker.ops(1)
        assert parts == [
            ops.WritePart(STREAM, BUFFER, 16 + at, min(PIECE, SIZE - at), 16, SIZE)
            for at in (0, PIECE, 2 * PIECE)
        ]
        sync.wait(PATIENCE_S)
        assert not uploading.done()
        made.worker.acknowledge()
        uploading.result(PATIENCE_S)


def test_half_of_the_credit_is_not_for_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_client.bulk.UPLOAD_PIECES_MAX", 2)
    with desk(ScriptedWorker(version=5)) as made:
        uploading = made.threads.submit(made.far.write, STREAM, BUFFER, 0, memoryview(content(1)))
        made.worker.ops(2)
        waiting = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
        (asked,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(asked)))
        made.worker.ops(1)
        made.worker.acknowledge()
        for each in (waiting, uploading):
            each.result(PATIENCE_S)


def test_an_upload_far_away_is_copied_and_sent_again_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gon_client.bulk.RoundTrip", Far)
    with desk(ScriptedWorker(version=5)) as made:
        taken = content(1)
        made.far.write(STREAM, BUFFER, 0, memoryview(taken))
        taken[:] = bytes(SIZE)
        before = made.link.counts()
        assert (before.waits, before.round_trips) == (0, 0)
        made.worker.link.close()
        made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
        made.worker.greet()
        arrived = b""
        for _ in range(3):
            head = made.worker.frame()
            place = bytearray(head.sizes[0])
            made.worker.link.receive_into(memoryview(place))
            made.worker.session.accept(head)
            arrived += place
        assert arrived == content(1)


def test_no_more_is_gathered_beside_an_upload_than_a_frame_may_have() -> None:
    with desk(ScriptedWorker(version=3)) as made:
        sending, left = made.link._sending, 2 * BATCH_OPS_MAX

        def queue() -> None:
            for _ in range(left):
                made.far.sync(DEFAULT_STREAM)
            made.link.flush()

        sending.begin_pieces()
        with sending.lock:
            queueing = made.threads.submit(queue)
            while not sending.line:
                assert not queueing.done(), "more is gathered than a worker takes"
        sending.end_pieces()
        while left:
            left -= len(made.worker.batch().ops)
            made.worker.acknowledge()
        queueing.result(PATIENCE_S)


def test_an_older_worker_is_sent_one_write() -> None:
    with desk(ScriptedWorker(version=3)) as made:
        uploading = made.threads.submit(made.far.write, STREAM, BUFFER, 0, memoryview(content(1)))
        assert made.worker.ops(1) == [ops.Write(STREAM, BUFFER, 0, SIZE, None)]
        made.worker.acknowledge()
        uploading.result(PATIENCE_S)


def test_the_parts_of_an_upload_have_the_line_that_called_it() -> None:
    with desk(ScriptedWorker(frames_max=2, version=5)) as made:
        uploading = made.threads.submit(made.far.write, STREAM, BUFFER, 0, memoryview(content(1)))
        for _ in range(3):
            made.worker.ops(1)
            made.worker.acknowledge()
        uploading.result(PATIENCE_S)
        assert len(made.link._origins.batches) == 1
        assert made.link._origins.name(1) == made.link._origins.name(3) != ""


# Downloads --------------------
def asked_for(made: Desk, place: bytearray, timeout_s: float | None = None) -> Future[None]:
    return made.threads.submit(made.far.read_now, STREAM, BUFFER, 0, memoryview(place), timeout_s)


def test_others_are_answered_between_two_pieces_of_a_download() -> None:
    with desk(ScriptedWorker(version=5)) as made:
        place = bytearray(SIZE)
        reading = asked_for(made, place)
        (read,) = made.worker.ops(1)
        data = bytes(content(1))
        made.worker.reply(Reply(cookie_of(read), None, PIECE), payloads=[data[:PIECE]])
        waiting = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
        (asked,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(asked)))
        waiting.result(PATIENCE_S)
        assert not reading.done()
        # A frame may have two of them.
        rest = data[PIECE : 2 * PIECE], data[2 * PIECE :]
        replies = [Reply(cookie_of(read), None, len(each)) for each in rest]
        made.worker.reply(*replies, payloads=rest)
        reading.result(PATIENCE_S)
        assert place == data


@pytest.mark.parametrize("version", [3, 5])
def test_nothing_is_sent_behind_a_read_that_its_thread_does_not_wait_in(version: int) -> None:
    with desk(ScriptedWorker(version=version)) as made:
        place = bytearray(SIZE)
        target = memoryview(place)
        reading = (
            made.threads.submit(made.far.read(STREAM, BUFFER, 0, target).wait)
            if version == 5
            else asked_for(made, place)
        )
        (read,) = made.worker.ops(1)
        waiting = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
        assert made.worker.link.receive(0.02) is None
        data = bytes(content(1))
        made.worker.reply(Reply(cookie_of(read), None, SIZE), payloads=[data])
        (asked,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(asked)))
        waiting.result(PATIENCE_S)
        reading.result(PATIENCE_S)
        assert place == data


def test_a_read_that_timed_out_holds_back_what_follows_until_it_is_here() -> None:
    with desk(ScriptedWorker(version=5)) as made:
        reading = asked_for(made, bytearray(SIZE), 0.01)
        (read,) = made.worker.ops(1)
        assert isinstance(reading.exception(PATIENCE_S), WaitTimeout)
        waiting = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
        assert made.worker.link.receive(0.02) is None
        made.worker.reply(Reply(cookie_of(read), None, SIZE), payloads=[bytes(SIZE)])
        made.worker.reply(Reply(cookie_of(made.worker.ops(1)[0])))
        waiting.result(PATIENCE_S)


def test_a_failure_ends_a_download() -> None:
    with desk(ScriptedWorker(version=5)) as made:
        reading = asked_for(made, bytearray(SIZE))
        (read,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(read), None, PIECE), payloads=[bytes(PIECE)])
        made.worker.reply(Reply(cookie_of(read), failure=Failure(3, "gone", "Read", 1)))
        error = reading.exception(PATIENCE_S)
        assert isinstance(error, GonError)
        assert "gone" in error.message
        waiting = made.threads.submit(made.far.sync(DEFAULT_STREAM).wait)
        made.worker.reply(Reply(cookie_of(made.worker.ops(1)[0])))
        waiting.result(PATIENCE_S)


def test_pieces_are_acknowledged_while_nothing_is_sent() -> None:
    with desk(ScriptedWorker(version=5)) as made:
        reading = asked_for(made, bytearray(DOWNLOAD_PIECES_ACK * PIECE + 1))
        (read,) = made.worker.ops(1)
        for _ in range(DOWNLOAD_PIECES_ACK):
            made.worker.reply(Reply(cookie_of(read), None, PIECE), payloads=[bytes(PIECE)])
        head = made.worker.frame()
        assert (head.kind, head.ack) == (Kind.ACK, DOWNLOAD_PIECES_ACK)
        made.worker.reply(Reply(cookie_of(read), None, 1), payloads=[b"x"])
        reading.result(PATIENCE_S)


def test_more_than_was_asked_for_ends_the_session() -> None:
    with desk(ScriptedWorker(version=5)) as made:
        reading = asked_for(made, bytearray(SIZE))
        (read,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(read), None, SIZE - 1), payloads=[bytes(SIZE - 1)])
        made.worker.reply(Reply(cookie_of(read), None, 2), payloads=[bytes(2)])
        assert isinstance(reading.exception(PATIENCE_S), RemoteProtocolError)


# Both --------------------
def test_older_clients_are_answered_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_client.dial.VERSION_MAX", 3)
    with remote(SimDevice()) as far:
        far.allocate(BUFFER, SIZE)
        far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(content(1)))
        place = bytearray(SIZE)
        before = far.counts().batches
        far.read_now(DEFAULT_STREAM, BUFFER, 0, memoryview(place))
        far.read(DEFAULT_STREAM, BUFFER, 0, memoryview(place)).wait()
        assert place == content(1)
        assert far.counts().batches == before + 2


@pytest.mark.parametrize("seed", range(12))
def test_threads_that_transfer_and_threads_that_wait_through_lost_links(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real threads, so no two runs are alike; whatever they do, every byte is as it should be."""
    if seed % 2:
        force_compression(monkeypatch)
    links = 0

    def cut_pair() -> tuple[Link, Link]:
        nonlocal links
        here, there = stream_pair()
        cut = Cut.seeded(1000 * seed + links, 8 * SIZE)
        links += 1
        return (FaultyLink(here, cut) if 1 < links < 12 else here), there

    worker = InprocWorker(SimDevice(seed), cut_pair)
    far = RemoteDevice(open_session(worker))
    try:
        failures: list[BaseException] = []
        threads = [
            threading.Thread(target=_guarded, args=(failures, work, far, number))
            for number, work in enumerate((_transfers, _transfers, _small_work), 1)
        ]
        for thread in threads:
            thread.start()
        worker.connect().close()  # ends the link that is there
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert not failures, failures
        assert all(isinstance(ending, LinkLost) for ending in worker.endings), worker.endings
    finally:
        far.close()
        worker.close()


def _guarded(
    failures: list[BaseException],
    work: Callable[[RemoteDevice, int], None],
    far: RemoteDevice,
    number: int,
) -> None:
    try:
        work(far, number)
    except BaseException as error:  # noqa: BLE001 - told by the thread that asserts
        failures.append(error)


def _transfers(far: RemoteDevice, number: int) -> None:
    buffer, stream = Handle(100 * number), Handle(100 * number + 1)
    far.allocate(buffer, SIZE)
    far.create_stream(stream)
    for turn in range(12):
        taken = content(100 * number + turn)
        taken[: SIZE // 2] = bytes(SIZE // 2)  # one of the pieces shrinks, and half of another
        sent = bytes(taken)
        far.write(stream, buffer, 0, memoryview(taken))
        taken[:] = bytes(SIZE)
        place = bytearray(SIZE)
        if turn % 3:
            far.read_now(stream, buffer, 0, memoryview(place))
        else:
            far.read(stream, buffer, 0, memoryview(place)).wait()
        assert place == sent


def _small_work(far: RemoteDevice, number: int) -> None:
    buffer, stream = Handle(100 * number), Handle(100 * number + 1)
    far.allocate(buffer, 64)
    far.create_stream(stream)
    for turn in range(100):
        far.fill(stream, buffer, 0, 64, bytes((turn,)))
        if turn % 5:
            far.sync(stream).wait()
        place = bytearray(64)
        far.read(stream, buffer, 0, memoryview(place)).wait()
        assert place == bytes((turn,)) * 64


# What is decided --------------------
def test_a_copy_is_worth_it_where_the_round_trip_is_longer() -> None:
    near = RoundTrip(COPY_ROUND_TRIP_S)
    assert not near.worth_copying(1)
    far = RoundTrip(0.1)
    size = int(0.1 * COPY_BYTES_PER_S)
    assert far.worth_copying(size - 1)
    assert not far.worth_copying(size)


def test_the_shortest_round_trip_counts() -> None:
    trip = RoundTrip(0.1)
    trip.mark(3, 10.0)
    assert trip.marked == 3
    trip.acknowledged(10.2)
    assert (trip.marked, trip.shortest_s) == (0, 0.1)
    trip.mark(4, 20.0)
    trip.acknowledged(20.0005)
    assert not trip.worth_copying(1)


def test_who_sends_pieces_gives_way() -> None:
    sending = Sending(Inside())
    sending.begin_pieces()
    assert sending.in_pieces
    had: list[bool] = []

    def take() -> None:
        with sending.line, sending.lock:
            had.append(True)

    with sending.lock:
        other = threading.Thread(target=take)
        other.start()
        while not sending.line:
            assert other.is_alive()
    while not had:
        sending.give_way()
        with sending.lock:
            pass
    other.join(PATIENCE_S)
    sending.end_pieces()
    assert not sending.in_pieces
    sending.give_way()
