"""A delay proxy: relays TCP connections byte for byte, each direction later by a given time and, if
asked, at no more than a given rate. A process of its own, so that nobody's interpreter lock is in
it.

Run as `python -m gon_client.bench.delay FD DELAY_MS RATE_MBIT WINDOW_KIB` (0 is none of them) by
gon_client.bench.detour. On the socket FD it is told targets, one `HOST PORT` a line, and answers
each with the loopback port that leads there; the end of that stream ends it.

A round trip through it is longer by DELAY_MS: half of that each way. What it adds itself is little,
because bytes are stamped by the kernel when they arrive (SO_TIMESTAMPNS), not when this process is
woken to read them, and because it waits for the last SPIN_NS before they are due by looking at the
clock, as long as nobody else wants the processor. A connection costs its round trip too: nothing
leaves before three one-way delays after it was accepted (the way of SYN, its answer, and the first
byte).

What it is not: a model of TCP over a long way. Slow start and loss are not in it, nor windows, but
for one that is asked for: so much of each connection may be on its way in each direction. Within
its limits both ends see an ideal wire of that delay and rate; all connections share the rate.

Rules: one thread, one wait; only gon_client.bench.lane decides what leaves when.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gon.limits import CONNECT_TIMEOUT_S, KIB
from gon.transport.prompt import hurry
from gon_client.bench.blocks import Blocks
from gon_client.bench.lane import Lane, Wire
from gon_client.bench.limits import (
    DELAY_CONNECTIONS_MAX,
    DELAY_HELD_BYTES_MAX,
    DELAY_QUEUE_S,
    DELAY_READ_BYTES_MAX,
    DELAY_READ_S,
    DELAY_ROUTES_MAX,
)

# Linux: a TCP socket tells when the last byte of what is read arrived, as a timespec of the wall
# clock. Python has no name for it.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
# A thread that sleeps is woken up to this much late on a virtual machine; what is due sooner is
# waited for awake, unless so much is on its way that a little lateness is nothing to it, while the
# processor is wanted by whoever sends it.
SPIN_NS = 120_000
_BULK_BYTES = 64 * KIB
_LONG_NS = 2_000_000
# To yield takes longer than this where another process runs meanwhile.
_WANTED_NS = 10_000
# Linux groups the timers of a process within 50 µs unless told otherwise.
_TIMER_SLACK = Path("/proc/self/timerslack_ns")
_LINE_BYTES_MAX = 512


@dataclass(frozen=True, slots=True)
class Way:
    """What lies on the way: one-way delay, bytes a second each way of all connections (0: no cap),
    and of one what may be on its way (0: anything).
    """

    delay_ns: int
    rate_bytes_s: float
    window_bytes: int = 0

    def lane(self, wire: Wire, blocks: Blocks, not_before_ns: int) -> Lane:
        """Return one direction of a new connection."""
        held, read = DELAY_HELD_BYTES_MAX, DELAY_READ_BYTES_MAX
        if self.rate_bytes_s:
            # As deep as the wire is long, and a router's queue before it.
            deep = int(self.rate_bytes_s * (self.delay_ns / 1e9 + DELAY_QUEUE_S))
            held = min(held, max(deep, 64 * KIB))
            read = min(read, max(int(self.rate_bytes_s * DELAY_READ_S), 2 * KIB))
        return Lane(
            self.delay_ns,
            blocks,
            held_bytes_max=held,
            read_bytes_max=read,
            wire=wire,
            not_before_ns=not_before_ns,
            window_bytes=self.window_bytes,
        )

    def prepare(self, sock: socket.socket) -> None:
        """Set a socket up: no delay but ours, stamps, and no deep queue before a cap."""
        sock.setblocking(False)
        hurry(sock)
        with suppress(OSError):  # without stamps, arrival is when it is read
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if self.rate_bytes_s or self.window_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)


class Direction:
    """One direction of one connection: a lane between two sockets."""

    def __init__(self, source: socket.socket, sink: socket.socket, lane: Lane) -> None:
        self.source = source
        self.sink = sink
        self.lane = lane
        # Whether there is room for what arrives.
        self.reads = True
        # The sink takes nothing more for now.
        self.is_blocked = False
        self.is_over = False

    def read(self) -> None:
        """Take what has arrived. Raises OSError."""
        room = self.lane.free(time.perf_counter_ns())
        try:
            count, ancillary, _flags, _from = self.source.recvmsg_into([room], _ANCILLARY_BYTES)
        except BlockingIOError:
            return
        now_ns = time.perf_counter_ns()
        if count == 0:
            self.lane.ended(now_ns)
            return
        for _level, kind, data in ancillary:
            if kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
                seconds, fraction_ns = _TIMESPEC.unpack(data)
                age_ns = time.time_ns() - (seconds * 1_000_000_000 + fraction_ns)
                now_ns -= max(0, age_ns)
        self.lane.arrived(count, now_ns)

    def advance(self, now_ns: int) -> int | None:
        """Pass on what is due, if the sink may take it; return when to do so again, None where
        something else has to happen first. Raises OSError.
        """
        lane = self.lane
        if not self.is_blocked and not self.is_over:
            next_ns = lane.next_ns
            if next_ns is not None and next_ns <= now_ns:
                self.write(now_ns)
        next_ns = None if self.is_blocked or self.is_over else lane.next_ns
        self.reads = lane.has_room(now_ns)
        if not self.reads:
            opens_ns = lane.opens_ns(now_ns)
            if opens_ns is not None and (next_ns is None or opens_ns < next_ns):
                return opens_ns
        return next_ns

    def write(self, now_ns: int) -> None:
        """Pass on what is due. Raises OSError."""
        self.is_blocked = False
        while due := self.lane.due(now_ns):
            try:
                self.lane.left(self.sink.send(due), now_ns)
            except BlockingIOError:
                self.is_blocked = True
                return
        if self.lane.is_over(now_ns) and not self.is_over:
            self.is_over = True
            self.sink.shutdown(socket.SHUT_WR)


class Proxy:
    """All routes and connections of one way.

    What it does for a frame is done while a processor may be wanted by those whose frame it is: so
    only what something is on its way in is looked at, and what is waited for is listed anew only
    where that has changed.
    """

    def __init__(self, orders: socket.socket, way: Way) -> None:
        self._orders = orders
        self._way = way
        self._there, self._back = Wire(way.rate_bytes_s), Wire(way.rate_bytes_s)
        self._blocks = Blocks()
        self._listeners: dict[int, tuple[socket.socket, tuple[str, int]]] = {}
        # Each direction's other one, and whose source a socket is.
        self._other: dict[Direction, Direction] = {}
        self._sources: dict[int, Direction] = {}
        # Where something is on its way, or has no room, or is blocked.
        self._busy: list[Direction] = []
        # What is waited for: to be read from, and to be written to; whether that has changed.
        self._readable: list[int] = []
        self._writable: list[int] = []
        self._is_stale = True

    def serve(self) -> None:
        """Relay until the orders end."""
        told = b""
        while True:
            now_ns = time.perf_counter_ns()
            next_ns, is_bulk = self._advance(now_ns)
            timeout_s = None
            if next_ns is not None:
                asleep_ns = next_ns - now_ns - (0 if is_bulk else SPIN_NS)
                if asleep_ns <= 0 and not is_bulk and _awaited(next_ns):
                    continue
                # The kernel is late by a thousandth of a long wait: the rest is waited for apart.
                part = 0.98 if asleep_ns > _LONG_NS else 1.0
                timeout_s = max(0.0, asleep_ns * part) / 1e9
            for fd in self._wait(timeout_s):
                if fd in self._listeners:
                    self._accept(*self._listeners[fd])
                    continue
                received = self._orders.recv(_LINE_BYTES_MAX)
                if not received:
                    return
                *lines, told = (told + received).split(b"\n")
                for line in lines:
                    self._lead(line.decode("ascii"))

    def _lead(self, line: str) -> None:
        """Open a route to HOST PORT and tell its port."""
        assert len(self._listeners) < DELAY_ROUTES_MAX, "a place has a few routes"
        host, port = line.split()
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self._listeners[listener.fileno()] = (listener, (host, int(port)))
        self._is_stale = True
        self._orders.sendall(b"%d\n" % listener.getsockname()[1])

    def _accept(self, listener: socket.socket, target: tuple[str, int]) -> None:
        try:
            near, _address = listener.accept()
        except OSError:
            return
        if len(self._other) >= 2 * DELAY_CONNECTIONS_MAX:
            near.close()
            return
        try:
            far = socket.create_connection(target, CONNECT_TIMEOUT_S)
        except OSError:
            near.close()
            return
        for sock in (near, far):
            self._way.prepare(sock)
        connected_ns = time.perf_counter_ns() + 3 * self._way.delay_ns
        there = Direction(near, far, self._way.lane(self._there, self._blocks, connected_ns))
        back = Direction(far, near, self._way.lane(self._back, self._blocks, 0))
        for direction, other in ((there, back), (back, there)):
            self._other[direction] = other
            self._sources[direction.source.fileno()] = direction
        self._is_stale = True

    def _advance(self, now_ns: int) -> tuple[int | None, bool]:
        """Pass on what is due, drop what is over; return when more is due, and whether much is."""
        soonest: int | None = None
        is_bulk = False
        for direction in tuple(self._busy):
            if direction not in self._other:
                continue
            could_read, was_blocked = direction.reads, direction.is_blocked
            try:
                event_ns = direction.advance(now_ns)
            except OSError:
                self._drop(direction)
                continue
            if direction.is_over and self._other[direction].is_over:
                self._drop(direction)
                continue
            if direction.reads != could_read or direction.is_blocked != was_blocked:
                self._is_stale = True
            if event_ns is not None:
                if soonest is None or event_ns < soonest:
                    soonest, is_bulk = event_ns, direction.lane.held_bytes > _BULK_BYTES
            elif direction.is_over or (direction.reads and not direction.is_blocked):
                self._busy.remove(direction)
        return soonest, is_bulk

    def _wait(self, timeout_s: float | None) -> list[int]:
        """Wait until something arrives, room comes or time has passed; receive what arrived.

        Returns what else is readable: orders and listeners.
        """
        if self._is_stale:
            self._list_anew()
        readable, writable, _ = select.select(self._readable, self._writable, [], timeout_s)
        for fd in writable:
            self._other[self._sources[fd]].is_blocked = False
            self._is_stale = True
        others: list[int] = []
        for fd in readable:
            direction = self._sources.get(fd)
            if direction is None:
                if fd == self._orders.fileno() or fd in self._listeners:
                    others.append(fd)
                continue  # or it was dropped with its other direction
            try:
                direction.read()
            except OSError:
                self._drop(direction)
                continue
            if direction not in self._busy:
                self._busy.append(direction)
        return others

    def _list_anew(self) -> None:
        """List what to wait for: a direction that has no room is not read from."""
        self._is_stale = False
        sources = self._sources.items()
        self._readable = [fd for fd, direction in sources if direction.reads]
        self._readable += [self._orders.fileno(), *self._listeners]
        self._writable = [fd for fd, direction in sources if self._other[direction].is_blocked]

    def _drop(self, direction: Direction) -> None:
        """Close both ends; a connection that breaks is broken at both."""
        self._is_stale = True
        for each in (direction, self._other[direction]):
            del self._other[each], self._sources[each.source.fileno()]
            if each in self._busy:
                self._busy.remove(each)
            each.source.close()
            each.lane.close()


def _awaited(until_ns: int) -> bool:
    """Wait awake until then; return False once somebody else turns out to want this processor, such
    as those who send what is relayed: who calls then looks at the sockets between two tries.
    """
    while (now_ns := time.perf_counter_ns()) < until_ns:
        os.sched_yield()
        if time.perf_counter_ns() - now_ns > _WANTED_NS:
            return False
    return True


def main() -> None:
    """Relay until the orders end."""
    fd, delay_ms, rate_mbit, window_kib = sys.argv[1:]
    delay_ns, rate_bytes_s = round(float(delay_ms) * 1e6 / 2), float(rate_mbit) * 1e6 / 8
    way = Way(delay_ns, rate_bytes_s, round(float(window_kib) * KIB))
    with suppress(OSError):  # then it sleeps less exactly
        _TIMER_SLACK.write_text("1", "ascii")
    with socket.socket(fileno=int(fd)) as orders:
        Proxy(orders, way).serve()


if __name__ == "__main__":
    main()
