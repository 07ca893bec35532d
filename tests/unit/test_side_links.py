"""Side links of a session: real loops and sockets, that come, go and break at any moment."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from gon.clock import SYSTEM_CLOCK
from gon.errors import HostUnreachable, LinkLost, LocalProtocolError, RemoteProtocolError
from gon.limits import SIDE_CHUNK_BYTES_MAX, SIDES_MAX
from gon.model import Handle
from gon.testing.faulty_link import Cut, FaultyLink
from gon.transport.base import Link
from gon.transport.bundle import Bundle
from gon.transport.inproc import inproc_pair
from gon.transport.sides import CHUNK
from gon.transport.stream import StreamLink
from gon.wire.batch import SideLinks, decode
from gon.wire.frame import decode_head
from gon_client.remote import RemoteDevice
from gon_client.side_links import Opening
from gon_server.anteroom import Anteroom
from gon_server.devices.sim import SimDevice
from tests.bundles import bundle_pair, stream_ends
from tests.forced_side_links import force_side_links
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session

PIECE = 40_000
SIZE = 5 * PIECE + 1000
BUFFER, STREAM = Handle(7), Handle(8)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", PIECE)


class Place:
    """A worker, and how its client's links and side links are opened and broken."""

    def __init__(self, seed: int, cuts: int) -> None:
        self._chance = random.Random(seed)
        self._cuts = cuts
        self._links = 0
        # Ends of side links, to break them by.
        self._sockets: list[socket.socket] = []
        self.worker = InprocWorker(SimDevice(seed), self._pair)

    def _pair(self) -> tuple[Link, Link]:
        here, there = (Bundle(end) for end in stream_ends())
        self._links += 1
        if not 1 < self._links <= self._cuts:
            return here, there
        return FaultyLink(here, Cut.seeded(self._chance.randrange(1 << 30), 8 * SIZE)), there

    def open_side(self) -> Link:
        if self._cuts and self._chance.random() < 0.1:
            raise HostUnreachable("no more connections")
        here, there = socket.socketpair()
        self._sockets.append(there.dup())
        self.worker.take_side(StreamLink(there, "side:client"))
        return StreamLink(here, "side:worker")

    def perhaps_break(self) -> None:
        if self._cuts and self._sockets and self._chance.random() < 0.05:
            with suppress(OSError):  # it is over
                self._chance.choice(self._sockets).shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.worker.close()
        for each in self._sockets:
            each.close()


def _transfer(far: RemoteDevice, place: Place, number: int, turns: int) -> None:
    """Write and read back, again and again; what comes back is what was written."""
    buffer, stream = Handle(100 * number), Handle(100 * number + 1)
    far.allocate(buffer, SIZE)
    far.create_stream(stream)
    for turn in range(turns):
        sent = random.Random(turn).randbytes(SIZE)
        taken = bytearray(sent)
        far.write(stream, buffer, 0, memoryview(taken))
        taken[:] = bytes(SIZE)
        place.perhaps_break()
        read = bytearray(SIZE)
        if turn % 3:
            far.read_now(stream, buffer, 0, memoryview(read))
        else:
            far.read(stream, buffer, 0, memoryview(read)).wait()
        assert read == sent
    far.close_stream(stream)
    far.free(buffer)


