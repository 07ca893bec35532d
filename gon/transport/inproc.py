"""A pair of links within one process: what one sends the other receives, through bounded queues.

The same semantics as over a network, and nothing of its own that could fail: for tests, and for a
program that hosts its own device. There is no kernel in between that would copy, so payloads are
copied by us, once into the queue and once out of it, and counted so.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import LinkLost, LocalProtocolError, RemoteProtocolError
from gon.limits import (
    BLOCKED_PAUSE_S,
    FRAME_STALL_S,
    INPROC_BYTES_MAX,
    INPROC_FRAMES_MAX,
    WAIT_SLICE_S,
    ZMQ_CHUNK_BYTES,
)
from gon.transport.base import Bytes, Link, LinkStatistics
from gon.transport.framing import check_frame


@dataclass(frozen=True, slots=True)
class _Frame:
    head: bytes
    payloads: tuple[bytes, ...]
    size_bytes: int


class _Queue:
    """Frames on their way in one direction; used under the pair's condition."""

    __slots__ = ("ended", "frames", "size_bytes")

    def __init__(self) -> None:
        self.frames: deque[_Frame] = deque()
        self.size_bytes = 0
        # Why nothing more will come, or be taken.
        self.ended = ""

    def has_room(self, size_bytes: int) -> bool:
        """Return whether a frame of this size fits; any frame fits an empty queue."""
        if not self.frames:
            return True
        fits = self.size_bytes + size_bytes <= INPROC_BYTES_MAX
        return fits and len(self.frames) < INPROC_FRAMES_MAX

    def put(self, frame: _Frame) -> None:
        self.frames.append(frame)
        self.size_bytes += frame.size_bytes

    def take(self) -> _Frame:
        frame = self.frames.popleft()
        self.size_bytes -= frame.size_bytes
        return frame


class InprocLink:
    """One end of a pair. See gon.transport.base.Link; `inproc_pair` makes both."""

    lane = None
    sides = loan = None

    def __init__(
        self,
        name: str,
        changed: threading.Condition,
        outbound: _Queue,
        inbound: _Queue,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._name = name
        self._changed = changed
        self._outbound = outbound
        self._inbound = inbound
        self._now_s = clock.now_s
        # Payloads of the frame received last that were not asked for yet.
        self._payloads: deque[bytes] = deque()
        self._over = ""
        self._in_callback = False
        self._frames_sent = self._frames_received = 0
        self._bytes_sent = self._bytes_received = 0
        self._copied_sent = self._copied_received = 0
        self._blocking_waits = 0

    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        state = f"lost: {self._over}" if self._over else "open"
        frames = f"{self._frames_sent} out, {self._frames_received} in"
        return f"InprocLink({self._name}, {state}, {frames})"

    def statistics(self) -> LinkStatistics:
        return LinkStatistics(
            frames_sent=self._frames_sent,
            frames_received=self._frames_received,
            bytes_sent=self._bytes_sent,
            bytes_received=self._bytes_received,
            copied_sent=self._copied_sent,
            copied_received=self._copied_received,
            blocking_waits=self._blocking_waits,
            spin_hits=0,
        )

    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        check_frame(head, payloads)
        if self._in_callback:
            raise LocalProtocolError("a frame cannot be sent in the middle of another one")
        copies = tuple(bytes(payload) for payload in payloads)
        copied = sum(map(len, copies))
        frame = _Frame(bytes(head), copies, len(head) + copied)
        self._copied_sent += copied
        sent = False
        try:
            while not self._put(frame, wait=while_blocked is None):
                if while_blocked is not None:
                    self._call_while_blocked(while_blocked)
            sent = True
        finally:
            if not sent:
                self._end("a frame was not sent")
        self._frames_sent += 1
        self._bytes_sent += frame.size_bytes

    def _put(self, frame: _Frame, *, wait: bool) -> bool:
        """Queue the frame if there is room, else wait for a change; return whether it is queued.

        Without `wait` it waits only while there is nothing to receive either.
        """
        with self._changed:
            self._check_open()
            if self._outbound.ended:
                raise self._lost(self._outbound.ended)
            if self._outbound.has_room(frame.size_bytes):
                self._outbound.put(frame)
                self._changed.notify_all()
                return True
            if wait or not self._inbound.frames:
                self._blocking_waits += 1
                self._changed.wait(WAIT_SLICE_S)
            return False

    def _call_while_blocked(self, while_blocked: Callable[[], None]) -> None:
        with self._changed:
            if not self._inbound.frames:
                return
        received = self._frames_received
        self._in_callback = True
        try:
            while_blocked()
        finally:
            self._in_callback = False
        if self._frames_received == received:
            # It had no room for more: asking again at once would only burn the core.
            with self._changed:
                self._changed.wait(BLOCKED_PAUSE_S)

    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        if self._payloads:
            self._check_open()
            raise self._broken(f"{len(self._payloads)} payloads more than its head told")
        end_s = None if timeout_s is None else self._now_s() + timeout_s
        with self._changed:
            while True:
                self._check_open()
                if self._inbound.frames:
                    break
                if self._inbound.ended:
                    raise self._lost(self._inbound.ended)
                left_s = WAIT_SLICE_S if end_s is None else end_s - self._now_s()
                if left_s <= 0:
                    return None
                self._blocking_waits += 1
                self._changed.wait(left_s)
            frame = self._inbound.take()
            self._changed.notify_all()
        self._payloads.extend(payload for payload in frame.payloads if payload)
        self._frames_received += 1
        self._bytes_received += len(frame.head)
        return memoryview(frame.head)

    def receive_into(self, target: memoryview) -> None:
        if not target.nbytes:
            return
        if not self._payloads:
            self._await_end()
        payload = self._payloads.popleft()
        if len(payload) > target.nbytes == ZMQ_CHUNK_BYTES:
            self._payloads.appendleft(payload[ZMQ_CHUNK_BYTES:])
            payload = payload[:ZMQ_CHUNK_BYTES]
        if len(payload) != target.nbytes:
            raise self._broken(f"a payload of {len(payload)} bytes instead of {target.nbytes}")
        target[:] = payload
        self._copied_received += len(payload)
        self._bytes_received += len(payload)

    def _await_end(self) -> NoReturn:
        """Raise for a payload that never comes: the peer is broken, or gone."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._over or self._inbound.ended or self._inbound.frames, FRAME_STALL_S
            )
            self._check_open()
            if self._inbound.frames or not self._inbound.ended:
                raise self._broken("a frame with fewer payloads than its head told")
            raise self._lost(self._inbound.ended)

    def close(self) -> None:
        self._end("closed on this side")

    def _end(self, reason: str) -> None:
        with self._changed:
            if not self._over:
                self._over = reason
                self._outbound.ended = self._inbound.ended = "the peer closed it"
                # What was on its way to this end reaches nobody.
                self._inbound.frames.clear()
                self._inbound.size_bytes = 0
                self._changed.notify_all()

    def _check_open(self) -> None:
        if self._over:
            raise self._lost(self._over)

    def _lost(self, reason: str) -> LinkLost:
        self._end(reason)
        return LinkLost(f"the link to {self._name} is over: {self._over}")

    def _broken(self, what: str) -> RemoteProtocolError:
        self._end(what)
        return RemoteProtocolError(f"{what} on the link to {self._name}")


def inproc_pair(name: str = "inproc://") -> tuple[Link, Link]:
    """Return the two ends of a link in this process."""
    changed = threading.Condition()
    there, back = _Queue(), _Queue()
    return InprocLink(name, changed, there, back), InprocLink(name, changed, back, there)
