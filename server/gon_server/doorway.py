"""The doorway: where data links come in and show their lease's token.

    client ──PREAMBLE_MAGIC, token──▶ doorway ──the socket itself──▶ the lease's worker
    client ──SIDE_MAGIC, token──────▶ doorway ──the socket itself──▶ the same: a side link

Rules: exactly the preamble is read, never a byte more, and nothing is parsed before the token is
right; what is wrong or late is closed without a word. At most HALF_OPEN_MAX connections have not
shown a token: one more closes the oldest, so that whoever dawdles only loses to whoever does not.
Must not know: frames, ops, workers.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gon.addresses import Address
from gon.clock import Clock
from gon.limits import (
    ACCEPT_PAUSE_S,
    HALF_OPEN_MAX,
    HANDSHAKE_TIMEOUT_S,
    PREAMBLE_BYTES,
    PREAMBLE_MAGIC,
    SIDE_MAGIC,
)

log = logging.getLogger("gond.doorway")

_LOG_PAUSE_S = 1.0
# Links, and side links; both of a size.
_MAGICS = (PREAMBLE_MAGIC, SIDE_MAGIC)


@dataclass(frozen=True, slots=True)
class DoorwayStatistics:
    """What came in so far."""

    admitted: int
    refused: int
    half_open: int


class Doorway:
    """Accepts on `sockets` and gives each connection with a right token to `admit`.

    `admit(token, socket, peer, is_side)` returns "" if somebody took the connection, or why nobody
    did; the socket is closed here either way.
    """

    def __init__(
        self,
        sockets: Sequence[tuple[socket.socket, Address]],
        admit: Callable[[bytes, socket.socket, str, bool], str],
        clock: Clock,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._admit = admit
        self._clock = clock
        self._half_open: dict[asyncio.Task[None], None] = {}
        self._admitted = 0
        self._refused = 0
        self._unlogged = 0
        self._logged_s = float("-inf")
        for sock, address in sockets:
            self._loop.add_reader(sock, self._accept, sock, address)

    def __repr__(self) -> str:
        where = ", ".join(str(address) for _, address in self._sockets)
        return f"Doorway({where}: {self.statistics()})"

    def statistics(self) -> DoorwayStatistics:
        return DoorwayStatistics(self._admitted, self._refused, len(self._half_open))

    def close(self) -> None:
        """Accept no more, and close what has shown no token."""
        for sock, _address in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        for knocking in list(self._half_open):
            knocking.cancel()

    def _accept(self, listener: socket.socket, address: Address) -> None:
        try:
            sock, peer = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            log.error("%s: no more connections for a moment: %s", address, error.strerror)
            self._loop.remove_reader(listener)
            self._loop.call_later(ACCEPT_PAUSE_S, self._resume, listener, address)
            return
        sock.setblocking(False)
        name = str(address) if address.is_unix else f"tcp://{peer[0]}:{peer[1]}"
        if len(self._half_open) >= HALF_OPEN_MAX:
            oldest = next(iter(self._half_open))
            del self._half_open[oldest]
            oldest.cancel()
        knocking = self._loop.create_task(self._receive(sock, name))
        self._half_open[knocking] = None
        knocking.add_done_callback(lambda done: self._half_open.pop(done, None))

    def _resume(self, listener: socket.socket, address: Address) -> None:
        if listener.fileno() != -1:
            self._loop.add_reader(listener, self._accept, listener, address)

    async def _receive(self, sock: socket.socket, peer: str) -> None:
        """Read one connection's preamble and pass it on, or close it."""
        with sock:
            try:
                async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                    magic, token = await self._preamble(sock)
            except TimeoutError:
                self._refuse(peer, "it showed no token in time")
                return
            except OSError as error:
                self._refuse(peer, error.strerror or "it broke")
                return
            if not token:
                self._refuse(peer, "it is not a data link")
                return
            # The worker's end: it waits by blocking.
            sock.setblocking(True)
            if why := self._admit(token, sock, peer, magic == SIDE_MAGIC):
                self._refuse(peer, why)
            else:
                self._admitted += 1

    async def _preamble(self, sock: socket.socket) -> tuple[bytes, bytes]:
        """Return magic and token, or nothing as soon as the bytes cannot be a preamble."""
        preamble = b""
        size = len(PREAMBLE_MAGIC)
        while len(preamble) < PREAMBLE_BYTES:
            part = await self._loop.sock_recv(sock, PREAMBLE_BYTES - len(preamble))
            preamble += part
            start = preamble[:size]
            if not part or not any(magic.startswith(start) for magic in _MAGICS):
                return b"", b""
        return preamble[:size], preamble[size:]

    def _refuse(self, peer: str, why: str) -> None:
        """Count, and log at most once in a while: whoever knocks must not fill the disk."""
        self._refused += 1
        self._unlogged += 1
        now_s = self._clock.now_s()
        if now_s - self._logged_s >= _LOG_PAUSE_S:
            log.warning(
                "%s: closed, %s (%d closed since the last such line)", peer, why, self._unlogged
            )
            self._logged_s = now_s
            self._unlogged = 0
