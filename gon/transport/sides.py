"""Side links: connections beside a stream link that carry its payloads, each a part of every one.

One TCP connection carries a window of bytes each round trip, so a long way carries more over
several. All payloads of one direction, back to back, are one stream of bytes. It is cut into
chunks, none of two payloads; each goes over the side link that takes it first, behind 12 bytes:
where in the stream it begins (8), and how many bytes it has (4), little-endian.

Rules: one thread at a time sends, one receives, as on a link; any may break one off. Must not know:
where chunks belong (gon.transport.chunks), frames, who the peer is, what a broken one means
(gon.transport.bundle).
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from gon.side_limits import SIDE_CHUNK_BYTES_MAX, SIDE_UNSENT_BYTES
from gon.transport.framing import after
from gon.transport.keepalive import configure, has_vanished

CHUNK = struct.Struct("<QI")
# What happens to a connection that its peer has ended.
ENDED = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class ChunkError(Exception):
    """A chunk that no peer sends."""


class Chunk(NamedTuple):
    """Where in the stream some bytes begin, and how many they are."""

    at: int
    size: int


class Side:
    """One side link, which owns its socket: what is left of the chunk that it sends, and of the one
    that it receives.
    """

    __slots__ = (
        "_fd_to_close",
        "_got",
        "_header",
        "coming",
        "early",
        "fd",
        "has_ended",
        "is_broken",
        "is_healed",
        "parts",
        "place",
        "sent",
        "sock",
    )

    def __init__(self, sock: socket.socket) -> None:
        """Raises OSError; the socket is closed then."""
        try:
            configure(sock, SIDE_UNSENT_BYTES)
        except OSError:
            sock.close()
            raise
        self.sock, self.fd = sock, sock.fileno()
        self._fd_to_close = -1
        # Nothing more comes; nothing more is sent.
        self.has_ended = self.is_broken = False
        # What it may have lost is sent again, and the peer knows, if it has to be told.
        self.is_healed = False
        # What is left to send of a chunk, and the chunks that went over it so far, as long as they
        # may have to be sent again.
        self.parts: list[memoryview] = []
        self.sent: deque[Chunk] = deque()
        # The chunk that comes, and the place of what is to come of it; None: not known yet.
        self.coming: Chunk | None = None
        self.place: memoryview | None = None
        # All of that place, if it is not the payload's own.
        self.early: bytearray | None = None
        self._header = bytearray(CHUNK.size)
        self._got = 0

    def __repr__(self) -> str:
        state = "broken" if self.is_broken else "open"
        return f"Side({state}, {self.coming} comes, {sum(map(len, self.parts))} bytes to go)"

    def push(self) -> int:
        """Send what the peer takes of the chunk; return how much. Raises OSError."""
        try:
            sent = self.sock.sendmsg(self.parts, (), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        self.parts = after(self.parts, sent)
        return sent

    def pull(self) -> int:
        """Receive what is there of the chunk into its place; return how much.

        Raises OSError, EOFError.
        """
        assert self.place is not None, "it has one"
        got = self._receive(self.place)
        self.place = self.place[got:]
        return got

    def pull_header(self) -> bool:
        """Return whether the header of a chunk is here: `coming`. Raises OSError, EOFError,
        ChunkError.
        """
        if self.coming is not None:
            return True
        try:
            self._got += self._receive(memoryview(self._header)[self._got :])
        except EOFError:
            self.has_ended = True
            if self._got:
                raise
        if self._got < CHUNK.size:
            return False
        self._got = 0
        coming = Chunk._make(CHUNK.unpack(self._header))
        if not 0 < coming.size <= SIDE_CHUNK_BYTES_MAX:
            raise ChunkError(f"a chunk of {coming.size} bytes")
        self.coming = coming
        return True

    def forget_coming(self) -> None:
        """Forget the chunk that comes: all of it is here, or none of it counts."""
        self.coming = self.place = self.early = None

    def _receive(self, place: memoryview) -> int:
        try:
            got = self.sock.recv_into(place, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        if not got:
            raise EOFError
        return got

    def break_off(self) -> None:
        """Let nothing more go over it, and let the peer notice."""
        self.is_broken = True
        with suppress(OSError):  # the peer was first
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection; its descriptor is given back when nobody holds this any more."""
        with suppress(OSError):  # the peer was first
            self.sock.shutdown(socket.SHUT_RDWR)
        # None is left if this is not the first time.
        self._fd_to_close = max(self._fd_to_close, self.sock.detach())

    def __del__(self) -> None:
        # Not there if it was never made.
        if getattr(self, "_fd_to_close", -1) >= 0:
            os.close(self._fd_to_close)


class Watch:
    """Waits for side links, and for others beside them."""

    def __init__(self) -> None:
        self._wanted: dict[int, int] = {}
        self._to_end: list[Side] = []

    def add(self, fds: Iterable[int], events: int) -> None:
        """Wait for these too."""
        for fd in fds:
            self._wanted[fd] = self._wanted.get(fd, 0) | events

    def add_ends(self, sides: Iterable[Side]) -> None:
        """Wait for the end of each of these too, and break off those that have ended."""
        self._to_end += [side for side in sides if not side.is_broken]
        self.add(fds_of(self._to_end), select.POLLRDHUP)

    def wait(self, timeout_s: float) -> dict[int, int]:
        """Return what has happened, by descriptor; empty if time is over."""
        poller = select.poll()
        for fd, events in self._wanted.items():
            poller.register(fd, events)
        happened = dict(poller.poll(timeout_s * 1000))
        for side in self._to_end:
            if happened.get(side.fd, 0) & ENDED:
                side.break_off()
        return happened


def fds_of(sides: Iterable[Side]) -> list[int]:
    """Return what to wait for."""
    return [side.fd for side in sides]


def break_off_vanished(sides: Iterable[Side]) -> bool:
    """Break off those whose peer's host has vanished; return whether there are any. Raises
    OSError.
    """
    vanished = [side for side in sides if has_vanished(side.sock)]
    for side in vanished:
        side.break_off()
    return bool(vanished)
