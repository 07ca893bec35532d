"""A unix socket as a doorbell: a side that sleeps blocks on it, the other rings; and a life sign.

A ring is one byte of any value. A ring that nobody waits for stays, and wakes whoever waits next
once for nothing. When the peer closes its end or dies, the kernel tells at once.

Rules: one thread waits, any may ring or close. OSError never leaves: a socket that fails is one
that has hung up. Must not know: what is rung for.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from functools import partial

from gon.limits import SHM_SLEEP_S
from gon.transport.keepalive import timeval
from gon.transport.severing import sever_in_children

_RING = b"\1"
# Rings that are taken at once.
_RINGS = 64


class Bell:
    """One end of a pair of connected unix sockets, which it owns from now on."""

    __slots__ = (
        "_fd",
        "_fd_to_close",
        "_poll",
        "_receive_into",
        "_rings",
        "_send",
        "_socket",
        "hung_up",
        "look",
    )

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sever_in_children(sock)
        self._fd = sock.fileno()
        self._fd_to_close = -1
        self._send, self._receive_into = sock.send, sock.recv_into
        self._rings = bytearray(_RINGS)
        # Whether the peer is gone, as far as a wait has told.
        self.hung_up = False
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        # Whether something is there to wait for: a ring, or the end.
        self._poll = poller.poll
        self.look = partial(poller.poll, 0)
        with suppress(OSError):
            sock.setblocking(True)
            # What nearly every wait is bounded by; it saves a call before each of those.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(SHM_SLEEP_S))

    def __repr__(self) -> str:
        return f"Bell({'hung up' if self.hung_up else 'open'})"

    @property
    def end(self) -> socket.socket:
        """This end's socket, for what goes with a ring."""
        return self._socket

    def fileno(self) -> int:
        return self._fd

    def ring(self) -> None:
        """Wake the peer. One that is gone is met by the next wait."""
        try:
            self._send(_RING, socket.MSG_DONTWAIT)
        except OSError:  # one that is full holds rings enough
            return

    def wait(self, timeout_s: float) -> None:
        """Return when rung, when the peer has hung up, or after `timeout_s`, above 0."""
        flags = 0
        if timeout_s != SHM_SLEEP_S:
            if not self._poll(timeout_s * 1000):
                return
            flags = socket.MSG_DONTWAIT
        try:
            if not self._receive_into(self._rings, 0, flags):
                self.hung_up = True
        except BlockingIOError:
            return
        except OSError:
            self.hung_up = True

    def take(self) -> None:
        """Take the rings that are there, without waiting."""
        if self.look():
            self.wait(SHM_SLEEP_S)

    def close(self) -> None:
        """Hang up, and wake whoever waits on either end; once."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # None is left if the garbage collector has finalized the socket before.
        self._fd_to_close = self._socket.detach()

    def __del__(self) -> None:
        # Only now: a thread in the middle of a call must not meet the number in other hands.
        if self._fd_to_close >= 0:
            os.close(self._fd_to_close)


def wait_for_either(first: Bell, second: Bell, timeout_s: float) -> None:
    """Return when one of two is rung or has hung up, or after `timeout_s`; take their rings."""
    poller = select.poll()
    for bell in (first, second):
        poller.register(bell.fileno(), select.POLLIN)
    poller.poll(timeout_s * 1000)
    first.take()
    second.take()
