"""The numbers of a session: what was sent, acknowledged and received, and what is kept to be sent
again. `gon.wire._ledger` is the same, natively.

Rules: no locks: one thread sends, one receives, and each field has one of them as its writer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from gon.errors import LocalProtocolError, RemoteProtocolError
from gon.limits import HEAD_BYTES_MAX
from gon.wire.frame import HEADER


class Frame(msgspec.Struct, gc=False):
    """What goes onto a link. `payloads` are not copied: they must stay as they are until
    acknowledged, or their owner puts copies in their place.
    """

    seq: int
    head: bytes
    payloads: tuple[memoryview, ...] = ()


class PlainLedger:
    """Sequence numbers, credit, and the frames that the peer has not acknowledged.

    `word` opens the head of a frame without payloads; `can_seal` is whether frames may be numbered
    now, `is_open` whether they also go out.
    """

    __slots__ = (
        "_bytes_max",
        "_frames_max",
        "_kept",
        "_kept_bytes",
        "_let_go_bytes",
        "_word",
        "acked",
        "can_seal",
        "is_open",
        "received",
        "sent",
    )

    def __init__(self, word: int, frames_max: int, bytes_max: int) -> None:
        self._word = word
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._kept: deque[Frame] = deque()
        # Bytes ever kept, bytes ever let go: each has one writer, the sender and the receiver.
        self._kept_bytes = 0
        self._let_go_bytes = 0
        self.can_seal = self.is_open = False
        self.sent = self.acked = self.received = 0

    def has_credit(self) -> bool:
        """Return whether one more frame may be kept."""
        return (
            len(self._kept) < self._frames_max
            and self._kept_bytes - self._let_go_bytes < self._bytes_max
        )

    def limit(self, frames_max: int, bytes_max: int) -> None:
        """Take the peer's limits where they are lower than ours."""
        self._frames_max = max(1, min(self._frames_max, frames_max))
        self._bytes_max = max(1, min(self._bytes_max, bytes_max))

    def seal_plain(self, body: bytes) -> bytes:
        """Number and keep a frame without payloads; return its head. Raises LocalProtocolError."""
        head = HEADER.pack(self._word, self.sent + 1, self.received) + body
        if len(head) > HEAD_BYTES_MAX:
            raise LocalProtocolError(
                f"a head of {len(head)} bytes: at most {HEAD_BYTES_MAX} are allowed"
            )
        self.keep(head)
        return head

    def keep(self, head: bytes, payloads: Sequence[memoryview] = ()) -> Frame:
        """Keep the next frame until it is acknowledged. Raises LocalProtocolError."""
        if not self.can_seal:
            raise LocalProtocolError("nothing can be sent in this state of the session")
        if not self.has_credit():
            raise LocalProtocolError(f"no credit: {len(self._kept)} frames are not acknowledged")
        frame = Frame(self.sent + 1, head, tuple(payloads))
        # One step to whatever interrupts it, as is the letting go.
        self._kept_bytes += len(head)
        self.sent += 1
        self._kept.append(frame)
        return frame

    def take_ack(self, ack: int) -> None:
        """Forget what the peer has acknowledged. Raises RemoteProtocolError."""
        if ack > self.sent:
            raise RemoteProtocolError(f"frame {ack} is acknowledged and only {self.sent} were sent")
        kept = self._kept
        while kept and kept[0].seq <= ack:
            self._let_go_bytes += len(kept[0].head)
            kept.popleft()
        self.acked = ack

    def kept(self) -> list[Frame]:
        """Return what is not acknowledged, in order."""
        return list(self._kept)

    def forget(self) -> None:
        """Drop what is kept: the session is over."""
        self._kept.clear()
