"""How far away the worker is, and so whether an upload that has been sent is worth a copy instead
of waiting until the worker has it. Pure; seconds of any one clock are arguments.

An upload goes out from the program's own array, which must stay as it is until it can no longer
have to be sent again. Near by, that is known sooner than the bytes are copied; far away the copy is
cheap, and the program goes on a round trip earlier.

Rules: the round trip is the shortest one seen on a link: whatever is measured has other work in it.
"""

from __future__ import annotations

from gon.limits import COPY_BYTES_PER_S, COPY_ROUND_TRIP_S


class RoundTrip:
    """The round trip of one link; first that of its handshake."""

    def __init__(self, round_trip_s: float) -> None:
        self.shortest_s = round_trip_s
        # A frame, when it had been sent, and so what its acknowledgement will tell.
        self.marked = 0
        self._marked_s = 0.0

    def __repr__(self) -> str:
        return f"RoundTrip({1e6 * self.shortest_s:.0f} µs)"

    def mark(self, seq: int, now_s: float) -> None:
        """Hear that frame `seq` has been sent whole."""
        self.marked, self._marked_s = seq, now_s

    def acknowledged(self, now_s: float) -> None:
        """Hear that the marked frame is acknowledged."""
        self.marked = 0
        self.seen(now_s - self._marked_s)

    def seen(self, round_trip_s: float) -> None:
        """Hear of a round trip that was measured otherwise."""
        self.shortest_s = min(self.shortest_s, round_trip_s)

    def worth_copying(self, size_bytes: int) -> bool:
        """Return whether `size_bytes` are copied well before they would be acknowledged."""
        copying_s = size_bytes / COPY_BYTES_PER_S
        return self.shortest_s > max(COPY_ROUND_TRIP_S, copying_s)
