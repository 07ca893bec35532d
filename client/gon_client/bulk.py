"""Large transfers of one session: in pieces, so that what other threads send goes in between.

    upload    WritePart ─▶ WritePart ─▶ …      each a frame of its own, from the caller's array
    download  Read ─▶   ◀─ piece ◀─ piece …    each a reply, into the caller's array

An upload returns when its bytes are needed no more: they are acknowledged, or, where that takes
longer than copying what is not, copied (gon_client.round_trip).

Rules: between two pieces of an upload, whatever is gathered is sent. A worker older than pieces is
sent everything in one. Must not know: handles, arrays, what ops do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gon.clock import Clock
from gon.compression import Compressor
from gon.limits import (
    COPY_ROUND_TRIP_S,
    DOWNLOAD_PIECES_ACK,
    UPLOAD_BYTES_MAX,
    UPLOAD_PIECES_MAX,
)
from gon.transport.base import Link
from gon.wire import ops
from gon.wire.batch import batch_body, encode_op
from gon.wire.frame import Kind
from gon.wire.ledger import Frame
from gon.wire.ops import AnyOp
from gon.wire.pieces import PieceSize
from gon.wire.session import Session
from gon_client.counts import Tally
from gon_client.expected import Expected
from gon_client.outbox import PlainOutbox
from gon_client.pending import Answer, Origin
from gon_client.round_trip import RoundTrip
from gon_client.sending import Sending
from gon_client.width import Way

if TYPE_CHECKING:
    from gon_client._express import Outbox
    from gon_client.link import SessionLink

# The first version whose hosts take and give pieces.
PIECES_SINCE = next(row.since for row in ops.TABLE if row.op is ops.WritePart)


class Bulk:
    """Sends uploads, and says what became of them."""

    def __init__(
        self,
        link: SessionLink,
        session: Session,
        outbox: PlainOutbox | Outbox,
        expected: Expected,
        sending: Sending,
        tally: Tally,
        clock: Clock,
    ) -> None:
        self._link = link
        self._session = session
        self._outbox = outbox
        self._expected = expected
        self._sending = sending
        self._tally = tally
        self._clock = clock
        self.round_trip = RoundTrip(0.0)
        self.pieces = PieceSize()
        self._compressor = Compressor("", clock)
        # Pieces sent compressed, and what did not travel of them.
        self._pieces_compressed = self._bytes_spared = 0
        # Bytes of pieces of downloads that have been counted, and when the last one came; 0 when
        # that ended one.
        self._counted_bytes = 0
        self._piece_s = 0.0

    def __repr__(self) -> str:
        return f"Bulk({self.round_trip!r})"

    def on_another_link(self, link: Link, round_trip_s: float, compression: str) -> None:
        """Forget what was measured on the link before; hear what is agreed on."""
        self.round_trip, self.pieces = RoundTrip(round_trip_s), PieceSize()
        self._piece_s = 0.0
        self._link.side_links.on_another_link(link)
        self._compressor = Compressor(compression, self._clock)
        self._expected.compressed = bool(compression)

    @property
    def compression(self) -> str:
        """What both ends compress by, "" for nothing."""
        return self._compressor.compression

    def compressed(self) -> tuple[int, int]:
        """Return how many pieces, either way, went compressed, and what did not travel of them."""
        expected = self._expected
        return (
            self._pieces_compressed + expected.pieces_compressed,
            self._bytes_spared + expected.bytes_spared,
        )

    def upload(self, op: ops.Write, data: memoryview, origin: Origin) -> None:
        """Send a write's bytes; they may change afterwards, even if this is interrupted."""
        self._sending.inside.check()
        try:
            self.secure(self.send(op, data, origin))
        except BaseException:
            try:
                self.secure_now()
            except BaseException:
                self.secure_now()
                raise
            raise

    def send(
        self, op: ops.Write, data: memoryview, origin: Origin, then: tuple[AnyOp, ...] = ()
    ) -> int:
        """Send a write's bytes, in pieces, and `then` in the last one's frame; return the number of
        that frame. `data` must not change until `secure` or `secure_now` has returned.
        """
        size, pieces = op.size_bytes, self.pieces
        if size <= pieces.next_bytes:
            return self._send_piece([op, *then], origin, data)[0]
        if self._link.version < PIECES_SINCE:
            return self._send_alone([op, *then], origin, (data,))[0]
        stream, buffer, begin = op.stream, op.buffer, op.offset
        seq = at = 0
        try:
            self._sending.begin_pieces()
            while at < size:
                some = data[at : at + pieces.next_bytes]
                count, before = some.nbytes, seq
                part = ops.WritePart(stream, buffer, begin + at, count, begin, size)
                at += count
                last = then if at == size else ()
                seq, took_s, compressed = self._send_piece([part, *last], origin, some)
                alone = not before or seq == before + 1
                pieces.sent(count, took_s, alone=alone, compressed=compressed)
                self._sending.give_way()
        finally:
            self._sending.end_pieces()
        self._link.flush()
        return seq

    def at_once_bytes(self) -> int:
        """Return how large an upload may be that goes as one piece, as it is, and is acknowledged
        sooner than anything else would be worth.
        """
        if self.round_trip.shortest_s > COPY_ROUND_TRIP_S or self._compressor.may_pay:
            return 0
        return self.pieces.next_bytes

    def took(self, size_bytes: int, took_s: float) -> None:
        """Hear how long an upload took to send at once."""
        self.pieces.sent(size_bytes, took_s, alone=True)
        self._compressor.sent(size_bytes, took_s, 0.0)

    def ask(self, op: ops.Read, answer: Answer, *, waited: bool = False) -> None:
        """Send a read whose bytes come as payload, straight into the answer's target; whether this
        thread waits for it at once, and for nothing else before.
        """
        self._link.receive_until(self._expected.may_ask_large)
        waited = waited and self._link.version >= PIECES_SINCE
        self._send_alone([op], answer.origin, large=(op.reply, answer, waited))

    def let_be(self, answer: Answer) -> None:
        """Hear that nobody waits in a read that was asked for so; it may still be on its way."""
        if not answer.settled:
            self._sending.inside.run(lambda: self._expected.hold(answer))

    def _send_piece(
        self, some: Sequence[AnyOp], origin: Origin, data: memoryview
    ) -> tuple[int, float, bool]:
        """Send a frame as `_send_alone` does, its payload compressed where that pays; return also
        whether it was.
        """
        began_s = self._clock.now_s()
        compressor = self._compressor
        compressed, spent_s = compressor.try_on(data)
        payload = data if compressed is None else memoryview(compressed)
        seq, took_s = self._send_alone(some, origin, (payload,), plain_bytes=data.nbytes)
        compressor.sent(payload.nbytes, took_s, spent_s)
        self._moved(Way.UP, payload.nbytes, self._clock.now_s() - began_s)
        return seq, took_s, compressed is not None

    def _send_alone(
        self,
        some: Sequence[AnyOp],
        origin: Origin,
        payloads: tuple[memoryview, ...] = (),
        large: tuple[int, Answer, bool] | None = None,
        plain_bytes: int = 0,
    ) -> tuple[int, float]:
        """Send a frame of its own after all that is gathered; return its number, and how long the
        link took.
        """
        link, outbox, sending = self._link, self._outbox, self._sending
        may_send = self._may_send_payload if payloads else link.may_send
        sending.inside.check()

        def send() -> tuple[int, float] | None:
            first = outbox.claim(len(some)) if may_send() else 0
            if not first:
                return None
            body = batch_body(first, [encode_op(op) for op in some])
            spared = plain_bytes - _sizes(payloads) if plain_bytes else 0
            self._pieces_compressed += spared > 0
            self._bytes_spared += spared
            began_s, sent = self._clock.now_s(), self._session.sent
            try:
                if large is not None:
                    cookie, answer, waited = large
                    self._expected.add_large(cookie, answer, waited=waited)
                link.send_frame(first, body, [origin] * len(some), payloads)
            except BaseException:
                if large is not None and self._session.sent == sent:
                    # Twice where another interrupt comes in between: see `secure_now`.
                    try:
                        self._expected.take_back(large[0])
                    except BaseException:
                        self._expected.take_back(large[0])
                        raise
                raise
            return self._session.sent, self._clock.now_s() - began_s

        while True:
            link.flush()
            sent = sending.within(send)
            if sent is not None:
                return sent
            if not outbox.count:
                link.receive_some(may_send)

    def _may_send_payload(self) -> bool:
        """Return whether one more frame with a payload may be sent; needs the sending lock. Half of
        the credit is for what is small.
        """
        session = self._session
        return (
            self._link.may_send()
            and session.sent - session.acked < UPLOAD_PIECES_MAX
            and _payload_bytes(session.kept()) < UPLOAD_BYTES_MAX
        )

    def secure(self, seq: int) -> None:
        """Return when no frame up to `seq` needs the caller's bytes any more."""
        session = self._session
        if session.acked >= seq:
            return
        self.round_trip.mark(seq, self._clock.now_s())
        frames = [frame for frame in session.kept() if frame.seq <= seq and _may_change(frame)]
        if not frames:
            return
        if not self.round_trip.worth_copying(_payload_bytes(frames)):
            self.wait(seq)
            return
        self._copy(frames)

    def secure_now(self) -> None:
        """Copy whatever is kept of callers' bytes: one was interrupted. It may be again, before
        this begins, so who calls this does so once more then.
        """
        self._copy([frame for frame in self._session.kept() if _may_change(frame)])

    def _copy(self, frames: Sequence[Frame]) -> None:
        """Put copies in the place of frames' payloads."""
        if not frames:
            return
        copies = [tuple(memoryview(bytes(each)) for each in frame.payloads) for frame in frames]

        # Whoever replaces a lost link holds it too, while what is kept is sent again; and whoever
        # copies some of it for side links the other.
        def put() -> None:
            with self._link.side_links.payloads:
                for frame, copied in zip(frames, copies, strict=True):
                    frame.payloads = copied

        self._sending.within(put)

    def wait(self, seq: int) -> None:
        """Return when the worker has done what is in that frame."""
        session = self._session
        self._tally.waits += 1
        self._tally.round_trips += 1
        while session.acked < seq:
            self._link.receive_some(lambda: session.acked >= seq)

    def after_frame(self, link: Link) -> None:
        """Hear that a frame has taken effect; whoever received it has the turn."""
        round_trip = self.round_trip
        if round_trip.marked and self._session.acked >= round_trip.marked:
            round_trip.acknowledged(self._clock.now_s())
        if self._expected.piece_bytes != self._counted_bytes:
            self._count_piece()
        if self._expected.pieces_owed >= DOWNLOAD_PIECES_ACK:
            self.acknowledge_pieces(link, self._link.receive_now)

    def _count_piece(self) -> None:
        """Count what has come of a download, if that is known to have come in one go."""
        now_s = self._clock.now_s()
        count = self._expected.piece_bytes - self._counted_bytes
        self._counted_bytes += count
        if self._piece_s:
            self._moved(Way.DOWN, count, now_s - self._piece_s)
        self._piece_s = now_s if self._expected.is_reading else 0.0

    def _moved(self, way: Way, size_bytes: int, took_s: float) -> None:
        self._link.side_links.moved(way, size_bytes, took_s, self.round_trip.shortest_s)

    def acknowledge_pieces(self, link: Link, while_blocked: Callable[[], None]) -> None:
        """Tell the worker which pieces are here, if nobody is sending: what they send tells too."""

        def acknowledge() -> None:
            if self._session.is_open:
                self._expected.pieces_owed = 0
                with self._sending.whole(link):
                    link.send(self._session.word(Kind.ACK), (), while_blocked)

        self._sending.hold(acknowledge)


def _payload_bytes(frames: Sequence[Frame]) -> int:
    return sum(_sizes(frame.payloads) for frame in frames)


def _sizes(payloads: Sequence[memoryview]) -> int:
    return sum(payload.nbytes for payload in payloads)


def _may_change(frame: Frame) -> bool:
    """Return whether a frame's payload is the caller's own, and no copy that was compressed."""
    return any(type(payload.obj) is not bytes for payload in frame.payloads)
