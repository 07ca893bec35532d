"""Links with side links, between the ends of socket pairs."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from gon.clock import SYSTEM_CLOCK
from gon.transport.bundle import Bundle
from gon.transport.stream import StreamLink
from tests.held_clock import HeldClock


def stream_ends() -> tuple[StreamLink, StreamLink]:
    """Return the two ends of a stream link."""
    here, there = socket.socketpair()
    return StreamLink(here, "pair:here"), StreamLink(there, "pair:there")


def bundle_pair(
    sides: int, *, mends: bool = False, now_s: Callable[[], float] = SYSTEM_CLOCK.now_s
) -> tuple[Bundle, Bundle]:
    """Return the two ends of a link whose payloads go over so many side links, both ways."""
    here, there = (Bundle(end, HeldClock(now_s)) for end in stream_ends())
    for bundle in (here, there):
        bundle.agree(mends=mends, heal=lambda _sides, _between: True)
    for _ in range(sides):
        for bundle, end in zip((here, there), stream_ends(), strict=True):
            bundle.add(end)
    for bundle in (here, there):
        bundle.receive_over(sides)
        bundle.send_over(sides)
    return here, there


def lose(sock: socket.socket) -> None:
    """Break a side link by a second descriptor of its end; what has not been received is lost."""
    with suppress(OSError):  # it is over
        sock.shutdown(socket.SHUT_RDWR)
        sock.recv(1 << 24, socket.MSG_DONTWAIT)
