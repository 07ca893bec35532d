"""What is gathered for the next frame: ops in the order of the calls, each coded as it comes, and
where each was queued. `gon_client._express.Outbox` is the same, natively.

Frames of many ops are folded (gon.wire.repeats) if the host knows how, and if it is done natively:
in Python, finding what is repeated takes longer than all the rest.

Rules: the caller's lock is held around every call but `count`; the number of an op in the session
is its place in the order in which they are taken out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.limits import BATCH_OPS_MAX, REPEAT_BATCH_OPS
from gon.native import NATIVE
from gon.wire.batch import batch_body, encode_op
from gon.wire.ops import AnyOp
from gon.wire.repeats import PlainFolds
from gon.wire.versions import FOLDING
from gon_client.pending import Origin

if TYPE_CHECKING or NATIVE:
    from gon.wire._repeats import Folds
    from gon_client._express import Outbox


class PlainOutbox:
    """Ops gathered."""

    __slots__ = ("_coded", "_marks", "ended", "first", "folds", "inline_bytes")

    def __init__(self) -> None:
        self._coded: list[bytes] = []
        self._marks: list[Origin] = []
        # The number of the next op that is taken; what the gathered ones carry; whether nothing is
        # taken any more.
        self.first = 1
        self.inline_bytes = 0
        self.ended = False
        self.folds: PlainFolds | None = None

    @property
    def count(self) -> int:
        """Ops gathered."""
        return len(self._coded)

    def add(self, op: AnyOp, origin: Origin, inline_bytes: int = 0) -> int:
        """Gather an op; return how many there are now.

        Raises OverflowError, UnicodeEncodeError for what cannot be coded.
        """
        self._coded.append(encode_op(op))
        self._marks.append(origin)
        self.inline_bytes += inline_bytes
        return len(self._coded)

    def take(self) -> tuple[int, bytes, list[Origin]]:
        """Take all ops out: the number of the first, the body of their frame, their origins."""
        first, coded, marks = self.first, self._coded, self._marks
        self._coded, self._marks, self.inline_bytes = [], [], 0
        self.first = first + len(coded)
        if self.folds is not None and REPEAT_BATCH_OPS <= len(coded) <= BATCH_OPS_MAX:
            return first, self.folds.fold(first, coded), marks
        return first, batch_body(first, coded), marks

    def claim(self, count: int) -> int:
        """Return the first of `count` numbers for ops that go in a frame of their own, 0 while
        others are gathered before them.
        """
        if self._coded:
            return 0
        self.first += count
        return self.first - count


def outbox_for(version: int) -> PlainOutbox | Outbox:
    """Return what gathers for a host that speaks this version of the data plane."""
    if not NATIVE:
        return PlainOutbox()
    outbox = Outbox()
    outbox.folds = Folds() if version >= FOLDING else None
    return outbox
