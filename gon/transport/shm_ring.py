"""A ring of bytes in memory that two processes share: one writes, the other reads. No I/O.
`gon.transport._ring` is the same, natively, and has real fences.

    | page 0: the rings' words, each on 128 bytes of its own | bytes of ring 0 | bytes of ring 1 |

Of a ring, `head` counts the bytes ever written, `tail` those ever read, and each side says in a
word of its own that it sleeps and wants to be rung. A side keeps its own count in its own memory
and only shows it: what the peer does to the memory can spoil what travels, never what is known.

Nothing in the memory is believed. A word is read once and checked: the peer's count may only grow,
and never past what the ring holds. Bytes are copied out before they are looked at.

Order of what the two see. CPython has no fences, so this is how each order comes about:
- A count is an aligned word of 8 bytes, loaded and stored by one `memcpy` of constant size, which
  compilers turn into one instruction: it is never seen in half.
- Bytes before the `head` that tells of them, bytes read before the `tail` that frees them: x86-64
  keeps stores in order, and loads before later loads and stores (glibc's memcpy fences the
  streaming stores that it uses for large sizes). Elsewhere `fence` stands between.
- "I sleep" before a last look at the count, and the count before the look at "I sleep": a store
  before a later load, which no processor keeps by itself. Both sides have a `fence` between. So
  either the sleeper sees the bytes, or the writer sees the sleeper, and rings.
- `fence` is a lock of this process, taken and given back. POSIX lists what CPython makes locks of
  (semaphores, mutexes) among the functions that synchronize memory. On x86-64 each is one locked
  instruction, which is a full fence. On aarch64 giving back is a store-release and taking a
  load-acquire, and a load-acquire does not pass an earlier store-release: what came before the one
  is seen before what comes after the other. So `fence` does it twice there: take, give, take, give
  has a give before a take in it, as a single time has not.

Rules: one thread writes, one reads. Must not know: frames' meaning, sockets, time.
"""

from __future__ import annotations

import mmap
import platform
import threading
from collections.abc import Callable

from gon.limits import SHM_CHUNK_BYTES, SHM_RING_BYTES
from gon.transport.base import Bytes
from gon.transport.framing import JOIN_BYTES_MAX, MAGIC, PREFIX

# Where a ring's words are, counted in words of 8 bytes: neighbouring lines of a cache travel in
# pairs.
WORD_DISTANCE = 16
_RING_WORDS = 4 * WORD_DISTANCE
WORDS_BYTES = 4096
MEMORY_BYTES = WORDS_BYTES + 2 * SHM_RING_BYTES

_MASK = SHM_RING_BYTES - 1
# Counts are of 64 bits: so is what lies between two, also where a peer has spoiled one.
_COUNTS = 1 << 64
# What was read is given back to the writer in portions: telling costs more than reading.
RELEASE_BYTES = SHM_RING_BYTES // 8
# Where bulk passes, a sleeper is woken only once so much waits to be read, or so little is left to
# read: where both sides share a core, each change between them costs as much as copying tens of
# thousands of bytes.
# Nobody sleeps on: a writer that stops has filled the ring, or ended what it writes; and on the way
# from more than LOW_BYTES to none, a reader gives back room with fewer left.
FULL_BYTES = SHM_RING_BYTES - RELEASE_BYTES
LOW_BYTES = 2 * RELEASE_BYTES
_PREFIX_BYTES = PREFIX.size
_pack_into, _unpack_from = PREFIX.pack_into, PREFIX.unpack_from
_KEEPS_ORDER = platform.machine().lower() in ("x86_64", "amd64", "i686")


class Fence:
    """Orders all loads and stores of this thread before the call with all after it.

    Where a processor keeps order, `lock` taken and given back once is enough, and `twice` False.
    """

    __slots__ = ("lock", "twice")

    def __init__(self, *, keeps_order: bool = _KEEPS_ORDER) -> None:
        self.lock = threading.Lock()
        self.twice = not keeps_order

    def __call__(self) -> None:
        with self.lock:
            pass
        if self.twice:
            with self.lock:
                pass


