"""What is gathered for the next frame: ops in the order of the calls, each coded as it comes, and
where each was queued. `gon_client._express.Outbox` is the same, natively.

Frames of many ops are folded (gon.wire.repeats) if the host knows how, and if it is done natively:
in Python, finding what is repeated takes longer than all the rest.

Rules: ops are added without a lock, by any thread and in the middle of anything: that is one step
to Python. The sending lock is held where they are taken out. The number of an op in the session is
its place in the order in which they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.limits import BATCH_OPS_MAX, HEAD_BYTES_MAX
from gon.native import NATIVE
from gon.wire.batch import batch_body, encode_op
from gon.wire.frame import HEADER_BYTES
from gon.wire.ops import AnyOp
from gon.wire.session import Session
from gon.wire.versions import FOLDING, FORGETTING
from gon_client.pending import Origin

if TYPE_CHECKING or NATIVE:
    from gon.wire._repeats import Folds
    from gon_client._express import Outbox

# What is left of a head for coded ops: behind its header and what opens a batch.
_OPS_BYTES = HEAD_BYTES_MAX - HEADER_BYTES - 16


class PlainOutbox:
    """Ops gathered."""

    __slots__ = ("_gathered", "ended", "first", "folds", "inline_bytes", "number")

    def __init__(self) -> None:
        self._gathered: list[tuple[bytes, Origin, int]] = []
        # The number of the next op that is taken; what the gathered ones carry; whether nothing is
        # taken any more.
        self.first = 1
        self.inline_bytes = 0
        self.ended = False
        self.folds: None = None
        # What the next op's will be; 0: in Python that cannot be told in one step.
        self.number = 0

    @property
    def count(self) -> int:
        """Ops gathered."""
        return len(self._gathered)

    @property
    def last(self) -> int:
        """The number of the last op that was taken; here more for the moment in which another
        thread takes ops out, never less.
        """
        return len(self._gathered) + self.first - 1

    def add(self, op: AnyOp, origin: Origin, inline_bytes: int = 0) -> int:
        """Gather an op; return how many there are now.

        Raises OverflowError, UnicodeEncodeError for what cannot be coded.
        """
        one = encode_op(op), origin, inline_bytes
        self.inline_bytes += inline_bytes
        self._gathered.append(one)
        return len(self._gathered)

    def seal(self, session: Session) -> tuple[int, list[Origin], bytes]:
        """Take ops out, as many as a frame may have, into one that the session numbers and keeps:
        the number of the first, their origins, the frame's head. All but those that finalizers
        gather while their thread sends. Raises LocalProtocolError.
        """
        first, some, sent = self.first, self._gathered[:BATCH_OPS_MAX], session.sent
        while len(some) > 1 and sum(len(coded) for coded, _, _ in some) > _OPS_BYTES:
            del some[-(len(some) // 2) :]
        body = batch_body(first, [coded for coded, _, _ in some])
        marks, count = [origin for _, origin, _ in some], len(some)
        inline_bytes = sum(size for _, _, size in some)
        try:
            head = session.seal_plain(body)
        finally:
            # No call until all of it is done, and so no interrupt: what is kept goes out once.
            if session.sent != sent:
                self.first = first + count
                self.inline_bytes -= inline_bytes
                del self._gathered[:count]
        return first, marks, head

    def claim(self, count: int) -> int:
        """Return the first of `count` numbers for ops that go in a frame of their own, 0 while
        others are gathered before them.
        """
        if self._gathered:
            return 0
        self.first += count
        return self.first - count


def outbox_for(version: int) -> PlainOutbox | Outbox:
    """Return what gathers for a host that speaks this version of the data plane."""
    if not NATIVE:
        return PlainOutbox()
    outbox = Outbox()
    outbox.folds = Folds(contents=version < FORGETTING) if version >= FOLDING else None
    return outbox
