"""Side links without a session: what lies on them, what breaks, what a worker admits."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import nullcontext

import pytest

from gon.errors import LinkLost, LocalProtocolError, RemoteProtocolError
from gon.side_limits import SIDE_CHUNK_BYTES_MAX, SIDE_CHUNK_BYTES_MIN, SIDES_MAX
from gon.transport.base import Link, drop_payload
from gon.transport.inproc import inproc_pair
from gon.transport.sides import CHUNK
from gon.transport.stream import StreamLink
from gon.wire.batch import SideLinks, decode
from gon.wire.frame import decode_head
from gon_server.anteroom import Anteroom
from tests.bundles import bundle_pair, lose, stream_ends
from tests.inproc_worker import PATIENCE_S

PIECE = 40_000


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


@pytest.mark.parametrize(("mends", "number"), [(False, 0), (True, 2), (True, -1)])
def test_broken_ones_that_cannot_be_meant_end_the_link(mends: bool, number: int) -> None:
    link, peer = bundle_pair(2, mends=mends)
    with pytest.raises(RemoteProtocolError):
        Anteroom.break_off(link, SideLinks(2, (), (number,)))
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
        [(0, SIDE_CHUNK_BYTES_MIN), (100, SIDE_CHUNK_BYTES_MIN)],
        [(0, SIDE_CHUNK_BYTES_MIN - 1)],
        [(SIDE_CHUNK_BYTES_MIN, SIDE_CHUNK_BYTES_MIN)],
    ],
)
def test_chunks_that_nobody_sends_end_the_link(chunks: list[tuple[int, int]]) -> None:
    bundle, peer = bundle_pair(0)
    mine, theirs = socket.socketpair()
    bundle.add(StreamLink(mine, "side"))
    bundle.receive_over(1)
    for at, size in chunks:
        theirs.sendall(CHUNK.pack(at, size) + bytes(min(size, SIDE_CHUNK_BYTES_MIN)))
    with pytest.raises(RemoteProtocolError):
        bundle.receive_into(memoryview(bytearray(2 * SIDE_CHUNK_BYTES_MIN - 1)))
    with pytest.raises(LinkLost):
        peer.receive(PATIENCE_S)
    for each in (bundle, peer, theirs):
        each.close()


@pytest.mark.parametrize("sides", [4, SIDES_MAX])
def test_a_payload_that_nobody_wants_is_dropped_whole(sides: int) -> None:
    here, there = bundle_pair(sides)
    dropped, wanted = bytes(700_000), b"wanted" * 1000
    sender = threading.Thread(target=here.send, args=(b"head", [dropped, wanted]))
    sender.start()
    assert there.receive(PATIENCE_S) is not None
    drop_payload(there, len(dropped))
    target = bytearray(len(wanted))
    there.receive_into(memoryview(target))
    sender.join(PATIENCE_S)
    assert target == wanted
    here.close()
    there.close()


def test_one_that_breaks_ends_all() -> None:
    here, there = bundle_pair(3)
    here._all[1].close()
    with pytest.raises(LinkLost):
        _send_for_ever(here)
    with pytest.raises(LinkLost):
        _receive_for_ever(there)
    there.close()


@pytest.mark.parametrize("broken", [(0,), (1, 2), (2, 0)])
def test_what_broken_ones_have_lost_is_sent_again_over_the_others(broken: tuple[int, ...]) -> None:
    """The receiver waits for the first payload; the others are in the way of what comes again."""
    here, there = bundle_pair(3, mends=True)
    sent = {b"frame %d" % number: random.Random(number).randbytes(PIECE) for number in range(8)}
    for head, payload in sent.items():
        here.send(head, [payload])
    received: list[tuple[bytes, bytes]] = []

    def receive() -> None:
        for _ in sent:
            head = bytes(there.receive(PATIENCE_S) or b"")
            place = bytearray(PIECE)
            there.receive_into(memoryview(place))
            received.append((head, bytes(place)))

    for number in broken:
        lose(there._all[number].sock)
    receiver = threading.Thread(target=receive)
    receiver.start()
    while receiver.is_alive():
        here.look()
        here.mend(lambda head: nullcontext((sent[head],)))
        receiver.join(0.01)
    assert here.broken() == sorted(broken)
    assert received == list(sent.items())
    # What is acknowledged is not sent again, and what comes twice is dropped.
    again = here.bytes_again
    here.mend(lambda head: nullcontext((sent[head],)))
    assert here.bytes_again == again > 0
    for side in there._all:
        side.break_off()
    with pytest.raises(LinkLost):
        _send_for_ever(here)
    here.close()
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