class PlainRingWriter:
    """The writing end of ring `number`; `ring` wakes a reader that sleeps."""

    __slots__ = (
        "_fence",
        "_head",
        "_limit",
        "_memory",
        "_reader_sleeps",
        "_ring",
        "_sleeps",
        "_start",
        "_tail",
        "_tail_seen",
        "_view",
        "total",
    )

    def __init__(
        self,
        memory: mmap.mmap,
        number: int,
        ring: Callable[[], None],
        *,
        keeps_order: bool = _KEEPS_ORDER,
    ) -> None:
        words = _Words(memory, number)
        self._head, self._tail = words.head, words.tail
        self._sleeps, self._reader_sleeps = words.writer_sleeps, words.reader_sleeps
        self._memory, self._view = memory, memoryview(memory)
        self._start = WORDS_BYTES + number * SHM_RING_BYTES
        self._ring = ring
        self._fence = Fence(keeps_order=keeps_order)
        # Bytes ever written; how many the reader is known to have read, and how many there may be.
        self.total = 0
        self._tail_seen = 0
        self._limit = SHM_RING_BYTES

    def __repr__(self) -> str:
        return f"RingWriter({self.total} bytes, room for {self._limit - self.total})"

    def put_frame(self, head: Bytes) -> bool:
        """Write a frame without payloads if it fits at once; return whether it did."""
        size = len(head)
        total = self.total
        at = total & _MASK
        end = at + _PREFIX_BYTES + size
        after = total + _PREFIX_BYTES + size
        if after > self._limit or end > SHM_RING_BYTES:
            return False
        at += self._start
        _pack_into(self._memory, at, size, 0, MAGIC)
        self._memory[at + _PREFIX_BYTES : self._start + end] = head
        # As `_show` does: a small frame is worth it.
        fence = self._fence
        if fence.twice:
            fence()
        self.total = self._head[0] = after
        with fence.lock:
            pass
        if fence.twice:
            fence()
        if self._reader_sleeps[0]:
            self._reader_sleeps[0] = 0
            self._ring()
        return True

    def put(self, data: memoryview) -> int:
        """Write of `data` what fits; return how many bytes.

        The reader is told of each chunk, but woken only once it has FULL_BYTES to read, or all of
        `data`.
        Raises ValueError for a ring that the peer has spoiled.
        """
        wanted = data.nbytes
        if self.total + wanted > self._limit:
            self._learn()
        fits = min(wanted, self._limit - self.total)
        written = 0
        while written < fits:
            total = self.total
            at = total & _MASK
            size = min(fits - written, SHM_CHUNK_BYTES, SHM_RING_BYTES - at)
            at += self._start
            self._view[at : at + size] = data[written : written + size]
            written += size
            total += size
            if written < wanted and total - self._tail_seen < FULL_BYTES:
                if self._fence.twice:
                    self._fence()
                self.total = self._head[0] = total
            else:
                self._show(total)
        return written

    def has_room(self) -> bool:
        """Return whether a byte fits. Raises ValueError as `put`."""
        if self.total == self._limit:
            self._learn()
        return self.total < self._limit

    def sleep(self) -> bool:
        """Ask to be rung when there is room; return whether there is none now."""
        self._sleeps[0] = 1
        self._fence()
        if not self.has_room():
            return True
        # Nobody sleeps: a ring would wake the next sleep for nothing.
        self._sleeps[0] = 0
        return False

    def _show(self, total: int) -> None:
        """Tell the reader of what is written, and wake it if it sleeps."""
        fence = self._fence
        if fence.twice:
            fence()
        # Ours first: an exception between the two must not let the same place be written again.
        self.total = self._head[0] = total
        with fence.lock:
            pass
        if fence.twice:
            fence()
        if self._reader_sleeps[0]:
            self._reader_sleeps[0] = 0
            self._ring()

    def _learn(self) -> None:
        """Look how far the reader is."""
        tail = self._tail[0]
        if not self._tail_seen <= tail <= self.total:
            raise ValueError(f"{tail} bytes were read of {self.total}, after {self._tail_seen}")
        if self._fence.twice:
            self._fence()
        self._tail_seen = tail
        self._limit = tail + SHM_RING_BYTES


