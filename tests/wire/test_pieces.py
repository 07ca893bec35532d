"""How large pieces are: simulated links, and what others that send in between make of it."""

from __future__ import annotations

import pytest

from gon.limits import (
    KIB,
    MIB,
    PIECE_BYTES_MAX,
    PIECE_BYTES_MIN,
    PIECE_BYTES_SHARED,
    PIECE_S,
    PIECES_SHARED,
)
from gon.wire.pieces import PieceSize


class Pipe:
    """A link of one rate, behind a socket that takes some bytes at once."""

    def __init__(self, bytes_per_s: float, socket_bytes: int) -> None:
        self._bytes_per_s = bytes_per_s
        self._socket_bytes = socket_bytes
        self._held = 0.0

    def send(self, size_bytes: int) -> float:
        """Return how long the sender is blocked."""
        self._held += size_bytes
        took_s = 1e-9 * size_bytes + max(0.0, self._held - self._socket_bytes) / self._bytes_per_s
        self._held = max(0.0, self._held - took_s * self._bytes_per_s)
        return took_s


@pytest.mark.parametrize("mbit", [10, 100, 1000, 10_000])
def test_a_piece_is_what_the_link_carries_in_its_time(mbit: int) -> None:
    rate = mbit * 125_000
    pieces, pipe = PieceSize(), Pipe(rate, 4 * MIB)
    for _ in range(50):
        pieces.sent(pieces.next_bytes, pipe.send(pieces.next_bytes), alone=True)
    wanted = min(PIECE_BYTES_MAX, max(PIECE_BYTES_MIN, int(rate * PIECE_S)))
    assert pieces.next_bytes == pytest.approx(wanted, rel=0.25)


def test_pieces_are_small_while_others_send() -> None:
    pieces = PieceSize()
    assert pieces.next_bytes == PIECE_BYTES_SHARED
    for _ in range(10):
        pieces.sent(pieces.next_bytes, 1e-4, alone=True)
    assert pieces.next_bytes == PIECE_BYTES_MAX
    pieces.sent(pieces.next_bytes, 1e-4, alone=False)
    for _ in range(PIECES_SHARED - 1):
        assert pieces.next_bytes == PIECE_BYTES_SHARED
        pieces.sent(pieces.next_bytes, 1e-4, alone=True)
    pieces.sent(pieces.next_bytes, 1e-4, alone=True)
    assert pieces.next_bytes > PIECE_BYTES_SHARED


def test_a_short_last_piece_makes_the_next_no_larger() -> None:
    pieces = PieceSize()
    pieces.sent(100 * KIB, 1e-6, alone=True)
    assert pieces.next_bytes == PIECE_BYTES_SHARED
    pieces.sent(100 * KIB, 1.0, alone=True)
    assert pieces.next_bytes == PIECE_BYTES_MIN


def test_a_compressed_piece_only_ever_says_that_it_was_too_slow() -> None:
    pieces = PieceSize()
    pieces.sent(PIECE_BYTES_SHARED, 1e-6, alone=True, compressed=True)
    assert pieces.next_bytes == PIECE_BYTES_SHARED
    pieces.sent(PIECE_BYTES_SHARED, 1.0, alone=True, compressed=True)
    assert pieces.next_bytes == PIECE_BYTES_MIN
