"""Frames out of a ring, also those that come in part: larger than it, over its end, or not yet all
there.

Rules: one thread reads. Nothing is believed: a prefix is copied out before it is looked at. Must
not know: frames' meaning, sockets, time.
"""

from __future__ import annotations

from gon.limits import HEAD_BYTES_MAX
from gon.transport.framing import MAGIC, PREFIX
from gon.transport.shm_ring import PlainRingReader


class FrameReader:
    """Reads frames by the reading end of a ring."""

    __slots__ = ("_got", "_in_head", "_part", "_reader")

    def __init__(self, reader: PlainRingReader) -> None:
        self._reader = reader
        # The prefix or head that is coming, and how much of it is here.
        self._in_head = False
        self._part = bytearray(PREFIX.size)
        self._got = 0

    def __repr__(self) -> str:
        return f"FrameReader({self._reader!r}, {self._got} bytes of a part)"

    def frame(self) -> bytes | bytearray | None:
        """Return the next frame's head, a copy, or None if not all of it is there.

        Raises ValueError for a ring that the peer has spoiled, or a prefix that no frame has.
        """
        reader = self._reader
        head = reader.whole()
        if head is not None:
            return head
        return self._assemble() if reader.has_some() else None

    def _assemble(self) -> bytearray | None:
        """Go on with a frame that comes in part; return its head once it is whole."""
        reader = self._reader
        reader.in_frame = True
        if not self._in_head:
            self._got += reader.take(memoryview(self._part)[self._got :])
            if self._got < PREFIX.size:
                return None
            self._part = bytearray(_size_of(PREFIX.unpack(self._part)))
            self._in_head, self._got = True, 0
        part = self._part
        self._got += reader.take(memoryview(part)[self._got :])
        if self._got < len(part):
            return None
        self._part = bytearray(PREFIX.size)
        reader.in_frame = self._in_head = False
        self._got = 0
        return part


def _size_of(prefix: tuple[int, int, int]) -> int:
    """Return the size of the head that a prefix opens. Raises ValueError if none may."""
    size, pad_size, magic = prefix
    if magic != MAGIC or size > HEAD_BYTES_MAX or pad_size:
        raise ValueError(f"a frame opens with magic {magic:#06x}, size {size}, pad {pad_size}")
    return size
