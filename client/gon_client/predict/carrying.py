"""Large payloads on a way: cut into pieces, and compressed where that pays, as either side does.

The rules are the ones that the sides go by (gon.wire.pieces, gon.payoff), run on the model's time.
A socket takes what the way itself holds and TCP_UNSENT_BYTES; beyond that it holds the sender up,
half of that at a time: but who sends an upload tries again with whatever comes meanwhile.
Pure.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gon.limits import TCP_UNSENT_BYTES
from gon.payoff import LINK_BYTES_PER_S, SAMPLE_BYTES, Payoff
from gon.wire.pieces import PieceSize
from gon_client.bench.limits import DELAY_QUEUE_S
from gon_client.predict.trace import Content

# By how much a full socket has emptied when a sender is woken that waits for nothing else: Linux
# does so once half of TCP_NOTSENT_LOWAT is left.
WOKEN_BYTES = TCP_UNSENT_BYTES // 2


class Carried(NamedTuple):
    """What became of a payload: when the sender goes on, when the way is free again, and how many
    of its bytes went as they are.
    """

    sender_s: float
    free_s: float
    plain_bytes: int


class Carrier:
    """One direction of a way that carries `bytes_s` bytes a second, and the side that sends."""

    def __init__(self, bytes_s: float, rtt_s: float, woken_bytes: int = 1) -> None:
        """A sender that is held up is woken when there is room for `woken_bytes`."""
        self._bytes_s, self._woken_bytes = bytes_s, woken_bytes
        # What is on its way, or in a socket, before a sender is held up.
        self._ahead_bytes = TCP_UNSENT_BYTES + (rtt_s + DELAY_QUEUE_S) * bytes_s
        self._pieces, self._payoff = PieceSize(), Payoff()

    def __repr__(self) -> str:
        return f"Carrier({self._bytes_s / 1e6:.1f} MB/s, {self._pieces!r}, {self._payoff!r})"

    @property
    def may_pay(self) -> bool:
        """Whether compressing may pay on this way."""
        return 0.0 < self._bytes_s <= LINK_BYTES_PER_S

    def carry(self, size_bytes: int, content: Content, now_s: float, free_s: float) -> Carried:
        """Return what becomes of a payload that is sent now, on a way that is free at `free_s`."""
        plain, left = 0, size_bytes
        while left > 0:
            piece = min(left, self._pieces.next_bytes)
            left -= piece
            as_bytes, spent_s = self._tried(piece, content, now_s)
            now_s += spent_s
            held_s = self._held_s(as_bytes, max(0.0, free_s - now_s))
            free_s = max(free_s, now_s) + as_bytes / self._bytes_s
            now_s += held_s
            self._payoff.sent(as_bytes, held_s, now_s, spent_s)
            compressed = as_bytes < piece
            self._pieces.sent(piece, held_s, alone=True, compressed=compressed)
            plain += 0 if compressed else piece
        return Carried(now_s, free_s, plain)

    def _held_s(self, size_bytes: int, busy_s: float) -> float:
        """Return how long a send is held up on a way that is busy for so long."""
        beyond = size_bytes - max(0.0, self._ahead_bytes - busy_s * self._bytes_s)
        woken_bytes = self._woken_bytes
        return max(0, math.ceil(beyond / woken_bytes)) * woken_bytes / self._bytes_s

    def _tried(self, size_bytes: int, content: Content, now_s: float) -> tuple[int, float]:
        """Return as how many bytes a piece goes, and how long it takes to make it so."""
        payoff = self._payoff
        if not payoff.worth_a_sample(size_bytes, now_s):
            return size_bytes, 0.0
        spent_s = SAMPLE_BYTES / content.bytes_s
        left = int(SAMPLE_BYTES * content.left)
        if not payoff.worth_it(SAMPLE_BYTES, left, spent_s, is_sample=True):
            return size_bytes, spent_s
        took_s, left = size_bytes / content.bytes_s, int(size_bytes * content.left)
        worth = payoff.worth_it(size_bytes, left, took_s, is_sample=False)
        return (left if worth and left < size_bytes else size_bytes), spent_s + took_s
