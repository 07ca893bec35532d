"""The bytes of a stream that are read but not given out yet, and how many to ask for next.

gon.transport.framing tells why no byte of a payload ever comes here from a peer that pads.

Rules: pure; what is given out is a view, good until the next read.
"""

from __future__ import annotations

from gon.limits import HEAD_BYTES_MAX, KIB, READ_AHEAD_BYTES
from gon.transport.framing import MAGIC, PREFIX

_BUFFER_BYTES = 64 * KIB


class ReadAhead:
    """A buffer; what is held lies in `view[start:end]`."""

    __slots__ = ("_missing", "buffer", "end", "start", "view")

    def __init__(self) -> None:
        self.buffer = bytearray(_BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self.start: int = 0
        self.end: int = 0
        self._missing: int = READ_AHEAD_BYTES

    def __repr__(self) -> str:
        return f"ReadAhead({self.end - self.start} bytes held)"

    def frame(self) -> memoryview | None:
        """Return the next frame's head if all of it, and of its pad, is here.

        Raises ValueError for a prefix that no frame has.
        """
        start, held = self.start, self.end - self.start
        if held < PREFIX.size:
            self._missing = READ_AHEAD_BYTES - held
            return None
        size: int
        pad_size: int
        size, pad_size, magic = PREFIX.unpack_from(self.buffer, start)
        if magic != MAGIC or size > HEAD_BYTES_MAX:
            raise ValueError(f"a frame opens with magic {magic:#06x} and size {size}")
        head_start = start + PREFIX.size
        frame_end = head_start + size + pad_size
        if frame_end > self.end:
            self._missing = frame_end - self.end
            return None
        self.start = frame_end
        return self.view[head_start : head_start + size]

    def room(self) -> tuple[int, int]:
        """Make room for what `frame` has missed; return where it goes and how much it is."""
        start, held, missing = self.start, self.end - self.start, self._missing
        if held:
            view = self.view
            if held + missing > len(view):
                # Bounded: `frame` has checked the size, and a pad is less than 64 KiB.
                self.buffer = bytearray(1 << (held + missing - 1).bit_length())
                self.view = memoryview(self.buffer)
            if start or self.view is not view:
                self.view[:held] = view[start : start + held]
        self.start, self.end = 0, held
        return held, missing

    def take(self, target: memoryview) -> int:
        """Move held bytes, as many as there are, to the front of `target`; return how many."""
        taken = min(self.end - self.start, target.nbytes)
        if taken:
            target[:taken] = self.view[self.start : self.start + taken]
            self.start += taken
        return taken
