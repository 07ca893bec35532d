"""The side links of one session's link: opened, added to it and closed as the policy says.

    width says more ─▶ [gon-sides thread] opens them, each gets its ticket ─▶ tick: SIDES, tickets
    width says fewer ─▶ tick: SIDES          the worker's answer ─▶ what there is now
    one breaks ─▶ heal: SIDES, broken        both ends send again what it may have lost

Rules: one word that is answered is on its way at a time. Opening has a thread of its own, while it
lasts; all else happens in the pump's tick, but for the worker's answer, in the receiving turn, and
for a break: whoever meets it heals it, also in the middle of a send or a receive, for the worker
may be waiting for just that, and everybody here for the worker. What cannot be opened is done
without. A broken one keeps its number until the others are fewer. A link that is lost takes its
side links along.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

from gon.clock import Clock
from gon.errors import GonError, LinkLost, RemoteProtocolError
from gon.forked import new_lock
from gon.limits import HANDSHAKE_TIMEOUT_S
from gon.side_limits import TELL_S
from gon.transport.base import Link, Sides
from gon.wire.batch import SideLinks, decode, encode
from gon.wire.frame import Kind, decode_head
from gon.wire.session import Session
from gon.wire.versions import MENDING, SIDE_LINKS
from gon_client.interruption import Unfinished, Whole
from gon_client.sending import Sending
from gon_client.width import PAUSE_S, ROUND_TRIP_S, Way, Width

if TYPE_CHECKING:
    from gon_client.link import SessionLink

# Opens one side link. Raises LinkLost, HostUnreachable.
OpenSide: TypeAlias = Callable[[], Link]
# A side link, and the ticket that the worker has given it.
Ticketed: TypeAlias = tuple[bytes, Link]


def receive_ticket(link: Link) -> bytes:
    """Return the ticket that comes first on a side link. Raises LinkLost, RemoteProtocolError."""
    raw = link.receive(HANDSHAKE_TIMEOUT_S)
    if raw is None:
        raise LinkLost(f"no ticket within {HANDSHAKE_TIMEOUT_S:g} s on {link.name}")
    head = decode_head(raw)
    if head.kind is not Kind.SIDES:
        raise RemoteProtocolError(f"a {head.kind.name} frame where a ticket was due")
    tickets = decode(SideLinks, head.body).tickets
    if len(tickets) != 1:
        raise RemoteProtocolError(f"{len(tickets)} tickets for one side link")
    return tickets[0]


class Opening:
    """Opens side links, in a thread of its own; they are whoever `take`s them."""

    def __init__(self, open_side: OpenSide, count: int, clock: Clock) -> None:
        self._open_side, self._count = open_side, count
        self._now_s = clock.now_s
        # Each is whoever takes it out, by a single step.
        self._opened: deque[Ticketed] = deque()
        self.is_over = self._closed = False
        # The shortest time that a ticket took: a round trip, and what the host did for it.
        self.round_trip_s = float("inf")

    def start(self) -> None:
        try:
            threading.Thread(target=self._run, name="gon-sides", daemon=True).start()
        except RuntimeError:  # this process may have no more of them
            self.is_over = True

    def _run(self) -> None:
        try:
            while not self._closed and len(self._opened) < self._count:
                self._open()
        except GonError:
            pass  # what there is must do
        finally:
            self.is_over = True

    def _open(self) -> None:
        link = self._open_side()
        try:
            began_s = self._now_s()
            ticket = receive_ticket(link)
            self.round_trip_s = min(self.round_trip_s, self._now_s() - began_s)
        except BaseException:
            link.close()
            raise
        self._opened.append((ticket, link))
        if self._closed:
            self.close()

    def take(self) -> list[Ticketed]:
        """Return those that are open, in the order of their opening; no more come."""
        self._closed = True
        opened: list[Ticketed] = []
        with suppress(IndexError):
            while True:
                opened.append(self._opened.popleft())
        return opened

    def close(self) -> None:
        """Close those that are open, and open no more."""
        _close(self.take())


def _close(opened: list[Ticketed]) -> None:
    for _, link in opened:
        link.close()


class SideLinkKeeper:
    """Keeps as many side links as pay.

    `say` sends a word on the session's link, under the sending lock. `open_side` is None where
    there can be none: near by, or through memory.
    """

    def __init__(
        self,
        link: SessionLink,
        session: Session,
        sending: Sending,
        say: Callable[[bytes], None],
        open_side: OpenSide | None,
        clock: Clock,
    ) -> None:
        self._link, self._session, self._sending = link, session, sending
        self._say_word = say
        self._open_side = open_side
        self._clock = clock
        # Transfers of several threads and the pump use it.
        self._width, self._width_lock = Width(), new_lock()
        self._opening: Opening | None = None
        # How many the word that is on its way asks for; how many there are, broken ones (their
        # numbers) among them, and how many were ever added and have ever broken.
        self._asked: int | None = None
        self.count = self.added = self.lost = 0
        self._broken: set[int] = set()
        # The session's link of now: what was opened for one is not for the next.
        self._present: Link | None = None
        self._moved_s = float("-inf")
        self._is_over = False
        # Held while payloads that are kept are copied here, or others are put in their place.
        self.payloads = new_lock()

    def __repr__(self) -> str:
        return f"SideLinkKeeper({self.alive} of {self.count} side links, {self._width!r})"

    @property
    def alive(self) -> int:
        """How many there are that have not broken."""
        return self.count - len(self._broken)

    def moved(self, way: Way, size_bytes: int, took_s: float, round_trip_s: float) -> None:
        """Hear that a piece of a large transfer took so long."""
        if self._open_side is None or self._link.version < SIDE_LINKS:
            return
        if round_trip_s < ROUND_TRIP_S:
            return
        self._moved_s = now_s = self._clock.now_s()
        self._sending.inside.run(lambda: self._note(way, size_bytes, took_s, now_s, round_trip_s))

    def _note(
        self, way: Way, size_bytes: int, took_s: float, now_s: float, round_trip_s: float
    ) -> None:
        with self._width_lock:
            self._width.moved(way, size_bytes, took_s, now_s, round_trip_s)

    def tick(self) -> bool:
        """Do what is to be done; return whether there may soon be more. Called by the pump."""
        open_side, opening = self._open_side, self._opening
        if self.count or self._asked is not None:
            self._look()
        if open_side is None or self._asked is not None:
            return self._asked is not None
        now_s = self._clock.now_s()
        if opening is not None:
            if opening.is_over:
                self._opening = None
                self._add(opening)
            return True
        with self._width_lock:
            self._width.look(now_s)
            wanted = self._width.wanted
        if wanted < self.count:
            self._keep(wanted)
        elif wanted > self.count:
            self._opening = Opening(open_side, wanted - self.count, self._clock)
            self._opening.start()
            if self._is_over:
                # `end` may have come before there was anything to close.
                self.close()
        return self.count > 0 or now_s - self._moved_s < PAUSE_S

    def _look(self) -> None:
        """See whether some have broken, for nobody else may be waiting."""
        link = self._present
        if link is not None and link.sides is not None and link.sides.mends:
            with Whole(Unfinished(), link):
                link.sides.look()

    def _heal(self, sides: Sides, _between: bool) -> bool:
        """Send again what broken side links may have lost, and tell the worker which they are;
        return whether it knows. It may be called by any thread, in the middle of anything.
        """
        if self._untold(sides) is None:
            return True
        sides.mend(self._payloads_of)
        if sides.sends_here:
            self._tell(sides)
        else:
            self._sending.hold(lambda: self._tell(sides), TELL_S)
        return not self._untold(sides)

    def _untold(self, sides: Sides) -> set[int] | None:
        """Return which have broken that the worker does not know of; None where that is over."""
        link = self._present
        if link is None or link.sides is not sides or not self._session.is_open:
            return None
        # Those that it was asked to close it may have closed, when it had all that went over them.
        there = self.count if self._asked is None else self._asked
        return {number for number in sides.broken() if number < there} - self._broken

    def _tell(self, sides: Sides) -> None:
        """Tell the worker which have broken. Needs `_sending`."""
        broken = self._untold(sides)
        if broken:
            there = self.count if self._asked is None else self._asked
            word = SideLinks(there, (), tuple(broken))
            if sides.say(self._session.word(Kind.SIDES, encode(word))):
                # Another set: who has the turn may be looking at the old one.
                self._broken = self._broken | broken
                self.lost += len(broken)

    @contextmanager
    def _payloads_of(self, head: bytes) -> Generator[Sequence[memoryview]]:
        """Give the payloads of a frame that is not acknowledged."""
        with self.payloads:
            kept = (frame.payloads for frame in self._session.kept() if frame.head == head)
            yield next(kept, ())

    def _keep(self, wanted: int) -> None:
        """Let there be so few; the worker keeps the first, so as many as have those among them."""
        alive = [number for number in range(self.count) if number not in self._broken]
        keep = [0, *(number + 1 for number in alive), self.count][min(wanted, len(alive) + 1)]
        if keep < self.count:
            self._say(self._present, keep, [])
            return
        with self._width_lock:
            self._width.there_are(self.count)

    def _add(self, opening: Opening) -> None:
        link, opened = self._present, opening.take()
        round_trip = self._link.bulk.round_trip
        round_trip.seen(opening.round_trip_s)
        if opened and round_trip.shortest_s >= ROUND_TRIP_S:
            self._say(link, self.count, opened)
            return
        # Refused, or it is nearer than it seemed.
        _close(opened)
        with self._width_lock:
            self._width.refused(self._clock.now_s())

    def _say(self, link: Link | None, keep: int, opened: list[Ticketed]) -> None:
        """Say on `link` which side links there are from here on; what is sent goes over them."""
        try:
            if link is not None:
                self._sending.within(lambda: self._say_now(link, keep, opened))
        finally:
            # Of those that are the link's now nothing is left to close.
            _close(opened)

    def _say_now(self, link: Link, keep: int, opened: list[Ticketed]) -> None:
        with self._sending.whole(link):
            if link is not self._present or not self._session.is_open:
                return  # lost meanwhile: the worker has closed what was for it
            sides = link.sides
            assert sides is not None, "links that can have side links are opened with them"
            if sides.heals and not opened:
                return  # soon
            self._asked = keep + len(opened)
            word = encode(SideLinks(keep, tuple(ticket for ticket, _ in opened)))
            for _, side in opened:
                sides.add(side)
            sides.send_over(self._asked)
            self._say_word(self._session.word(Kind.SIDES, word))

    def answered(self, link: Link, word: SideLinks) -> None:
        """Hear the worker's answer on `link`; needs the turn. Raises RemoteProtocolError."""
        sides = link.sides
        if sides is None or word.keep != self._asked:
            raise RemoteProtocolError(f"{word.keep} side links, where {self._asked} were asked for")
        sides.receive_over(word.keep)
        with self._width_lock:
            self._width.there_are(word.keep)
        self.added += max(0, word.keep - self.count)
        self.count = word.keep
        self._broken = {number for number in self._broken if number < word.keep}
        self._asked = None

    def on_another_link(self, link: Link) -> None:
        """Hear of the session's link from now on: it has none. Needs turn and `_sending`."""
        self.close()
        self._present = link
        if link.sides is not None:
            link.sides.agree(mends=self._link.version >= MENDING, heal=self._heal)
        with self._width_lock:
            self._width.lost(self._clock.now_s())
        self.count, self._asked, self._broken = 0, None, set()

    def close(self) -> None:
        """Open no more; those that there are end with their link."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.close()

    def end(self) -> None:
        """Open no more from here on; any thread may be in the middle of anything."""
        self._is_over = True
        self.close()
