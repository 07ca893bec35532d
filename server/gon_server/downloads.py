"""Large reads on their way: answered piece by piece, so that other work goes between two pieces.

A piece's bytes are the device's own memory, in a window that is open while they are sent, no
longer. Until the client has acknowledged a piece it may have to be sent again: its bytes are then
read again, and are the same, since a client sends nothing that is ordered behind a read before it
has received all of it (gon.wire.batch). A piece that went compressed is kept as it went: what
compresses it again need not give the same. A buffer that is freed meanwhile lives until then.

Rules: pieces go out in the order of the reads. What is not acknowledged is bounded; beyond that the
client is heard first. Must not know: batches, what comes between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gon.clock import SYSTEM_CLOCK, Clock
from gon.compression import Compressor
from gon.errors import GonError, RemoteProtocolError
from gon.limits import DOWNLOAD_COMPRESSED_BYTES_MAX, DOWNLOAD_PIECES_MAX, DOWNLOADS_MAX
from gon.transport.base import Link, Sides
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


@dataclass(slots=True)
class _Piece:
    """What a frame that is not acknowledged carries."""

    op: ops.Read
    at: int
    size_bytes: int
    # What it went as, if compressed.
    compressed: bytes | None = None


class Downloads:
    """The large reads of one session that have not been answered in full."""

    def __init__(self, executor: Executor, session: Session, clock: Clock = SYSTEM_CLOCK) -> None:
        self._executor = executor
        executor.pins.look = self.forget_received
        executor.holding.begin_large = self.add
        self._session = session
        self._now_s = clock.now_s
        self._asked: deque[_Download] = deque()
        # By the number of the frame, in order.
        self._unacked: dict[int, _Piece] = {}
        # What of them is compressed, in bytes.
        self._compressed_bytes = 0
        self._pieces: PieceSize | None = None
        self._clock = clock
        self._compressor = Compressor("", clock)

    def __repr__(self) -> str:
        return f"Downloads({len(self._asked)} on their way, {len(self._unacked)} pieces unacked)"

    def __bool__(self) -> bool:
        """Whether there are pieces to send."""
        return bool(self._asked)

    def on_another_link(self, *, pieces: bool, compression: str = "") -> None:
        """Begin anew with a client that takes pieces, or does not, perhaps compressed."""
        self._pieces = PieceSize() if pieces else None
        self._compressor = Compressor(compression if pieces else "", self._clock)

    def add(self, op: ops.Read, number: int) -> None:
        """Take a read that nothing speaks against. Raises RemoteProtocolError."""
        if len(self._asked) >= DOWNLOADS_MAX:
            raise RemoteProtocolError(f"more than {DOWNLOADS_MAX} large reads at once")
        self._executor.pins.hold(op.buffer)
        self._asked.append(_Download(op, number))

    def _done(self) -> None:
        """Take out the first read: all of it has been sent, or it failed."""
        self._let_go(self._asked.popleft().op)

    def _let_go(self, op: ops.Read) -> None:
        freed = self._executor.pins.let_go(op.buffer)
        if freed is not None:
            self._executor.run_op(freed, 0)

    def may_send(self) -> bool:
        """Return whether a piece may be sent before the client is heard."""
        self.forget_received()
        return len(self._unacked) < DOWNLOAD_PIECES_MAX

    def forget_received(self) -> None:
        """Forget the pieces that the client has acknowledged, and run the frees they held up."""
        acked = self._session.acked
        while self._unacked and next(iter(self._unacked)) <= acked:
            piece = self._unacked.pop(next(iter(self._unacked)))
            self._compressed_bytes -= len(piece.compressed or b"")
            self._let_go(piece.op)

    def may_send_whole(self, size_bytes: int) -> bool:
        """Return whether a read may go in one piece, as it is, by whoever has its bytes and sends
        them at once; where it may not, it goes by `add`.
        """
        pieces = self._pieces
        if pieces is None or size_bytes > pieces.next_bytes or self._asked:
            return False
        return len(self._unacked) < DOWNLOAD_PIECES_MAX and not self._compressor.may_pay

    def send_whole(self, op: ops.Read, seq: int) -> None:
        """Hear that frame `seq`, which is kept and to be sent now, carries all of a read."""
        self._unacked[seq] = _Piece(op, 0, op.size_bytes)
        self._executor.pins.hold(op.buffer)

    def took(self, size_bytes: int, took_s: float) -> None:
        """Hear how long a read took to send at once."""
        if self._pieces is not None:
            self._pieces.sent(size_bytes, took_s, alone=True)
        self._compressor.sent(size_bytes, took_s, 0.0)

    def send_piece(self, link: Link) -> None:
        """Send the next piece, or the failure that ends its read. Raises LinkLost."""
        session = self._session
        if not session.has_credit():
            raise RemoteProtocolError("the client does not acknowledge replies")
        download = self._asked[0]
        op = download.op
        pieces, received = self._pieces, session.received
        size = op.size_bytes - download.sent
        if pieces is not None:
            size = min(size, pieces.next_bytes)
        piece = _Piece(op, download.sent, size)
        try:
            window = self._executor.begin_read(op, piece.at, size)
        except GonError as error:
            self._done()
            failure = Failure.of(error, "Read", download.number)
            link.send(session.seal(encode([Reply(op.reply, failure=failure)])).head)
            return
        try:
            took_s = self._send(link, download, piece, window)
        finally:
            self._executor.end_window()
        if pieces is not None:
            alone = not piece.at or received == download.received
            pieces.sent(size, took_s, alone=alone, compressed=piece.compressed is not None)
        download.received = received

    def _send(self, link: Link, download: _Download, piece: _Piece, window: memoryview) -> float:
        """Send a piece whose bytes are there; return how long the link took."""
        session, size = self._session, piece.size_bytes
        compressing_s = 0.0
        if self._compressed_bytes + size <= DOWNLOAD_COMPRESSED_BYTES_MAX:
            piece.compressed, compressing_s = self._compressor.try_on(window)
        payload = window if piece.compressed is None else memoryview(piece.compressed)
        body = encode([Reply(piece.op.reply, None, size)])
        frame = session.seal_apart(body, payload.nbytes)
        self._unacked[frame.seq] = piece
        self._executor.pins.hold(piece.op.buffer)
        self._compressed_bytes += len(piece.compressed or b"")
        download.sent += size
        if download.sent == piece.op.size_bytes:
            self._done()
        began_s = self._now_s()
        link.send(frame.head, [payload])
        took_s = self._now_s() - began_s
        self._compressor.sent(payload.nbytes, took_s, compressing_s)
        return took_s

    def send_again(self, link: Link, frame: Frame) -> None:
        """Send a frame that the last link has lost. Raises LinkLost, RemoteProtocolError."""
        piece = self._unacked.get(frame.seq)
        if piece is None:
            link.send(frame.head, frame.payloads)
            return
        with self._bytes_of(piece) as payload:
            link.send(frame.head, [payload])

    def mend(self, sides: Sides) -> None:
        """Send again what broken side links may have lost. Raises LinkLost, RemoteProtocolError."""
        sides.mend(self._payloads_of)

    @contextmanager
    def _payloads_of(self, head: bytes) -> Generator[Sequence[memoryview]]:
        self.forget_received()
        numbers = (frame.seq for frame in self._session.kept() if frame.head == head)
        piece = self._unacked.get(next(numbers, 0))
        if piece is None:
            yield ()
            return
        with self._bytes_of(piece) as payload:
            yield (payload,)

    @contextmanager
    def _bytes_of(self, piece: _Piece) -> Generator[memoryview]:
        """Give the bytes of a piece as they went. Raises RemoteProtocolError."""
        if piece.compressed is not None:
            yield memoryview(piece.compressed)
            return
        try:
            window = self._executor.begin_read(piece.op, piece.at, piece.size_bytes)
        except GonError as error:
            raise RemoteProtocolError(
                f"what a large read reads is gone before it was received: {error.message}"
            ) from error
        try:
            yield window
        finally:
            self._executor.end_window()
