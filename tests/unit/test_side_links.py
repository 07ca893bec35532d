"""Side links of a session: real loops and sockets, that come, go and break at any moment."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable

import pytest

from gon.clock import SYSTEM_CLOCK
from gon.errors import HostUnreachable, LinkLost, RemoteProtocolError
from gon.model import Handle
from gon.testing.faulty_link import Cut, FaultyLink
from gon.transport.base import Link
from gon.transport.bundle import Bundle
from gon.transport.stream import StreamLink
from gon.wire.batch import SideLinks, encode
from gon.wire.frame import Kind, encode_head
from gon_client.counts import LinkCounts
from gon_client.remote import RemoteDevice
from gon_client.side_links import Opening, receive_ticket
from gon_client.width import Width
from gon_server.anteroom import Anteroom
from gon_server.devices.sim import SimDevice
from tests.bundles import lose, stream_ends
from tests.forced_side_links import MOST, force_side_links
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S, InprocWorker, open_session

PIECE = 40_000
SIZE = 5 * PIECE + 1000
BUFFER, STREAM = Handle(7), Handle(8)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", PIECE)


class Place:
    """A worker, and how its client's links and side links are opened and broken: `breaks` is how
    likely it is that a side link breaks before a transfer.
    """

    def __init__(self, seed: int, cuts: int, breaks: float = 0) -> None:
        self._chance = random.Random(seed)
        self._cuts = cuts
        self._breaks = 0.05 if cuts else breaks
        self._links = 0
        self._lock, self._is_over = threading.Lock(), False
        # Ends of side links, to break them by.
        self.sockets: list[socket.socket] = []
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
        with self._lock:
            if self._is_over:
                here.close()
                there.close()
                raise HostUnreachable("it is over")
            self.sockets += here.dup(), there.dup()
            # Not once the worker has closed those that wait.
            self.worker.take_side(StreamLink(there, "side:client"))
        return StreamLink(here, "side:worker")

    def perhaps_break(self) -> None:
        if self.sockets and self._chance.random() < self._breaks:
            lose(self._chance.choice(self.sockets[-2 * MOST :]))

    def close(self) -> None:
        with self._lock:
            self._is_over = True
        self.worker.close()
        for each in self.sockets:
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
    _transfer_from_two_threads(place)


def _transfer_from_two_threads(place: Place) -> LinkCounts:
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
        return far.counts()
    finally:
        far.close()
        place.close()


@pytest.mark.parametrize("seed", range(4))
def test_one_that_breaks_costs_only_itself(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of four are always left; whatever the others lose is sent again."""

    class Kept(Width):
        def look(self, now_s: float) -> None:
            self.wanted = max(self.wanted, MOST)

    monkeypatch.setattr("gon_client.side_links.Width", Kept)
    monkeypatch.setattr("gon_client.side_links.ROUND_TRIP_S", 0.0)
    place = Place(seed, cuts=0)
    spared = 0

    def break_some() -> None:
        nonlocal spared
        spared += 1
        if spared % 10 == 0 and spared <= 20 and len(place.sockets) == 2 * MOST:
            lose(place.sockets[spared // 10 * 2 + seed % 2])

    monkeypatch.setattr(place, "perhaps_break", break_some)
    counts = _transfer_from_two_threads(place)
    assert (counts.resumed, counts.side_links_lost, counts.side_links) == (0, 2, MOST - 2)


def test_fewer_are_those_that_have_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first are kept; where those have broken, as many more."""
    wanted = MOST

    class Told(Width):
        def look(self, now_s: float) -> None:
            self.wanted = wanted

    monkeypatch.setattr("gon_client.side_links.Width", Told)
    monkeypatch.setattr("gon_client.side_links.ROUND_TRIP_S", 0.0)
    place = Place(1, cuts=0)
    link = open_session(place.worker, open_side=place.open_side)
    far, keeper = RemoteDevice(link), link.side_links
    try:
        _until(far, place, lambda: keeper.count == MOST)
        for number, (fewer, kept) in enumerate(((2, 3), (1, 3), (0, 0))):
            if number < 2:
                lose(place.sockets[2 * number])
                _until(far, place, lambda lost=number + 1: keeper.lost == lost)
            wanted = fewer
            _until(far, place, lambda kept=kept: keeper.count == kept)
            assert keeper.alive == fewer
        assert far.counts().resumed == 0
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


def test_a_link_that_is_lost_while_a_word_is_said_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pump goes on; and a finalizer that runs in it finds that it is inside."""
    force_side_links(monkeypatch, 1, threads=True)
    place = Place(1, cuts=0)
    link = open_session(place.worker, open_side=place.open_side)
    far, keeper = RemoteDevice(link), link.side_links
    say, owned = keeper._say_word, list[bool]()

    def lost(word: bytes) -> None:
        owned.append(link._inside.is_here())
        if len(owned) == 1:
            raise LinkLost("in this moment")
        say(word)

    monkeypatch.setattr(keeper, "_say_word", lost)
    try:
        _until(far, place, lambda: far.counts().side_links > 0)
        assert far.counts().resumed == 1
        assert all(owned)
    finally:
        far.close()
        place.close()


def test_what_is_no_ticket_is_none() -> None:
    here, there = stream_ends()
    there.send(encode_head(Kind.ACK, 0, 0, (), b""))
    with pytest.raises(RemoteProtocolError, match="where a ticket was due"):
        receive_ticket(here)
    here.close()
    there.close()


def test_one_that_begins_to_be_opened_as_all_ends_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pump may be in the middle of that, whoever ends the session."""
    ends: list[Link] = []

    class Told(Width):
        def look(self, now_s: float) -> None:
            self.wanted = 1

    monkeypatch.setattr("gon_client.side_links.Width", Told)
    monkeypatch.setattr(Opening, "start", Opening._run)

    def open_side() -> Link:
        here, there = stream_ends()
        there.send(encode_head(Kind.SIDES, 0, 0, (), encode(SideLinks(0, (b"t" * 16,)))))
        ends.append(there)
        return here

    worker, clock = InprocWorker(SimDevice()), HeldClock()
    link = open_session(worker, clock=clock, open_side=open_side)
    clock.settle()
    link.close()
    link.side_links.tick()
    # The pump's own, and that of the tick that comes too late.
    assert len(ends) == 2
    for end in ends:
        with pytest.raises(LinkLost):
            end.receive(PATIENCE_S)
    clock.close()
    worker.close()


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
