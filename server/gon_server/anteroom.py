"""Where the side links of a worker wait until its client adds them to its link.

    gond ──socket──▶ [orders thread] ──ticket──▶ client ──SIDES, tickets──▶ [data thread]

Who holds the lease's token may open them; the ticket that each is given says, on the link, which
ones become part of that link and in what order.

Rules: at most SIDES_MAX wait, the oldest is closed for one more; a new link closes all. Two threads
use this. Must not know: what goes over them.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress

from gon.errors import LinkLost, RemoteProtocolError
from gon.side_limits import SIDE_TICKET_BYTES, SIDES_MAX
from gon.transport.base import Link
from gon.wire.batch import SideLinks, encode
from gon.wire.frame import Kind, encode_head


class Anteroom:
    """Side links by ticket."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, Link] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Anteroom({len(self._waiting)} side links wait)"

    def admit(self, link: Link) -> None:
        """Take a side link, and give it its ticket: a few bytes into an empty socket."""
        ticket = secrets.token_bytes(SIDE_TICKET_BYTES)
        with suppress(LinkLost):  # nobody will add it
            link.send(encode_head(Kind.SIDES, 0, 0, (), encode(SideLinks(0, (ticket,)))))
            with self._lock:
                over = max(0, len(self._waiting) + 1 - SIDES_MAX)
                gone = [self._waiting.pop(each) for each in [*self._waiting][:over]]
                self._waiting[ticket] = link
            for each in gone:
                each.close()

    def clear(self) -> None:
        """Close all that wait."""
        with self._lock:
            gone, self._waiting = list(self._waiting.values()), {}
        for each in gone:
            each.close()

    @staticmethod
    def break_off(link: Link, word: SideLinks) -> None:
        """Take side links of `link` as broken, as its client says. Raises RemoteProtocolError."""
        sides = link.sides
        if sides is None or not sides.mends:
            raise RemoteProtocolError(f"{link.name} does not go on without a side link")
        if not all(0 <= number < sides.count for number in word.broken):
            raise RemoteProtocolError(f"{word.broken} have broken of {sides.count} side links")
        for number in word.broken:
            sides.break_off(number)

    def follow(self, link: Link, word: SideLinks) -> int:
        """Do on `link` what its client says; return how many side links that leaves: what is sent
        goes over them once the answer has gone.

        Raises LinkLost for a ticket that nobody has, RemoteProtocolError.
        """
        sides = link.sides
        if sides is None:
            raise RemoteProtocolError(f"{link.name} takes no side links")
        keep, count = word.keep, sides.count
        added = len(word.tickets)
        if not 0 <= keep <= count or (added and keep != count) or keep + added > SIDES_MAX:
            raise RemoteProtocolError(f"keep {keep} of {count} side links and add {added}")
        for ticket in word.tickets:
            with self._lock:
                side = self._waiting.pop(ticket, None)
            if side is None:
                # It broke, or others took its place: the client begins anew, without.
                raise LinkLost("a side link was gone before it was added")
            sides.add(side)
        sides.receive_over(keep + added)
        return keep + added
