"""Whether the next piece of a large transfer is worth compressing. Pure; seconds are arguments.

It is where compressing it and sending what is left takes clearly less time than sending it as it
is: a matter of the link's bandwidth, of this processor's speed, and of the bytes. The bandwidth is
known from sends that the link held up; what a socket takes at once says nothing of it. The other
two are known from a sample of the piece.

Rules: a fast link is never even tried; nor is one that has not held anything up for a while. Bytes
that did not shrink are left alone for ever longer. Threads may share this: each field is set whole.
"""

from __future__ import annotations

from gon.limits import KIB

# Beyond this bandwidth no processor gains by it. It is that of the middle one of so many sends,
# each held up by the link for so long: what a socket takes comes in jumps, and a peer that is busy
# for once only seems a slow link.
LINK_BYTES_PER_S = 200_000_000
LINK_SENDS = 7
BLOCKED_S = 0.001
# A link that has not held up a send for this long is measured anew, by pieces as they are.
AGAIN_S = 10.0
# Compressing and sending what is left must be so many times as fast: it takes the processor from
# others, and the peer expands.
GAIN = 1.25
# Of a piece, this much tells what becomes of it; smaller pieces are left alone.
SAMPLE_BYTES = 64 * KIB
# Pieces that are sent without another sample after one that did not pay: 1, 2, 4 … this many.
ALONE_MAX = 64


class Payoff:
    """What one side has measured on one link, and what it makes of it."""

    __slots__ = ("_blocked_s", "_left", "_rates", "_skipping", "is_slow")

    def __init__(self) -> None:
        # Bytes a second of the last sends that were held up, and when the last one was.
        self._rates: tuple[float, ...] = ()
        self._blocked_s = 0.0
        # Whether the link is so slow that compressing may pay: asked before every large transfer.
        self.is_slow = False
        # Pieces that are left alone: still, and the next time.
        self._left, self._skipping = 0, 1

    def __repr__(self) -> str:
        return f"Payoff({self._link_bytes_per_s() / 1e6:.0f} MB/s, {self._left} left alone)"

    def worth_a_sample(self, size_bytes: int, now_s: float) -> bool:
        """Return whether a piece of that size is worth compressing a little of."""
        if self._rates and now_s - self._blocked_s > AGAIN_S:
            self._rates, self.is_slow = (), False
        if size_bytes < SAMPLE_BYTES:
            return False
        if not self.is_slow:
            return False
        if self._left:
            self._left -= 1
            return False
        return True

    def worth_it(
        self, size_bytes: int, compressed_bytes: int, took_s: float, *, is_sample: bool
    ) -> bool:
        """Hear what so many bytes, a piece or a sample of one, have become in that time; return
        whether that is worth it.
        """
        raw_s = size_bytes / self._link_bytes_per_s()
        worth = took_s + raw_s * compressed_bytes / size_bytes < raw_s / GAIN
        if worth and not is_sample:  # what follows a sample need not be like it
            self._skipping = 1
        elif not worth:
            self._left = self._skipping
            self._skipping = min(2 * self._skipping, ALONE_MAX)
        return worth

    def sent(self, size_bytes: int, took_s: float, now_s: float, compressing_s: float) -> None:
        """Hear that bytes, as they went, took so long to send just now, after so much time of
        compressing them.
        """
        if took_s < BLOCKED_S:
            return
        # Until now the link was busy with what the socket held, so the pause counts too.
        rate = size_bytes / (took_s + compressing_s)
        self._rates = (*self._rates[1 - LINK_SENDS :], rate)
        self._blocked_s = now_s
        self.is_slow = self._link_bytes_per_s() <= LINK_BYTES_PER_S

    def _link_bytes_per_s(self) -> float:
        rates = self._rates
        return sorted(rates)[LINK_SENDS // 2] if len(rates) == LINK_SENDS else float("inf")
