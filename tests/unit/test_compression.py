"""Compressed pieces on their way: what an end that has no compression is given, what a peer that
lies about them comes to, what is kept to be sent again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec
import pytest
import zstandard

from gon.compression import compress, expand
from gon.errors import RemoteProtocolError
from gon.limits import KIB, PIECE_BYTES_MAX, UNACKED_BYTES_MAX
from gon.model import DEFAULT_STREAM, Handle
from gon.transport.base import Link
from gon.transport.inproc import inproc_pair
from gon.wire import ops
from gon.wire.batch import Batch, Hello, Refuse, Reply, Welcome, decode, decode_replies, encode
from gon.wire.frame import Head, Kind, decode_head
from gon.wire.session import Role, Session
from gon.wire.versions import VERSION_MAX, VERSION_MIN
from gon_client.remote import RemoteDevice
from gon_server.conversation import Conversation
from gon_server.devices.sim import SimDevice
from gon_server.downloads import Downloads
from gon_server.executor import Executor
from tests.forced_compression import force_compression
from tests.inproc_worker import PATIENCE_S, remote
from tests.unit.scripted_worker import ScriptedWorker, cookie_of, desk

BUFFER = Handle(7)
PIECE = 64 * KIB
SIZE = 2 * PIECE + 1000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    force_compression(monkeypatch)
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", PIECE)


def there_and_back(far: RemoteDevice, data: bytes) -> bytes:
    far.allocate(BUFFER, len(data))
    far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(bytearray(data)))
    place = bytearray(len(data))
    far.read_now(DEFAULT_STREAM, BUFFER, 0, memoryview(place))
    return bytes(place)


def test_what_shrinks_travels_compressed_and_is_counted() -> None:
    data = bytes(range(250)) * (SIZE // 250)
    with remote(SimDevice()) as far:
        assert there_and_back(far, data) == data
        counts = far.counts()
    assert counts.compressed == 6
    assert 2 * len(data) * 0.9 < counts.compressed_bytes < 2 * len(data)


@pytest.mark.parametrize("without", ["gon_client.dial", "gon_server.conversation"])
def test_an_end_that_has_none_is_sent_everything_as_it_is(
    without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{without}.COMPRESSIONS", ())
    with remote(SimDevice()) as far:
        assert there_and_back(far, bytes(SIZE)) == bytes(SIZE)
        assert far.counts().compressed == 0


def test_an_older_client_names_none_and_an_older_worker_chooses_none() -> None:
    """Whatever was added behind these, an older one says less."""
    hello = encode(Hello(1, 5, b"s", 0, "c", ("zstd",)))
    assert decode(Hello, _first(5, hello)).compressions == ()
    welcome = encode(Welcome(6, 0, False, 4, 4, SimDevice().info, b"", "zstd"))
    assert decode(Welcome, _first(7, welcome)).compression == ""


def _first(count: int, coded: bytes) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.decode(coded, type=list[object])[:count])


def test_an_upload_that_went_compressed_does_not_wait_for_its_acknowledgement() -> None:
    """It is kept as it went, so the caller's bytes are needed no more."""
    with desk(ScriptedWorker(version=6, compression="zstd")) as made:
        taken = bytearray(b"x" * SIZE)
        made.far.write(DEFAULT_STREAM, BUFFER, 0, memoryview(taken))
        taken[:] = bytes(SIZE)
        assert made.link.counts().waits == 0
        made.worker.greet()
        arrived = b""
        for count in (PIECE, PIECE, 1000):
            head = made.worker.frame()
            place = bytearray(head.sizes[0])
            made.worker.link.receive_into(memoryview(place))
            made.worker.session.accept(head)
            arrived += expand(place, count) if len(place) < count else place
        assert arrived == b"x" * SIZE


# Peers that lie --------------------
def oversized(size: int) -> bytes:
    """Return a frame that names more than it should hold."""
    return compress(memoryview(bytes(size)))


def unnamed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


BAD: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no compressed data": lambda: b"x" * 40,
    "of another size": lambda: oversized(PIECE + 1),
    "a bomb": lambda: oversized(64 * PIECE_BYTES_MAX),
    "a size it does not name": lambda: unnamed(bytes(PIECE)),
    "cut": lambda: oversized(PIECE)[:-3],
    "with something behind": lambda: oversized(PIECE) + b"more",
    # Names the right size in its header (single segment, 4 bytes of size), and holds one byte.
    "less than it names": lambda: struct.pack("<IBI", 0xFD2FB528, 0xA0, PIECE) + b"\x09\0\0x",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_not_the_bytes_of_its_place_is_not_expanded(kind: str) -> None:
    with pytest.raises(RemoteProtocolError):
        expand(BAD[kind](), PIECE)


def test_no_more_than_a_piece_is_expanded() -> None:
    size = PIECE_BYTES_MAX + 1
    with pytest.raises(RemoteProtocolError):
        expand(oversized(size), size)
    with pytest.raises(RemoteProtocolError):
        decode_replies(memoryview(encode([Reply(1, None, size)])), [100], compressed=True)