class PlainRingReader:
    """The reading end of ring `number`; `ring` wakes a writer that sleeps."""

    __slots__ = (
        "_fence",
        "_head",
        "_memory",
        "_released",
        "_ring",
        "_sleeps",
        "_start",
        "_tail",
        "_view",
        "_writer_sleeps",
        "in_frame",
        "total",
    )

    def __init__(
        self,
        memory: mmap.mmap,
        number: int,
        ring: Callable[[], None],
        *,
        keeps_order: bool = _KEEPS_ORDER,
    ) -> None:
        words = _Words(memory, number)
        self._head, self._tail = words.head, words.tail
        self._sleeps, self._writer_sleeps = words.reader_sleeps, words.writer_sleeps
        self._memory, self._view = memory, memoryview(memory)
        self._start = WORDS_BYTES + number * SHM_RING_BYTES
        self._ring = ring
        self._fence = Fence(keeps_order=keeps_order)
        # Bytes ever read, and those that the writer was told of.
        self.total = 0
        self._released = 0
        # Whether a frame has come in part, as who puts it together says: no frame begins here then.
        self.in_frame = False

    def __repr__(self) -> str:
        return f"RingReader({self.total} bytes)"

    def has_some(self) -> bool:
        """Return whether there is something to read."""
        return self._head[0] != self.total

    def whole(self) -> bytes | None:
        """Return the next frame's head, a copy, if it has JOIN_BYTES_MAX at most, and all of it is
        there, in one piece.
        """
        total = self.total
        held = self._head[0] - total
        at = total & _MASK
        if self.in_frame or not _PREFIX_BYTES <= held <= SHM_RING_BYTES:
            return None
        if SHM_RING_BYTES - at < _PREFIX_BYTES:
            return None
        if self._fence.twice:
            self._fence()
        start = self._start + at
        size, pad_size, magic = _unpack_from(self._memory, start)
        whole = _PREFIX_BYTES + size
        if magic != MAGIC or pad_size or size > JOIN_BYTES_MAX:
            return None
        if whole > held or at + whole > SHM_RING_BYTES:
            return None
        head = self._memory[start + _PREFIX_BYTES : start + whole]
        self.total = total = total + whole
        if total - self._released >= RELEASE_BYTES:
            self.release()
        return head

    def take(self, target: memoryview) -> int:
        """Copy what is there, as much as fits, into `target`; return how many bytes.

        Raises ValueError for a ring that the peer has spoiled.
        """
        taken, size = 0, target.nbytes
        while taken < size:
            total = self.total
            held = (self._head[0] - total) % _COUNTS
            if held > SHM_RING_BYTES:
                raise ValueError(f"{held} bytes wait in a ring of {SHM_RING_BYTES}")
            if not held:
                break
            if self._fence.twice:
                self._fence()
            at = total & _MASK
            some = min(held, size - taken, SHM_RING_BYTES - at, SHM_CHUNK_BYTES)
            at += self._start
            target[taken : taken + some] = self._view[at : at + some]
            taken += some
            self.total = total = total + some
            if total - self._released >= RELEASE_BYTES:
                self.release()
        return taken

    def release(self) -> None:
        """Give the writer all room that was read; wake it if it sleeps and LOW_BYTES are left.

        `whole` and `take` do it in time: while less is held back than that, a writer has room.
        """
        if self._fence.twice:
            self._fence()
        self._released = self._tail[0] = self.total
        if (self._head[0] - self.total) % _COUNTS > LOW_BYTES:
            return
        self._fence()
        if self._writer_sleeps[0]:
            self._writer_sleeps[0] = 0
            self._ring()

    def sleep(self) -> bool:
        """Ask to be rung when bytes come; return whether there are none now."""
        self._sleeps[0] = 1
        fence = self._fence
        with fence.lock:
            pass
        if fence.twice:
            fence()
        if self._head[0] == self.total:
            return True
        self._sleeps[0] = 0
        return False


class _Words:
    """The words of ring `number`, each a view of one."""

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        words = memoryview(memory)[:WORDS_BYTES].cast("Q")
        first = number * _RING_WORDS
        self.head, self.reader_sleeps, self.tail, self.writer_sleeps = (
            words[at : at + 1] for at in range(first, first + 4 * WORD_DISTANCE, WORD_DISTANCE)
        )
