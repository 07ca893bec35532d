"""Side links: connections beside a stream link that carry its payloads, each a part of every one.

One TCP connection carries a window of bytes each round trip, so a long way carries more over
several. All payloads of one direction, back to back, are one stream of bytes. It is cut into
chunks; each goes over the side link that takes it first, behind 12 bytes: where in the stream it
begins (8), and how many bytes it has (4), little-endian. A receiver puts it where it belongs, and
leaves what belongs to a later payload in the socket.

Rules: one thread sends, one receives, as on a link. A receiver that is called in the middle of a
send goes on sending where it would block: the peer may be doing the same. Must not
know: frames, who the peer is, what a broken one means (gon.transport.bundle).
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

from gon.limits import SIDE_CHUNK_BYTES_MAX, SIDE_CHUNK_BYTES_MIN, SIDE_UNSENT_BYTES
from gon.transport.framing import after
from gon.transport.keepalive import configure

CHUNK = struct.Struct("<QI")


class ChunkError(Exception):
    """A chunk that no peer sends."""


class Side:
    """One side link, which owns its socket: what is left of the chunk that it sends, and of the one
    that it receives.
    """

    __slots__ = (
        "_fd_to_close",
        "_got",
        "_header",
        "at",
        "fd",
        "has_ended",
        "left",
        "parts",
        "sock",
    )

    def __init__(self, sock: socket.socket) -> None:
        configure(sock, SIDE_UNSENT_BYTES)
        self.sock, self.fd = sock, sock.fileno()
        self._fd_to_close = -1
        # The peer has closed it, between two chunks.
        self.has_ended = False
        self.parts: list[memoryview] = []
        # Where in the stream what comes next belongs, and how much of its chunk is to come.
        self.at = self.left = 0
        self._header = bytearray(CHUNK.size)
        self._got = 0

    def __repr__(self) -> str:
        return f"Side({self.left} bytes to come, {sum(map(len, self.parts))} to go)"

    def push(self) -> int:
        """Send what the peer takes of the chunk; return how much. Raises OSError."""
        try:
            sent = self.sock.sendmsg(self.parts, (), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        self.parts = after(self.parts, sent)
        return sent

    def pull(self, target: memoryview, begin: int) -> int:
        """Receive what is there of the stream from `begin` on into `target`; return how much.

        Raises OSError, EOFError, ChunkError.
        """
        end = begin + target.nbytes
        pulled = 0
        while self.left or self._pull_header():
            if self.at >= end:
                break
            if self.at < begin:
                raise ChunkError(f"bytes {self.at} of a stream that is at {begin}")
            place = target[self.at - begin : min(self.at + self.left, end) - begin]
            got = self._receive(place)
            if not got:
                break
            self.at += got
            self.left -= got
            pulled += got
        return pulled

    def may_bring(self, end: int) -> bool:
        """Return whether bytes of the stream before `end` may come."""
        return not self.has_ended and not (self.left and self.at >= end)

    def _pull_header(self) -> bool:
        """Return whether the header of the next chunk is here."""
        try:
            self._got += self._receive(memoryview(self._header)[self._got :])
        except EOFError:
            self.has_ended = True
            if self._got:
                raise
        if self._got < CHUNK.size:
            return False
        self._got = 0
        self.at, self.left = CHUNK.unpack(self._header)
        if not 0 < self.left <= SIDE_CHUNK_BYTES_MAX:
            raise ChunkError(f"a chunk of {self.left} bytes")
        return True

    def _receive(self, place: memoryview) -> int:
        try:
            got = self.sock.recv_into(place, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        if not got:
            raise EOFError
        return got

    def close(self) -> None:
        """End the connection; its descriptor is given back when nobody holds this any more."""
        with suppress(OSError):  # the peer was first
            self.sock.shutdown(socket.SHUT_RDWR)
        # None is left if this is not the first time.
        self._fd_to_close = max(self._fd_to_close, self.sock.detach())

    def __del__(self) -> None:
        if self._fd_to_close >= 0:
            os.close(self._fd_to_close)


class Outgoing:
    """The stream of payloads that one end sends."""

    def __init__(self) -> None:
        self.sides: tuple[Side, ...] = ()
        # Where in the stream the next chunk begins, and what of a payload is not in one yet.
        self._at = 0
        self._rest = memoryview(b"")
        self._share = 0
        self.bytes_sent = 0

    def begin(self, payload: memoryview) -> None:
        """Take a payload to send; the one before has gone."""
        share = -(-payload.nbytes // max(1, len(self.sides)))
        self._share = min(SIDE_CHUNK_BYTES_MAX, max(SIDE_CHUNK_BYTES_MIN, share))
        self._rest = payload

    def waiting(self) -> list[Side]:
        """Return the side links that have something to send; none once all has gone."""
        return (
            list(self.sides) if self._rest.nbytes else [side for side in self.sides if side.parts]
        )

    def push(self, some: Iterable[Side]) -> int:
        """Send over these what they take, a chunk each; return how much. Raises OSError."""
        pushed = 0
        for side in some:
            if not side.parts and self._rest.nbytes:
                chunk, self._rest = self._rest[: self._share], self._rest[self._share :]
                header = CHUNK.pack(self._at, chunk.nbytes)
                self._at += chunk.nbytes
                side.parts = [memoryview(header), chunk]
            if side.parts:
                pushed += side.push()
        self.bytes_sent += pushed
        return pushed


class Incoming:
    """The stream of payloads that one end receives."""

    def __init__(self) -> None:
        self.sides: tuple[Side, ...] = ()
        self._begin = 0
        self._target = memoryview(b"")
        self._missing = 0
        self.bytes_received = 0

    def begin(self, target: memoryview) -> None:
        """Take the place of the bytes that come next; those before are here."""
        self._begin += self._target.nbytes
        self._target, self._missing = target, target.nbytes

    def waiting(self) -> list[Side]:
        """Return the side links on which some of them may come."""
        end = self._begin + self._target.nbytes
        return [side for side in self.sides if side.may_bring(end)]

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are here."""
        return not self._missing

    @property
    def has_ended(self) -> bool:
        """Whether the peer has closed a side link, and so perhaps will send no more."""
        return any(side.has_ended for side in self.sides)

    def pull(self) -> int:
        """Receive what is there; return how much. Raises OSError, EOFError, ChunkError."""
        pulled = sum(side.pull(self._target, self._begin) for side in self.waiting())
        if pulled > self._missing:
            raise ChunkError("chunks that overlap")
        self._missing -= pulled
        self.bytes_received += pulled
        if self._missing and all(side.has_ended for side in self.sides):
            raise EOFError
        return pulled


class Watch:
    """Waits for side links, and for others beside them."""

    def __init__(self) -> None:
        self._wanted: dict[int, int] = {}

    def add(self, fds: Iterable[int], events: int) -> None:
        """Wait for these too."""
        for fd in fds:
            self._wanted[fd] = self._wanted.get(fd, 0) | events

    def wait(self, timeout_s: float) -> dict[int, int]:
        """Return what has happened, by descriptor; empty if time is over."""
        poller = select.poll()
        for fd, events in self._wanted.items():
            poller.register(fd, events)
        return dict(poller.poll(timeout_s * 1000))


def fds_of(sides: Iterable[Side]) -> list[int]:
    """Return what to wait for."""
    return [side.fd for side in sides]