@pytest.mark.parametrize("seed", range(8))
def test_every_byte_arrives_whatever_breaks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real threads, so no two runs are alike; whatever they do, every byte is as it should be."""
    force_side_links(monkeypatch, seed, threads=True)
    place = Place(seed, cuts=12 if seed % 4 else 0)
    far = RemoteDevice(open_session(place.worker, open_side=place.open_side))
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            _transfer(far, place, number, 40)
        except BaseException as error:  # noqa: BLE001 - told by the thread that asserts
            failures.append(error)

    try:
        threads = [threading.Thread(target=guarded, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert not failures, failures
        assert all(isinstance(each, LinkLost) for each in place.worker.endings)
    finally:
        far.close()
        place.close()


def _until(far: RemoteDevice, place: Place, done: Callable[[], bool]) -> None:
    end_s = SYSTEM_CLOCK.now_s() + PATIENCE_S
    while not done():
        assert SYSTEM_CLOCK.now_s() < end_s
        _transfer(far, place, 9, 1)


def test_stats_tell_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    force_side_links(monkeypatch, 1, threads=True)
    place = Place(1, cuts=0)
    far = RemoteDevice(open_session(place.worker, open_side=place.open_side))
    try:
        _until(far, place, lambda: far.counts().side_links > 0)
        _until(far, place, lambda: far.counts().side_links == 0)
        assert far.counts().side_links_added > 0
        assert far.counts().resumed == 0
        assert far.counts().bytes_sent > SIZE
    finally:
        far.close()
        place.close()


@pytest.mark.parametrize("older", ["gon_client.dial.VERSION_MAX", "gon.wire.versions.VERSION_MAX"])
def test_with_an_older_peer_there_are_none(older: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(older, 6)
    force_side_links(monkeypatch, 1, threads=True)
    place = Place(1, cuts=0)
    far = RemoteDevice(open_session(place.worker, open_side=place.open_side))
    try:
        _transfer(far, place, 1, 20)
        assert far.counts().side_links_added == 0
    finally:
        far.close()
        place.close()


def test_what_cannot_be_opened_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def refuse() -> Link:
        asked.set()
        raise HostUnreachable("the host takes no more")

    force_side_links(monkeypatch, 1, threads=True)
    place = Place(1, cuts=0)
    far = RemoteDevice(open_session(place.worker, open_side=refuse))
    try:
        _until(far, place, asked.is_set)
        _transfer(far, place, 1, 5)
        assert (far.counts().side_links_added, far.counts().resumed) == (0, 0)
    finally:
        far.close()
        place.close()


def test_those_opened_for_nobody_are_closed() -> None:
    anteroom = Anteroom()
    ends: list[Link] = []

    def open_side() -> Link:
        here, there = stream_ends()
        ends.append(there)
        anteroom.admit(there)
        return here

    opening = Opening(open_side, 3, SYSTEM_CLOCK)
    opening._run()
    opening.close()
    assert opening.is_over
    for end in ends:
        with pytest.raises(LinkLost):
            end.receive(PATIENCE_S)


# The host's end --------------------
def ticket_of(link: Link) -> bytes:
    raw = link.receive(PATIENCE_S)
    assert raw is not None
    (ticket,) = decode(SideLinks, decode_head(raw).body).tickets
    return ticket


def test_so_many_wait_at_most_and_the_oldest_goes() -> None:
    anteroom = Anteroom()
    ends = [stream_ends() for _ in range(SIDES_MAX + 1)]
    for _, there in ends:
        anteroom.admit(there)
    first, *others = [ticket_of(here) for here, _ in ends]
    with pytest.raises(LinkLost):
        ends[0][0].receive(PATIENCE_S)
    link, peer = bundle_pair(0)
    with pytest.raises(LinkLost, match="gone before"):
        anteroom.follow(link, SideLinks(0, (first,)))
    assert anteroom.follow(link, SideLinks(0, tuple(others))) == SIDES_MAX
    for each in (link, peer, *(here for here, _ in ends)):
        each.close()


@pytest.mark.parametrize(
    "word",
    [
        SideLinks(-1),
        SideLinks(3),
        SideLinks(1, (b"t",)),
        SideLinks(2, (b"t",) * (SIDES_MAX - 1)),
    ],
)
def test_words_that_cannot_be_meant_end_the_link(word: SideLinks) -> None:
    link, peer = bundle_pair(2)
    with pytest.raises(RemoteProtocolError):
        Anteroom().follow(link, word)
    link.close()
    peer.close()


def test_a_link_that_takes_none_refuses_them() -> None:
    here, there = inproc_pair()
    with pytest.raises(RemoteProtocolError):
        Anteroom().follow(here, SideLinks(0))
    here.close()
    there.close()


# What lies on them --------------------
@pytest.mark.parametrize(
    "chunks",
    [
        [(0, 0)],
        [(0, SIDE_CHUNK_BYTES_MAX + 1)],
        [(0, 10), (5, 10)],
    ],
)
def test_chunks_that_nobody_sends_end_the_link(chunks: list[tuple[int, int]]) -> None:
    bundle, peer = bundle_pair(0)
    mine, theirs = socket.socketpair()
    bundle.add(StreamLink(mine, "side"))
    bundle.receive_over(1)
    for at, size in chunks:
        theirs.sendall(CHUNK.pack(at, size) + bytes(min(size, 100)))
    with pytest.raises(RemoteProtocolError):
        bundle.receive_into(memoryview(bytearray(15)))
    with pytest.raises(LinkLost):
        peer.receive(PATIENCE_S)
    for each in (bundle, peer, theirs):
        each.close()


def test_one_that_breaks_ends_all() -> None:
    here, there = bundle_pair(3)
    here._all[1].close()
    with pytest.raises(LinkLost):
        _send_for_ever(here)
    with pytest.raises(LinkLost):
        _receive_for_ever(there)
    there.close()


def test_no_head_is_received_behind_a_payload_that_was_lost() -> None:
    here, there = bundle_pair(1)
    here.send(b"first", [bytes(100)])
    here.send(b"second")
    assert there.receive(PATIENCE_S) == b"first"
    there._all[0].close()
    with pytest.raises(LinkLost):
        there.receive_into(memoryview(bytearray(100)))
    assert there.lane is None
    with pytest.raises(LinkLost):
        there.receive(None)
    here.close()


def _send_for_ever(link: Link) -> None:
    while True:
        link.send(b"head", [bytes(PIECE)])


def _receive_for_ever(link: Link) -> None:
    while link.receive(PATIENCE_S) is not None:
        link.receive_into(memoryview(bytearray(PIECE)))


def test_no_more_than_so_many_are_taken() -> None:
    here, there = bundle_pair(SIDES_MAX)
    end, other = stream_ends()
    with pytest.raises(LocalProtocolError):
        here.add(end)
    for each in (here, there, end, other):
        each.close()


def test_fewer_close_the_others_and_the_link_goes_on() -> None:
    here, there = bundle_pair(3)
    last = here._all[2]
    here.send_over(1)
    there.receive_over(1)
    assert here.count == 1
    here.send(b"up", [b"x" * PIECE])
    there.send(b"down", [b"y" * PIECE])
    for end, byte in ((there, b"x"), (here, b"y")):
        assert end.receive(PATIENCE_S) is not None
        place = bytearray(PIECE)
        end.receive_into(memoryview(place))
        assert place == byte * PIECE
    there.send_over(1)
    here.receive_over(1)
    assert last.sock.fileno() == -1
    here.close()
    there.close()
