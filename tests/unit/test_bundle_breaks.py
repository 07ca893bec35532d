"""Side links that break where few can notice."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import pytest

from gon.errors import LinkLost
from gon.side_limits import SIDE_LOOK_S
from gon.transport.base import Bytes, Sides, WhileBlocked
from gon.transport.bundle import Bundle
from gon.transport.sides import Side
from tests.bundles import bundle_pair, lose, stream_ends
from tests.inproc_worker import PATIENCE_S

PIECE = 40_000


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon.transport.bundle.SIDE_LOOK_S", 0.02)


class Ends:
    """The two ends of a link that mends, each with what it has sent; the client's tells of breaks
    by a word, as its session does.
    """

    def __init__(self) -> None:
        self.here, self.there = bundle_pair(2, mends=True)
        self.here.agree(mends=True, heal=self._heal_here)
        self.there.agree(mends=True, heal=self._heal_there)
        self.sent: dict[bytes, bytes] = {}
        self.words = 0
        self._kept: list[socket.socket] = []

    def part(self, side: Side) -> socket.socket:
        """Join one end of a side link to nobody, unseen by the other end; return who is there now:
        it takes what is sent.
        """
        mine, other = socket.socketpair()
        self._kept += side.sock, other
        side.sock, side.fd = mine, mine.fileno()
        return other

    def send(self, end: Bundle, head: bytes, payload: bytes, receive: WhileBlocked = None) -> None:
        self.sent[head] = payload
        end.send(head, [payload] if payload else (), receive)

    def _again(self, head: bytes) -> AbstractContextManager[Sequence[Bytes]]:
        return nullcontext((self.sent[head],))

    def _heal_here(self, sides: Sides, _between: bool) -> bool:
        sides.mend(self._again)
        self.words += sides.say(b"broken")
        return self.words > 0

    def _heal_there(self, sides: Sides, between: bool) -> bool:
        if between:
            sides.mend(self._again)
        return between

    def take(self, end: Bundle, head: bytes) -> None:
        """Receive this frame, whole and as it was sent."""
        raw = end.receive(PATIENCE_S)
        assert raw == head
        if self.sent.get(head):
            place = bytearray(len(self.sent[head]))
            end.receive_into(memoryview(place))
            assert place == self.sent[head]

    def close(self) -> None:
        for each in (self.here, self.there, *self._kept):
            each.close()


@pytest.mark.parametrize("later", [0, 3])
@pytest.mark.usefixtures("looks_often")
def test_a_break_that_only_the_sender_sees_is_healed_by_it(later: int) -> None:
    """Its receiver takes what comes again from behind later payloads, though it saw no end."""
    ends = Ends()
    here, there = ends.here, ends.there
    other = ends.part(there._all[1])
    heads = [b"frame %d" % number for number in range(1 + later)]
    for head in heads:
        ends.send(there, head, random.Random(head).randbytes(PIECE))
    other.close()
    # It waits for the next frame, and nobody tells it.
    waiter = threading.Thread(target=ends.take, args=(there, b"over"))
    waiter.start()
    for head in heads:
        ends.take(here, head)
    here.send(b"over")
    waiter.join(PATIENCE_S)
    assert there.broken() == [1]
    assert here.broken() == []
    ends.close()


@pytest.mark.parametrize("large_head", [False, True])
@pytest.mark.usefixtures("looks_often")
def test_who_receives_in_the_middle_of_a_send_tells_of_a_break(large_head: bool) -> None:
    """It has both the turn and the sending lock: nobody else could tell, and its peer waits."""
    ends = Ends()
    here, there = ends.here, ends.there
    # The host does not see that the client's end is over.
    ends.part(there._all[1])
    ends.part(here._all[1]).close()
    ends.send(there, b"down", random.Random(1).randbytes(PIECE))
    up = b"up" * (1 << 20) if large_head else b"up"
    payload = b"" if large_head else random.Random(2).randbytes(1 << 23)
    failures: list[BaseException] = []
    blocked = threading.Event()

    def serve() -> None:
        try:
            # Not before: a send that goes through at once receives nothing.
            assert blocked.wait(PATIENCE_S)
            for head in (up, b"broken"):
                ends.take(there, head)
            there.break_off(1)
            there.receive(0)
        except BaseException as error:  # noqa: BLE001 - told by the thread that asserts
            failures.append(error)

    taken: list[bytes] = []

    def receive() -> None:
        blocked.set()
        if not taken:
            taken.append(b"down")
            ends.take(here, b"down")

    server = threading.Thread(target=serve)
    server.start()
    ends.send(here, up, payload, receive)
    server.join(PATIENCE_S)
    assert not failures, failures
    assert taken
    assert ends.words == 1
    ends.close()


@pytest.mark.usefixtures("looks_often")
def test_who_waits_to_send_a_large_head_tells_of_a_break() -> None:
    """Nothing is there to be received, and the peer takes nothing until it has what was lost."""
    ends = Ends()
    here, there = ends.here, ends.there
    # The host does not see that the client's end is over.
    ends.part(there._all[1])
    ends.send(here, b"up", random.Random(1).randbytes(PIECE))
    ends.part(here._all[1]).close()
    large = b"large" * (1 << 18)

    def serve() -> None:
        for head in (b"up", large, b"broken"):
            ends.take(there, head)

    server = threading.Thread(target=serve)
    server.start()
    ends.send(here, large, b"", lambda: None)
    server.join(PATIENCE_S)
    assert ends.words == 1
    ends.close()


def test_one_that_breaks_on_its_way_to_be_closed_ends_the_link() -> None:
    """What it lost goes again over none; the peer waits for it, and nobody here for anything."""
    now_s = 0.0
    here, there = bundle_pair(1, mends=True, now_s=lambda: now_s)
    here.send(b"up", [bytes(PIECE)])
    here.send_over(0)
    lose(there._all[0].sock)
    here.look()
    # What there is to read may be the peer's word that it has closed it.
    there.send(b"word")
    now_s = 2 * SIDE_LOOK_S
    here.look()
    assert here.receive(PIECE) == b"word"
    here.look()
    now_s = 4 * SIDE_LOOK_S
    with pytest.raises(LinkLost, match="before it was closed"):
        here.look()
    there.close()


def test_a_sender_is_told_of_the_links_end_whoever_receives() -> None:
    """Its side links wait for the peer to add them, and go on."""
    here, there = bundle_pair(0, mends=True)
    ends = [stream_ends() for _ in range(2)]
    for mine, _ in ends:
        here.add(mine)
    here.send_over(2)
    receiver = threading.Thread(target=lambda: (there.receive(PATIENCE_S), there.close()))
    receiver.start()
    # As for a receiver that waits until this is over, to replace the link.
    with pytest.raises(LinkLost):
        here.send(b"head", [bytes(1 << 24)], lambda: None)
    receiver.join(PATIENCE_S)
    for _, theirs in ends:
        theirs.close()
