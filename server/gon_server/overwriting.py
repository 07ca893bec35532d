"""Writes that come in parts: which are acknowledged, and how far they overwrite poisoned buffers.

A part that more follow need not be acknowledged by itself: that disturbs whoever is sending. It is
before the sender, who keeps what is not acknowledged, may send no more.

A buffer is usable again once all of it was overwritten by one write; where that write comes in
parts, once the last of them has come and none is missing.

Rules: pure; bounded: what is forgotten leaves its buffer poisoned.
"""

from __future__ import annotations

from gon.limits import OVERWRITING_MAX, PARTS_UNACKED_BYTES_MAX, PARTS_UNACKED_MAX
from gon.wire import ops


class Overwriting:
    """Bytes from the beginning on that are overwritten, by buffer."""

    def __init__(self) -> None:
        self._done: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"Overwriting({len(self._done)} buffers)"

    def completes(self, op: ops.Write | ops.WritePart) -> bool:
        """Note a write to a poisoned buffer, of all of it or of a part; return whether all of the
        buffer is overwritten now.
        """
        if isinstance(op, ops.Write):
            return True
        done = self._done.pop(op.buffer, 0) if op.offset else 0
        end = op.offset + op.size_bytes
        # A part that broke off with its link is begun again.
        if op.offset != done and end != done:
            return False
        if end >= op.total_bytes:
            return True
        if len(self._done) >= OVERWRITING_MAX:
            del self._done[next(iter(self._done))]
        self._done[op.buffer] = end
        return False

    def begin_again(self, buffer: int) -> None:
        """Hear that a buffer was poisoned in between."""
        self._done.pop(buffer, None)


class Parts:
    """The parts of one session's writes that nothing has acknowledged."""

    def __init__(self) -> None:
        self._count = self._bytes = 0

    def __repr__(self) -> str:
        return f"Parts({self._count} not acknowledged)"

    def are_owed(self, size_bytes: int) -> bool:
        """Take one more part; return whether it is time to acknowledge them."""
        self._count += 1
        self._bytes += size_bytes
        return self._count >= PARTS_UNACKED_MAX or self._bytes >= PARTS_UNACKED_BYTES_MAX

    def acknowledge(self) -> None:
        """Hear that they are."""
        self._count = self._bytes = 0
