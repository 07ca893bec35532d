"""The client's side of a session: gathers ops, sends batches, receives replies, resumes lost links.

There is no receiving thread: whoever waits receives, for all, so that an answer wakes nobody but
its own waiter. One thread at a time has the receiving turn; the others wait for their answer or for
the turn. A slow tick (the pump) sends what nobody waits for and notices lost links.

Locks, in the order in which they may be taken: `_turn` → `_sending`.
- `_turn` is held while receiving, and while a lost link is being replaced.
- `_sending` is held while ops are gathered and while frames are sent, in order.
A sender that must receive (no credit) lets `_sending` go first; one whose send is blocked takes
`_turn` only if it is free.

Rules: what the session keeps is sent again by it; nothing else is ever retried."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gon.clock import Clock
from gon.errors import (
    GonError,
    LeaseLost,
    LinkLost,
    LocalProtocolError,
    RemoteProtocolError,
    error_of,
)
from gon.limits import CLOSE_S, EXPECTED_BYTES_MAX, UNACKED_BYTES_MAX, UNACKED_FRAMES_MAX
from gon.model import DeviceInfo
from gon.transport.base import Link, drop_payload
from gon.wire.batch import Batch, Bye, Refuse, decode, decode_replies, encode
from gon.wire.frame import Kind
from gon.wire.ops import AnyOp, Read
from gon.wire.session import Role, Session, State
from gon_client.batcher import Batcher
from gon_client.counts import LinkCounts, Tally
from gon_client.deadline import Deadline
from gon_client.dial import Dialer
from gon_client.expected import Expected
from gon_client.pending import Answer, Origin, Origins, caller
from gon_client.pump import TICK_S, Pump
from gon_client.turn import Turn

_OPEN = State.OPEN
_REPLIES = Kind.REPLIES


class SessionLink:
    """One session with one worker, over any number of links, one after the other."""

    def __init__(self, dialer: Dialer, clock: Clock) -> None:
        self._dialer = dialer
        self._clock = clock
        self._turn = Turn()
        self._sending = threading.Lock()
        self._session = Session(
            Role.CLIENT, frames_max=UNACKED_FRAMES_MAX, bytes_max=UNACKED_BYTES_MAX
        )
        self._batcher = Batcher()
        self._ops: list[AnyOp] = []
        self._marks: list[Origin] = []
        self._inline_bytes = 0
        self._first = 1
        self._origins = Origins()
        self._expected = Expected()
        self._fault: GonError | None = None
        self._closed = False
        self._tally = Tally()
        self._seen = 0
        self._link, welcome = dialer.first(self._session)
        self._session.limit(welcome.frames_max, welcome.bytes_max)
        self._session.join(welcome.received)
        self.device: DeviceInfo = welcome.device
        self.content_key: bytes = welcome.content_key
        self._pump = Pump(self._tick, clock)

    def __repr__(self) -> str:
        return f"SessionLink({self._link!r}, {self._session!r})"

    # Ops --------------------
    def post(self, op: AnyOp, inline_bytes: int = 0) -> None:
        """Queue an op that nobody waits for; `inline_bytes` is what it carries.

        Raises LeaseLost once the session is over.
        """
        origin = caller()
        with self._sending:
            if self._fault is not None:
                raise self._ended()
            ops = self._ops
            ops.append(op)
            self._marks.append(origin)
            batcher = self._batcher
            due = len(ops) >= batcher.ops_target
            if inline_bytes:
                self._inline_bytes += inline_bytes
                due = due or self._inline_bytes >= batcher.bytes_target
        if due:
            self.flush()
            self._poll()
        elif self._pump.parked:
            self._pump.wake()

    def ask(self, op: AnyOp, cookie: int, answer: Answer, inline_bytes: int = 0) -> None:
        """Queue an op that is answered by `answer`, in a reply's head."""
        expected = self._expected
        while expected.asked_bytes - expected.answered_bytes > EXPECTED_BYTES_MAX:
            self.flush()
            self._receive_some(expected.may_ask)
        with self._sending:
            if self._fault is not None:
                raise self._ended()
            expected.add(cookie, answer)
            self._ops.append(op)
            self._marks.append(answer.origin)
            self._inline_bytes += inline_bytes
            due = len(self._ops) >= self._batcher.ops_target
        if due:
            self.flush()
        elif self._pump.parked:
            self._pump.wake()

    def ask_large(self, op: Read, cookie: int, answer: Answer) -> None:
        """Send a read whose bytes come as payload, straight into the answer's target."""
        self.send_alone(op, answer.origin, None, (cookie, answer))

    def uploaded(self, seq: int) -> None:
        """Return when the worker has done what is in that frame."""
        self._tally.waits += 1
        self._tally.round_trips += 1
        session = self._session
        while session.acked < seq:
            self._receive_some(lambda: session.acked >= seq)

    def flush(self, deadline: Deadline | None = None) -> None:
        """Send what is gathered; receive first while it may not be sent. Raises WaitTimeout."""
        while self._ops:
            with self._sending:
                if not self._ops:
                    return
                if self._may_send():
                    self._send_batch()
                    return
            self._tally.round_trips += 1
            self._receive_some(self._may_send, deadline)

    def send_alone(
        self,
        op: AnyOp,
        origin: Origin,
        payload: memoryview | None,
        large: tuple[int, Answer] | None = None,
        *after: AnyOp,
    ) -> int:
        """Send a frame of its own after all that is gathered; return its number: see `uploaded`."""
        while True:
            self.flush()
            with self._sending:
                if not self._ops and self._may_send():
                    self._ops, self._marks = [op, *after], [origin] * (1 + len(after))
                    if large is not None:
                        self._expected.add_large(*large)
                    self._send_batch(payload)
                    return self._session.sent
            self._receive_some(self._may_send)

    # Waits --------------------
    def wait(self, answer: Answer, timeout_s: float | None) -> None:
        """Return when the answer is settled. Raises WaitTimeout; the op goes on."""
        tally = self._tally
        tally.waits += 1
        tally.round_trips += 1
        deadline = None
        if timeout_s is not None:
            deadline = Deadline(self._clock, timeout_s)
        elif self._turn.take():
            self._send_and_receive(answer)
            if answer.settled:
                return
        self.flush(deadline)
        while not answer.settled:
            self._receive_some(answer.done, deadline)

    def _send_and_receive(self, answer: Answer) -> None:
        """Do what nearly every wait needs and no more: send what is gathered, receive one frame.

        Needs the turn, and gives it back. Whatever else is to be done is left to the long way.
        """
        try:
            # Not waited for: who has it may be waiting for the turn.
            if self._sending.acquire(blocking=False):
                try:
                    if self._ops and self._may_send():
                        self._send_batch(receive=self._receive_in_turn)
                finally:
                    self._sending.release()
                if not self._ops and not answer.settled:
                    self._take(None)
        finally:
            self._turn.give()

    def _receive_some(self, done: Callable[[], bool], deadline: Deadline | None = None) -> None:
        """Receive one frame, or wait until another thread has done something; not if `done`."""
        timeout_s = None if deadline is None else deadline.left_s()
        turn = self._turn
        if not turn.take():
            turn.follow(done, timeout_s)
            if self._fault and not done():
                raise self._ended()
            return
        try:
            # Asked with the turn in hand: nobody else can make it true any more.
            if not done():
                self._take(timeout_s)
            return
        except LinkLost:
            # Whose time is limited leaves the link to the pump, which has all the time there is.
            self._pump.wake()
        finally:
            turn.give()
        turn.pause(TICK_S)

    def _poll(self) -> None:
        """Take what has arrived, without waiting, if nobody else is receiving."""
        if self._turn.take():
            try:
                while self._take(0):
                    pass
            finally:
                self._turn.give()

    def _receive_while_blocked(self) -> None:
        """Receive in the middle of a send that the worker does not take: it may be sending too."""
        if self._turn.take():
            try:
                self._receive_in_turn()
            finally:
                self._turn.give()

    def _receive_in_turn(self) -> None:
        self._receive_now(self._link)

    def _receive_now(self, link: Link) -> None:
        """Take one frame if there is one; needs the turn. Raises LinkLost."""
        try:
            raw = link.receive(0)
            if raw is not None:
                self._digest(link, raw)
        except RemoteProtocolError as error:
            self.end(error)
            raise

    def _take(self, timeout_s: float | None) -> bool:
        """Receive one frame; replace the link if it is lost. Needs the turn.

        Raises LinkLost if the time for replacing it is limited.
        """
        link = self._link
        try:
            if self._fault is not None:
                raise self._ended()
            raw = link.receive(timeout_s)
            if raw is None:
                return False
            self._digest(link, raw)
        except LinkLost:
            if timeout_s:
                raise
            self._resume(link)
        except RemoteProtocolError as error:
            self.end(error)
            raise
        return True

    def _digest(self, link: Link, raw: memoryview) -> None:
        """Let one received frame take effect, once all of it is here. Needs the turn."""
        session = self._session
        head = session.open(raw)
        if session.acked == session.sent:
            self._batcher.idle()
        if head.kind is _REPLIES:
            if head.seq > session.received:
                replies = decode_replies(head.body, head.sizes)
                if head.sizes:
                    self._expected.receive_payloads(link, replies)
                session.accept(head)
                self._expected.settle(replies, self._origins)
            elif session.is_duplicate(head):
                for size in head.sizes:
                    drop_payload(link, size)
        elif head.kind is Kind.REFUSE:
            raise RemoteProtocolError(
                f"the host ended the session: {decode(Refuse, head.body).message}"
            )

    # Sending (all need `_sending`) --------------------
    def _may_send(self) -> bool:
        """Return whether there is credit, and no large answer is on its way."""
        if self._fault is not None:
            raise self._ended()
        return self._expected.large is None and self._session.has_credit()

    def _send_batch(
        self, payload: memoryview | None = None, receive: Callable[[], None] | None = None
    ) -> None:
        """Send the gathered ops as one frame; `receive` is called while the send is blocked."""
        first, ops = self._first, self._ops
        try:
            body = encode(Batch(first, ops))
        except (OverflowError, UnicodeEncodeError) as error:
            # Checked before, so a bug of ours; the batch would be in the way of all that follows.
            self.end(LocalProtocolError(f"an op that cannot be coded: {error}"))
            raise self._ended() from error
        self._origins.keep(first, self._marks)
        self._first = first + len(ops)
        self._ops, self._marks, self._inline_bytes = [], [], 0
        session = self._session
        frame = session.seal(body) if payload is None else session.seal(body, (payload,))
        self._batcher.sent()
        if session.state is _OPEN:
            try:
                self._link.send(frame.head, frame.payloads, receive or self._receive_while_blocked)
            except LinkLost:
                # The frame is kept; whoever receives next replaces the link and sends it again.
                self._link.close()

    # Life --------------------
    def _resume(self, link: Link) -> None:
        """Replace a lost link and send again what was not acknowledged. Needs the turn."""
        with self._sending:
            if self._fault is not None:
                raise self._ended()
            link.close()
            self._session.lose()
            try:
                fresh, welcome = self._dialer.again(self._session, lambda: self._closed)
                self._tally.keep(link)
                # From here on `end` closes it; one that came while it was dialled did not.
                self._link = fresh
                if self._fault is not None:
                    raise self._ended()
                frames = self._session.join(welcome.received)
            except GonError as error:
                self.end(error)
                raise
            try:
                for frame in frames:
                    fresh.send(frame.head, frame.payloads, lambda: self._receive_now(fresh))
            except LinkLost:
                fresh.close()

    def end(self, error: GonError) -> None:
        """End the session: every expected answer and every later op fails with `error`."""
        if self._fault is None:
            self._fault = error
        self._link.close()
        self._expected.fail(error)
        self._pump.stop()
        self._turn.tell()

    def _ended(self) -> GonError:
        fault = self._fault or LeaseLost("the session is over")
        return error_of(fault.code, fault.message)

    def _tick(self) -> bool:
        """Send what has waited since the last tick, take what has come; return whether there was
        anything to do. Called by the pump.
        """
        if self._fault is not None:
            return False
        first, gathered = self._first, len(self._ops)
        if gathered and first == self._seen:
            self.flush()
        self._seen = first
        self._poll()
        return gathered > 0 or self._session.acked < self._session.sent

    def close(self) -> None:
        """Send what is gathered if that may be, say goodbye, end the session; idempotent."""
        if self._closed:
            return
        self._closed = True
        self._pump.stop()
        try:
            if self._sending.acquire(timeout=CLOSE_S):
                try:
                    if self._ops and self._may_send():
                        self._send_batch()
                    self._link.send(self._session.word(Kind.BYE, encode(Bye("closed"))))
                finally:
                    self._sending.release()
        except GonError:
            pass  # Whoever closes has nothing more to lose.
        finally:
            self.end(LeaseLost("the device is closed"))

    def counts(self) -> LinkCounts:
        return self._tally.counts(self._link, self._session, self._first - 1 + len(self._ops))