def test_a_shorter_payload_is_an_error_where_no_compression_is_agreed_on() -> None:
    body = memoryview(encode([Reply(1, None, PIECE)]))
    assert decode_replies(body, [100], compressed=True)
    for sizes, compressed in (([100], False), ([PIECE + 1], True), ([], True), ([9, 9], True)):
        with pytest.raises(RemoteProtocolError):
            decode_replies(body, sizes, compressed=compressed)


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind != "nothing"])
def test_a_worker_writes_nothing_of_a_payload_that_is_none(kind: str) -> None:
    device = SimDevice()
    conversation = Conversation(device, 1 << 20)
    session = Session(Role.CLIENT, frames_max=8, bytes_max=1 << 20)
    here, there = inproc_pair()
    hello = Hello(VERSION_MIN, VERSION_MAX, b"s" * 16, 0, "tests", ("zstd",))
    session.join(0)
    here.send(session.word(Kind.HELLO, encode(hello)))
    allocate = ops.Allocate(BUFFER, PIECE + 64)
    here.send(session.seal(encode(Batch(1, [allocate]))).head)
    write = ops.WritePart(DEFAULT_STREAM, BUFFER, 32, PIECE, 32, PIECE)
    bad = BAD[kind]()
    if len(bad) >= PIECE:
        pytest.skip("it is no shorter than what it stands for")
    frame = session.seal(encode(Batch(2, [write])), [memoryview(bad)])
    here.send(frame.head, frame.payloads)
    with pytest.raises(RemoteProtocolError):
        conversation.serve(there)
    last = refusal(here)
    assert last.message
    place = bytearray(PIECE + 64)
    device.read(DEFAULT_STREAM, BUFFER, 0, memoryview(place)).wait()
    assert not any(place)
    # The session is there to be gone on with.
    assert conversation.statistics().frames_received == 1
    device.close()


def refusal(link: Link) -> Refuse:
    """Return the last word of a worker."""
    while True:
        head = received_head(link)
        if head.kind is Kind.REFUSE:
            return decode(Refuse, head.body)


def received_head(link: Link) -> Head:
    raw = link.receive(PATIENCE_S)
    assert raw is not None
    return decode_head(raw)


@pytest.mark.parametrize("kind", BAD)
def test_a_client_ends_a_session_whose_payloads_are_none(kind: str) -> None:
    bad = BAD[kind]()
    if len(bad) >= PIECE:
        pytest.skip("it is no shorter than what it stands for")
    with desk(ScriptedWorker(version=6, compression="zstd")) as made:
        place = bytearray(PIECE + 64)
        target = memoryview(place)[32:-32]
        reading = made.threads.submit(made.far.read_now, DEFAULT_STREAM, BUFFER, 0, target, None)
        (read,) = made.worker.ops(1)
        made.worker.reply(Reply(cookie_of(read), None, PIECE), payloads=[bad])
        assert isinstance(reading.exception(PATIENCE_S), RemoteProtocolError)
        assert not any(place)


# What a worker keeps --------------------
def downloads_of(data: bytes) -> tuple[Downloads, Session, SimDevice]:
    device = SimDevice()
    device.allocate(BUFFER, len(data))
    device.write(DEFAULT_STREAM, BUFFER, 0, memoryview(data))
    session = Session(Role.WORKER, frames_max=1 << 20, bytes_max=UNACKED_BYTES_MAX)
    session.join(0)
    some = Downloads(Executor(device, 1 << 20), session)
    some.on_another_link(pieces=True, compression="zstd")
    some.add(ops.Read(DEFAULT_STREAM, BUFFER, 0, len(data), 1), 1)
    return some, session, device


def payload_of(link: Link) -> bytes:
    (size,) = received_head(link).sizes
    place = bytearray(size)
    link.receive_into(memoryview(place))
    return bytes(place)


def test_a_compressed_piece_is_sent_again_as_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    some, session, device = downloads_of(bytes(PIECE))
    here, there = inproc_pair()
    some.send_piece(here)
    monkeypatch.setattr("gon.compression._LEVEL", 19)
    (frame,) = session.kept()
    first = payload_of(there)
    here, there = inproc_pair()
    some.send_again(here, frame)
    assert payload_of(there) == first
    assert expand(first, PIECE) == bytes(PIECE)
    device.close()


def test_what_a_worker_keeps_compressed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_server.downloads.DOWNLOAD_COMPRESSED_BYTES_MAX", PIECE)
    some, session, device = downloads_of(bytes(4 * PIECE))
    sizes: list[int] = []
    for turn in range(4):
        here, there = inproc_pair()
        if turn == 2:
            session.take_ack(1)
        assert some.may_send()
        some.send_piece(here)
        sizes.append(received_head(there).sizes[0])
        there.close()
    assert [size < PIECE for size in sizes] == [True, False, True, False]
    device.close()
