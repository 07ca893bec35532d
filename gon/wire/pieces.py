"""How large the next piece of a large transfer is. Pure; seconds are arguments.

A piece is what an op of another thread waits for on its way, and costs both sides a little time: so
it is as large as the link carries within PIECE_S, and no larger than PIECE_BYTES_SHARED while
others do send something in between.
"""

from __future__ import annotations

from gon.limits import (
    PIECE_BYTES_MAX,
    PIECE_BYTES_MIN,
    PIECE_BYTES_SHARED,
    PIECE_S,
    PIECES_SHARED,
)


class PieceSize:
    """The size of one side's pieces on one link; `next_bytes` is that of the next one."""

    __slots__ = ("_shared", "next_bytes")

    def __init__(self) -> None:
        self.next_bytes = PIECE_BYTES_SHARED
        # Pieces for which others are still thought to be there.
        self._shared = 0

    def __repr__(self) -> str:
        return f"PieceSize({self.next_bytes} bytes)"

    def sent(
        self, size_bytes: int, took_s: float, *, alone: bool, compressed: bool = False
    ) -> None:
        """Hear that a piece took so long to send, whether nobody else sent anything since the one
        before, and whether it was compressed.
        """
        self._shared = max(0, self._shared - 1) if alone else PIECES_SHARED
        most = PIECE_BYTES_SHARED if self._shared else PIECE_BYTES_MAX
        # What a socket takes at once says nothing of the link: so twice as much at most, each time.
        # The last piece of a transfer, which is shorter, and one that was compressed, which the
        # next may not be, only ever say that they were too slow.
        carried = int(size_bytes * PIECE_S / max(took_s, 1e-6))
        grown = min(carried, 2 * max(size_bytes, self.next_bytes))
        if (size_bytes < self.next_bytes or compressed) and self.next_bytes <= grown:
            grown = self.next_bytes
        self.next_bytes = min(most, max(PIECE_BYTES_MIN, grown))
