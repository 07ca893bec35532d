"""One direction of a delayed connection: what arrived when, and so what leaves when.

    free() ─▶ bytes are received there ─▶ arrived(count, at) ─▶ … ─▶ due(now) ─▶ left(count)

A byte that arrives at t has left the sender's end of the wire at max(t, when the wire was free) +
its share of the rate, and leaves here one delay later. Times are nanoseconds of any one clock.

A connection may have a window, as TCP's has: at most so many bytes are on their way, from their
arrival here until the word that they have left here is back, one delay after that.

Rules: pure, time is an argument; bytes leave in the order in which they arrived, never early, never
changed; what is held is bounded by `held_bytes_max` and in pieces, and `free` is empty beyond that.
"""

from __future__ import annotations

import mmap
from collections import deque

from gon.limits import DELAY_PIECES_MAX


class Wire:
    """What all connections of one direction share: so many bytes a second (0: any)."""

    def __init__(self, rate_bytes_s: float = 0) -> None:
        self._ns_per_byte = 1e9 / rate_bytes_s if rate_bytes_s else 0.0
        self._free_ns = 0.0

    def gone_ns(self, count: int, at_ns: int) -> int:
        """Return when bytes that arrived at `at_ns` are on the wire to the last."""
        if not self._ns_per_byte:
            return at_ns
        self._free_ns = max(at_ns, self._free_ns) + count * self._ns_per_byte
        return round(self._free_ns)


class Lane:
    """The bytes on their way, in a ring; `not_before_ns` is when the first may leave, and
    `window_bytes` how many may be on their way at once (0: any).
    """

    def __init__(
        self,
        delay_ns: int,
        *,
        held_bytes_max: int,
        read_bytes_max: int,
        wire: Wire | None = None,
        not_before_ns: int = 0,
        window_bytes: int = 0,
    ) -> None:
        self._delay_ns = delay_ns
        self._wire = wire or Wire()
        self._read_bytes_max = read_bytes_max
        self._last_ns = not_before_ns
        # Mapped, so that pages that are never needed are never there.
        self._ring = memoryview(mmap.mmap(-1, held_bytes_max))
        # Counts of bytes since the ring was last empty; a position in it is the count modulo its
        # size.
        self._in = self._out = 0
        # (count of bytes up to the piece's end, when it leaves).
        self._pieces: deque[tuple[int, int]] = deque()
        self._end_ns: int | None = None
        self.bytes_through = 0
        # What of the window is free, and (bytes that have left, when they are free again).
        self._window_bytes = self._window_free = window_bytes
        self._unacked: deque[tuple[int, int]] = deque()

    def __repr__(self) -> str:
        return f"Lane({self.held_bytes} B held, {self.bytes_through} through)"

    @property
    def held_bytes(self) -> int:
        return self._in - self._out

    @property
    def is_closed(self) -> bool:
        """Whether nothing more arrives."""
        return self._end_ns is not None

    @property
    def next_ns(self) -> int | None:
        """When the next byte, or the end, leaves; None while there is nothing to leave."""
        return self._pieces[0][1] if self._pieces else self._end_ns

    def opens_ns(self, now_ns: int) -> int | None:
        """Return when a window that is closed opens; None where there is nothing to wait for."""
        if not self._window_bytes or len(self.free(now_ns)) or not self._unacked:
            return None
        return self._unacked[0][1]

    def has_room(self, now_ns: int) -> bool:
        """Return whether `free` gives any: asked for each connection, at each turn."""
        if self._window_bytes:
            return len(self.free(now_ns)) > 0
        is_full = self.held_bytes == len(self._ring) or len(self._pieces) >= DELAY_PIECES_MAX
        return self._end_ns is None and not is_full

    def free(self, now_ns: int = 0) -> memoryview:
        """Return where bytes may be received now; empty while as much is held as may be, or is on
        its way.
        """
        size = len(self._ring)
        start = self._in % size
        room = min(size - self.held_bytes, size - start, self._read_bytes_max)
        if self._window_bytes:
            while self._unacked and self._unacked[0][1] <= now_ns:
                self._window_free += self._unacked.popleft()[0]
            room = min(room, self._window_free)
        if len(self._pieces) >= DELAY_PIECES_MAX or self.is_closed:
            room = 0
        return self._ring[start : start + room]

    def arrived(self, count: int, at_ns: int) -> None:
        """Take the first `count` bytes of what `free` gave, as arrived at `at_ns`."""
        assert 0 < count <= len(self.free()), "bytes arrive where there is room"
        self._in += count
        if self._window_bytes:
            self._window_free -= count
        leaves_ns = self._wire.gone_ns(count, at_ns) + self._delay_ns
        # Whatever its stamp says, nothing overtakes.
        self._last_ns = max(self._last_ns, leaves_ns)
        self._pieces.append((self._in, self._last_ns))

    def ended(self, at_ns: int) -> None:
        """Nothing more arrives: the end travels as a byte would; idempotent."""
        if self._end_ns is None:
            self._last_ns = max(self._last_ns, at_ns + self._delay_ns)
            self._end_ns = self._last_ns

    def due(self, now_ns: int) -> memoryview:
        """Return bytes that may leave now, without a gap in memory; empty if none may."""
        until = self._out
        for upto, leaves_ns in self._pieces:
            if leaves_ns > now_ns:
                break
            until = upto
        size = len(self._ring)
        start = self._out % size
        return self._ring[start : min(size, start + until - self._out)]

    def left(self, count: int, now_ns: int = 0) -> None:
        """Forget the first `count` bytes of what `due` gave; they leave now."""
        assert 0 <= count <= self.held_bytes, "only what is held can leave"
        self._out += count
        self.bytes_through += count
        if self._window_bytes and count:
            self._unacked.append((count, now_ns + self._delay_ns))
        while self._pieces and self._pieces[0][0] <= self._out:
            self._pieces.popleft()
        if self._out == self._in:
            # Begin anew: a lane that is seldom full uses few pages, and the caches keep them.
            self._in = self._out = 0

    def is_over(self, now_ns: int) -> bool:
        """Whether all bytes have left and the end leaves now."""
        return not self._pieces and self._end_ns is not None and self._end_ns <= now_ns
