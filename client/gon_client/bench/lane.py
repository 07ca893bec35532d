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

from collections import deque

from gon_client.bench.blocks import Blocks
from gon_client.bench.limits import DELAY_PIECES_MAX


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
    """The bytes on their way, in blocks; `not_before_ns` is when the first may leave, and
    `window_bytes` how many may be on their way at once (0: any).
    """

    def __init__(
        self,
        delay_ns: int,
        blocks: Blocks,
        *,
        held_bytes_max: int,
        read_bytes_max: int,
        wire: Wire | None = None,
        not_before_ns: int = 0,
        window_bytes: int = 0,
    ) -> None:
        self._delay_ns = delay_ns
        self._blocks = blocks
        self._wire = wire or Wire()
        self._held_bytes_max, self._read_bytes_max = held_bytes_max, read_bytes_max
        self._last_ns = not_before_ns
        # What holds bytes, the oldest first, and how far the newest is filled and the oldest
        # emptied; none while nothing is held, but one that `free` gave.
        self._held: deque[memoryview] = deque()
        self._filled = self._emptied = 0
        # Counts of all bytes.
        self._in = self._out = 0
        # (count of bytes up to the piece's end, when it leaves).
        self._pieces: deque[tuple[int, int]] = deque()
        self._end_ns: int | None = None
        # What of the window is free, and (bytes that have left, when they are free again).
        self._window_bytes = self._window_free = window_bytes
        self._unacked: deque[tuple[int, int]] = deque()

    def __repr__(self) -> str:
        return f"Lane({self.held_bytes} B held, {self.bytes_through} through)"

    @property
    def held_bytes(self) -> int:
        return self._in - self._out

    @property
    def bytes_through(self) -> int:
        return self._out

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
        if self.is_closed or self._room(now_ns) or not self._unacked:
            return None
        return self._unacked[0][1]

    def has_room(self, now_ns: int) -> bool:
        """Return whether `free` gives any: asked for each connection, at each turn."""
        return self._room(now_ns) > 0

    def free(self, now_ns: int = 0) -> memoryview:
        """Return where bytes may be received now; empty while as much is held as may be, or is on
        its way.
        """
        room = self._room(now_ns)
        if not room:
            return memoryview(b"")
        if not self._held or self._filled == len(self._held[-1]):
            self._held.append(self._blocks.take())
            self._filled = 0
        return self._held[-1][self._filled : self._filled + room]

    def _room(self, now_ns: int) -> int:
        """Return how many bytes may be received."""
        room = min(self._held_bytes_max - self._in + self._out, self._read_bytes_max)
        if self._window_bytes:
            while self._unacked and self._unacked[0][1] <= now_ns:
                self._window_free += self._unacked.popleft()[0]
            room = min(room, self._window_free)
        return 0 if self.is_closed or len(self._pieces) >= DELAY_PIECES_MAX else room

    def arrived(self, count: int, at_ns: int) -> None:
        """Take the first `count` bytes of what `free` gave, as arrived at `at_ns`."""
        room = len(self.free())
        assert 0 < count <= room, "bytes arrive where there is room"
        self._in += count
        self._filled += count
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
            self._give_back()

    def due(self, now_ns: int) -> memoryview:
        """Return bytes that may leave now, of one block; empty if none may."""
        if not self._pieces or self._pieces[0][1] > now_ns:
            return memoryview(b"")
        oldest, emptied = self._held[0], self._emptied
        most = (len(oldest) if len(self._held) > 1 else self._filled) - emptied
        count = 0
        for upto, leaves_ns in self._pieces:
            if leaves_ns > now_ns or count >= most:
                break
            count = upto - self._out
        return oldest[emptied : emptied + min(count, most)]

    def left(self, count: int, now_ns: int = 0) -> None:
        """Forget the first `count` bytes of what `due` gave; they leave now."""
        assert 0 <= count <= self.held_bytes, "only what is held can leave"
        self._out += count
        self._emptied += count
        if self._window_bytes and count:
            self._unacked.append((count, now_ns + self._delay_ns))
        while self._pieces and self._pieces[0][0] <= self._out:
            self._pieces.popleft()
        self._give_back()

    def _give_back(self) -> None:
        """Give back the oldest block where it has been emptied, all where nothing is held."""
        if self._in == self._out:
            self.close()
        elif self._emptied == len(self._held[0]):
            self._blocks.give_back(self._held.popleft())
            self._emptied = 0

    def close(self) -> None:
        """Give back all blocks; what they hold is lost."""
        while self._held:
            self._blocks.give_back(self._held.popleft())
        self._filled = self._emptied = 0

    def is_over(self, now_ns: int) -> bool:
        """Whether all bytes have left and the end leaves now."""
        return not self._pieces and self._end_ns is not None and self._end_ns <= now_ns
