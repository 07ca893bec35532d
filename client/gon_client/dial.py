"""Reaching the worker: opens a link and shakes hands, again and again within the grace.

Rules: `alive` is asked whether there is still a lease before every attempt, so that a lease that
has ended is told with its reason instead of waiting for the grace to pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from gon.clock import Clock
from gon.compression import COMPRESSIONS
from gon.errors import (
    HostUnreachable,
    LeaseLost,
    LinkLost,
    RemoteProtocolError,
    WaitTimeout,
)
from gon.limits import HANDSHAKE_TIMEOUT_S, RECONNECT_FIRST_S, RECONNECT_LONGEST_S
from gon.transport.base import Link
from gon.wire.batch import Hello, Refuse, Welcome, decode, encode
from gon.wire.frame import Kind
from gon.wire.session import Session
from gon.wire.versions import VERSION_MAX, VERSION_MIN
from gon_client.mapped import Borrowed, borrow
from gon_client.side_links import OpenSide


def _as_it_is(link: Link) -> Link:
    return link


class Dialer:
    """Opens links for one session.

    `connect` opens one link or raises LinkLost or HostUnreachable; `open_side` one of its side
    links, where it can have some. `alive` returns if the lease stands, raises LeaseLost if it has
    ended, HostUnreachable if nobody can say. `properties` says whether the device's are wanted.
    """

    def __init__(
        self,
        connect: Callable[[], Link],
        alive: Callable[[], None],
        *,
        client: str,
        grace_s: float,
        clock: Clock,
        open_side: OpenSide | None = None,
        properties: bool = False,
    ) -> None:
        self._connect = connect
        self._alive = alive
        self._client = client
        self._grace_s = grace_s
        self._clock = clock
        self._name = os.urandom(16)
        self._properties = properties
        self.open_side = open_side
        # What each link is led through before it carries the session.
        self.through: Callable[[Link], Link] = _as_it_is
        # Of the last handshake: the worker does nothing else, or is still busy with what came last.
        self.round_trip_s = 0.0
        # The device's memory and what holds it, where the worker of the last handshake lends it.
        self.borrowed: Borrowed | None = None

    def first(self, session: Session) -> tuple[Link, Welcome]:
        """Open the session's first link. Raises LinkLost, HostUnreachable, RemoteProtocolError."""
        return self._greet(self._connect(), session)

    def again(self, session: Session, stopped: Callable[[], bool]) -> tuple[Link, Welcome]:
        """Open another link after one was lost; try until the grace is over.

        Raises LeaseLost when the lease has ended, the grace is over, or `stopped` says so.
        """
        until_s = self._clock.now_s() + self._grace_s
        pause_s = RECONNECT_FIRST_S
        while True:
            try:
                self._alive()
                return self._greet(self._connect(), session)
            except (LinkLost, HostUnreachable, WaitTimeout) as error:
                why = error.message
            if stopped():
                raise LeaseLost("the device was closed while its link was lost")
            if self._clock.now_s() + pause_s > until_s:
                raise LeaseLost(f"the link was gone for {self._grace_s:g} s: {why}")
            self._clock.sleep_s(pause_s)
            pause_s = min(2 * pause_s, RECONNECT_LONGEST_S)

    def _greet(self, link: Link, session: Session) -> tuple[Link, Welcome]:
        """Say hello and wait for the welcome, as long as the lease stands: a worker in the middle
        of a long kernel answers after it. Return the link to use from now on.
        """
        hello = Hello(
            VERSION_MIN,
            VERSION_MAX,
            self._name,
            session.received,
            self._client,
            COMPRESSIONS,
            self._properties,
        )
        try:
            began_s = self._clock.now_s()
            link.send(session.word(Kind.HELLO, encode(hello)))
            raw = link.receive(HANDSHAKE_TIMEOUT_S)
            while raw is None:
                self._alive()
                raw = link.receive(HANDSHAKE_TIMEOUT_S)
            self.round_trip_s = self._clock.now_s() - began_s
            head = session.open(raw)
            if head.kind is Kind.REFUSE:
                raise RemoteProtocolError(f"refused: {decode(Refuse, head.body).message}")
            welcome = decode(Welcome, head.body)
            self.borrowed = borrow(link, welcome.mapped_bytes)
            return self.through(link), welcome
        except BaseException:
            link.close()
            raise
