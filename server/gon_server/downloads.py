"""Large reads on their way: answered piece by piece, so that other work goes between two pieces.

A piece's bytes are the device's own memory, in a window that is open while they are sent, no
longer. Until the client has acknowledged a piece it may have to be sent again: its bytes are then
read again, and are the same, since a client sends nothing that is ordered behind a read before it
has received all of it (gon.wire.batch).

Rules: pieces go out in the order of the reads. What is not acknowledged is bounded; beyond that the
client is heard first. Must not know: batches, what comes between.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import GonError, RemoteProtocolError
from gon.limits import DOWNLOAD_PIECES_MAX, DOWNLOADS_MAX
from gon.transport.base import Link
from gon.wire import ops
from gon.wire.batch import Failure, Reply, encode
from gon.wire.ledger import Frame
from gon.wire.pieces import PieceSize
from gon.wire.session import Session
from gon_server.executor import Executor


@dataclass(slots=True)
class _Download:
    """One read, the number of its op, and how much of it has been sent."""

    op: ops.Read
    number: int
    sent: int = 0
    # The last frame that had taken effect when the piece before was sent.
    received: int = 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a frame that is not acknowledged carries."""

    op: ops.Read
    at: int
    size_bytes: int


class Downloads:
    """The large reads of one session that have not been answered in full."""

    def __init__(self, executor: Executor, session: Session, clock: Clock = SYSTEM_CLOCK) -> None:
        self._executor = executor
        self._session = session
        self._now_s = clock.now_s
        self._asked: deque[_Download] = deque()
        # By the number of the frame, in order.
        self._unacked: dict[int, _Piece] = {}
        self._pieces: PieceSize | None = None

    def __repr__(self) -> str:
        return f"Downloads({len(self._asked)} on their way, {len(self._unacked)} pieces unacked)"

    def __bool__(self) -> bool:
        """Whether there are pieces to send."""
        return bool(self._asked)

    def on_another_link(self, *, pieces: bool) -> None:
        """Begin anew with a client that takes pieces, or does not."""
        self._pieces = PieceSize() if pieces else None

    def add(self, op: ops.Read, number: int) -> None:
        """Take a read that nothing speaks against. Raises RemoteProtocolError."""
        if len(self._asked) >= DOWNLOADS_MAX:
            raise RemoteProtocolError(f"more than {DOWNLOADS_MAX} large reads at once")
        self._asked.append(_Download(op, number))

    def may_send(self) -> bool:
        """Return whether a piece may be sent before the client is heard."""
        acked = self._session.acked
        while self._unacked and next(iter(self._unacked)) <= acked:
            del self._unacked[next(iter(self._unacked))]
        return len(self._unacked) < DOWNLOAD_PIECES_MAX

    def send_piece(self, link: Link) -> None:
        """Send the next piece, or the failure that ends its read. Raises LinkLost."""
        session = self._session
        if not session.has_credit():
            raise RemoteProtocolError("the client does not acknowledge replies")
        download = self._asked[0]
        op = download.op
        pieces, received, began_s = self._pieces, session.received, self._now_s()
        size = op.size_bytes - download.sent
        if pieces is not None:
            size = min(size, pieces.next_bytes)
        piece = _Piece(op, download.sent, size)
        try:
            window = self._executor.begin_read(op, piece.at, size)
        except GonError as error:
            self._asked.popleft()
            failure = Failure.of(error, "Read", download.number)
            link.send(session.seal(encode([Reply(op.reply, failure=failure)])).head)
            return
        try:
            frame = session.seal_apart(encode([Reply(op.reply, None, size)]), size)
            self._unacked[frame.seq] = piece
            download.sent += size
            if download.sent == op.size_bytes:
                self._asked.popleft()
            link.send(frame.head, [window])
        finally:
            self._executor.end_window()
        if pieces is not None:
            alone = not piece.at or received == download.received
            pieces.sent(size, self._now_s() - began_s, alone=alone)
        download.received = received

    def send_again(self, link: Link, frame: Frame) -> None:
        """Send a frame that the last link has lost. Raises LinkLost, RemoteProtocolError."""
        piece = self._unacked.get(frame.seq)
        if piece is None:
            link.send(frame.head, frame.payloads)
            return
        try:
            window = self._executor.begin_read(piece.op, piece.at, piece.size_bytes)
        except GonError as error:
            raise RemoteProtocolError(
                f"what a large read reads is gone before it was received: {error.message}"
            ) from error
        try:
            link.send(frame.head, [window])
        finally:
            self._executor.end_window()
