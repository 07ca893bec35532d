"""The client's side of a session: gathers ops, sends batches, receives replies, resumes lost links.

There is no receiving thread: whoever waits receives, for all, so that an answer wakes nobody but
its own waiter. One thread at a time has the receiving turn; the others wait for their answer or for
the turn. A slow tick (the pump) sends what nobody waits for and notices lost links.

Locks, in the order in which they may be taken: `_turn` → `_sending`.
- `_turn` is held while receiving, and while a lost link is being replaced.
- `_sending` is held while frames are numbered and sent, in order. Ops are gathered without it.
A sender that must receive (no credit) lets `_sending` go first; one whose send is blocked takes
`_turn` only if it is free. A finalizer may run in a thread that is `_inside`: what it queues is
gathered, and sent by the pump; what it would wait for is refused.

Rules: what the session keeps is sent again by it; nothing else is ever retried."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from gon.clock import Clock
from gon.errors import GonError, LeaseLost, LinkLost, LocalProtocolError, RemoteProtocolError
from gon.limits import CLOSE_S, UNACKED_BYTES_MAX, UNACKED_FRAMES_MAX
from gon.native import NATIVE
from gon.transport.base import LanedLink, Link, WhileBlocked
from gon.wire.batch import Bye, encode
from gon.wire.frame import Kind, Payloads
from gon.wire.ops import AnyOp
from gon.wire.session import Role, Session
from gon_client.batcher import AGE_MAX_S, Batcher
from gon_client.bulk import Bulk
from gon_client.counts import LinkCounts, Tally
from gon_client.deadline import Deadline
from gon_client.dial import Dialer
from gon_client.ending import Ending
from gon_client.expected import Expected
from gon_client.intake import Intake
from gon_client.interruption import Inside, Unfinished
from gon_client.mapped import MappedBuffers
from gon_client.meetings import Meetings
from gon_client.outbox import outbox_for
from gon_client.pending import Answer, Origin, Origins, caller
from gon_client.pump import Attendance, Program, Pump, Tick
from gon_client.sending import Sending
from gon_client.side_links import SideLinkKeeper
from gon_client.turn import Turn

if TYPE_CHECKING or NATIVE:
    from gon_client._express import Express


class SessionLink:
    """One session with one worker, over any number of links, one after the other."""

    def __init__(self, dialer: Dialer, clock: Clock) -> None:
        self._dialer, self._clock = dialer, clock
        self._inside, self._tally, self._unread = Inside(), Tally(), Unfinished()
        self._turn, self._sending = Turn(self._inside), Sending(self._inside)
        self._session = Session(
            Role.CLIENT, frames_max=UNACKED_FRAMES_MAX, bytes_max=UNACKED_BYTES_MAX
        )
        self._batcher, self._origins, self._expected = Batcher(), Origins(), Expected()
        self.side_links = SideLinkKeeper(
            self, self._session, self._sending, self._send, dialer.open_side, clock
        )
        self._intake = Intake(
            self._session, self._expected, self._origins, self._batcher, self.side_links
        )
        self._closed, self._attendance, self.cookies = False, Attendance(clock), itertools.count(1)
        self._link, welcome = dialer.first(self._session)
        self._session.limit(welcome.frames_max, welcome.bytes_max)
        self._session.join(welcome.received)
        self.device, self.content_key = welcome.device, welcome.content_key
        self.version, self.program_bytes = welcome.version, welcome.program_bytes
        self._outbox = self.numbers = outbox_for(welcome.version)
        self.ending = Ending(self._outbox, self._expected, dialer)
        self.bulk = Bulk(
            self, self._session, self._outbox, self._expected, self._sending, self._tally, clock
        )
        self.bulk.on_another_link(self._link, dialer.round_trip_s, welcome.compression)
        self._pump = Pump(self._tick, self._batcher, clock, self._attendance.sleep)
        self._meetings = Meetings(self.version, self._outbox, self._sending, self._pump, clock)
        self._tally.quick = self.express = Express(self) if NATIVE else None
        self.mapped = MappedBuffers(self, dialer, self._outbox, self._origins)

    def __repr__(self) -> str:
        return f"SessionLink({self._link!r}, {self._session!r})"

    # Ops --------------------
    def post(self, op: AnyOp, inline_bytes: int = 0) -> None:
        """Queue an op that nobody waits for; `inline_bytes` is what it carries.

        Raises LeaseLost once the session is over.
        """
        origin = caller()
        self.ending.check()
        if self._gather(op, origin, inline_bytes):
            self.send_posted()
        elif self._pump.parked:
            self._pump.wake()

    def _gather(self, op: AnyOp, origin: Origin, inline_bytes: int) -> bool:
        """Gather an op and return whether what is gathered is worth a frame."""
        outbox, batcher = self._outbox, self._batcher
        try:
            count = outbox.add(op, origin, inline_bytes)
        except (OverflowError, UnicodeEncodeError) as error:
            # Checked before, so a bug of ours, and what follows may count on it.
            self.end(LocalProtocolError(f"an op that cannot be coded: {error}"))
            raise self.ending.error() from error
        return count >= batcher.ops_target or outbox.inline_bytes >= batcher.bytes_target

    def send_posted(self) -> None:
        """Send what is gathered though nobody waits, and take what has arrived."""
        self.flush()
        if not self._inside.is_here():
            self.catch_up()

    def ask(self, op: AnyOp, cookie: int, answer: Answer, inline_bytes: int = 0) -> None:
        """Queue an op that is answered by `answer`, in a reply's head."""
        self.receive_until(self._expected.may_ask)
        if self.expect(op, cookie, answer, inline_bytes):
            self.flush()
        elif self._pump.parked:
            self._pump.wake()

    def expect(self, op: AnyOp, cookie: int, answer: Answer, inline_bytes: int = 0) -> bool:
        """Gather an op that is answered by `answer`; return whether that is worth a frame."""
        self.ending.check()
        self._expected.add(cookie, answer)
        return self._gather(op, answer.origin, inline_bytes)

    def flush(self, deadline: Deadline | None = None) -> None:
        """Send what is gathered, unless it is little and another thread does so between its pieces;
        receive first while it may not be sent. Raises WaitTimeout.
        """
        sending, outbox, is_much = self._sending, self._outbox, self._batcher.is_much
        while outbox.count:
            if sending.lock.locked() and sending.in_pieces and not is_much(outbox):
                return
            if self._inside.is_here():
                self._pump.wake()
                return
            last = outbox.first + outbox.count
            if not sending.within(self._send_gathered, deadline):
                self._tally.round_trips += 1
                self.receive_some(self.may_send, deadline)
            elif outbox.first >= last:
                return

    def _send_gathered(self) -> bool:
        """Send what is gathered; return False while that may not be. Needs `_sending`."""
        may_send = not self._outbox.count or self.may_send()
        if may_send and self._outbox.count:
            self._send_batch()
        return may_send

    # Waits --------------------
    def wait(self, answer: Answer, timeout_s: float | None) -> None:
        """Return when the answer is settled. Raises WaitTimeout; the op goes on."""
        self._tally.waits += 1
        self._tally.round_trips += 1
        self._batcher.begins(self._clock.now_s())
        self.wait_on(answer, timeout_s)
        self._batcher.ends(self._clock.now_s())

    def wait_on(self, answer: Answer, timeout_s: float | None) -> None:
        """Go on with a wait that is counted."""
        self._inside.check()
        deadline = None if timeout_s is None else Deadline(self._clock, timeout_s)
        if deadline is None:
            self._turn.hold(lambda: self._send_and_receive(answer))
        if not answer.settled:
            self.flush(deadline)
        while not answer.settled:
            self.receive_some(answer.done, deadline)

    def _send_and_receive(self, answer: Answer) -> None:
        """Send what is gathered, receive one frame, as most waits need. Needs the turn."""
        # Not waited for: who has it may be waiting for the turn.
        sent = self._sending.hold(self._send_waited_for) and not self._outbox.count
        if sent and not answer.settled:
            self.take(None)

    def _send_waited_for(self) -> None:
        """Send what is gathered if that may be. Needs turn and `_sending`."""
        if self._outbox.count and self.may_send():
            self._batcher.waited(self._outbox.count)
            self._send_batch(self.receive_now)

    def receive_some(self, done: Callable[[], bool], deadline: Deadline | None = None) -> None:
        """Receive one frame, or wait until another thread has done something; not if `done`."""
        timeout_s = None if deadline is None else deadline.left_s()
        turn = self._turn
        self._inside.check()
        try:
            # Asked with the turn in hand: nobody else can make it true any more.
            if turn.hold(lambda: done() or self.take(timeout_s)):
                return
        except LinkLost:
            # Whose time is limited leaves the link to the pump, which has all the time there is.
            self._pump.wake()
        else:
            self._meetings.met(self._send_gathered)
            turn.follow(done, timeout_s)
            if not done():
                self.ending.check()
            return
        turn.pause(AGE_MAX_S)

    def receive_until(self, done: Callable[[], bool]) -> None:
        """Send what is gathered and receive until `done`."""
        while not done():
            self.flush()
            self.receive_some(done)

    def catch_up(self) -> None:
        """Take what has arrived, without waiting, if nobody else is receiving."""
        self._turn.hold(self._take_all)

    def _take_all(self) -> None:
        while self.take(0):
            pass

    def look(self) -> bool:
        """Take what is here, leave a lost link to the pump; return whether a question may go."""
        self.ending.check()
        try:
            self._turn.hold(self._receive_all)
        except LinkLost:
            self._pump.wake()
            return False
        return self._session.is_open and self.may_send() and self._expected.may_ask()

    def _receive_all(self) -> None:
        while self._receive(self._link, 0):
            pass

    def _receive_while_blocked(self) -> None:
        """Receive in the middle of a send that the worker does not take: it may be sending too."""
        self._turn.hold(self.receive_now)

    def receive_now(self) -> None:
        """Take one frame if there is one; needs the turn. Raises LinkLost."""
        self._receive(self._link, 0)

    def take(self, timeout_s: float | None, raw: memoryview | None = None) -> bool:
        """Receive one frame, unless `raw` is it; replace the link if it is lost. Needs the turn.

        Raises LinkLost if the time for replacing it is limited.
        """
        self.ending.check()
        link = self._link
        self._sending.mend()
        try:
            return self._receive(link, timeout_s, raw)
        except LinkLost:
            if timeout_s:
                raise
            self.replace(link)
        return True

    def _receive(self, link: Link, timeout_s: float | None, raw: memoryview | None = None) -> bool:
        """Receive one frame, unless `raw` is it, and let it take effect. What breaks that off, such
        as an interrupt, ends the link: the frame that it loses is sent again on the next one.
        """
        self._unread.end()
        try:
            raw = link.receive(timeout_s) if raw is None else raw
            if raw is not None:
                self._intake.digest(link, raw)
        except GonError as error:
            if isinstance(error, RemoteProtocolError):
                self.ending.check()  # what came first is told: a child's frame is its parent's
                self.end(error)
            raise
        except BaseException:
            self._unread.link = link
            raise
        if self.bulk.round_trip.marked or self._expected.pieces_owed:
            self.bulk.after_frame(link)
        return raw is not None

    # Sending (all need `_sending`) --------------------
    def may_send(self) -> bool:
        """Return whether there is credit, and no large answer is on its way."""
        self.ending.check()
        return self._expected.large is None and self._session.has_credit()

    def _send_batch(self, receive: WhileBlocked = None) -> None:
        """Send gathered ops as one frame; `receive` is called while the send is blocked."""
        with self._sending.whole(self._link):
            first, marks, head = self._outbox.seal(self._session)
            self._origins.keep(first, marks)
            if receive is None:  # otherwise it is a wait that sends
                self._batcher.sent(len(marks), self._session.sent - self._session.acked)
            self._send(head, (), receive)

    def send_frame(self, first: int, body: bytes, marks: list[Origin], payloads: Payloads) -> None:
        """Send a frame of its own."""
        with self._sending.whole(self._link):
            self._origins.keep(first, marks)
            self._send(self._session.seal(body, payloads).head, payloads)

    def _send(self, head: bytes, payloads: Payloads = (), look: WhileBlocked = None) -> None:
        if self._session.is_open:
            self._link.send(head, payloads, look or self._receive_while_blocked)

    def send_rest(self, link: LanedLink, head: bytes, sent: int, payloads: Payloads = ()) -> None:
        """Send what a lane did not take of a frame at once. Needs turn and `_sending`."""
        with self._sending.whole(link):
            link.send_rest(head, sent, self.receive_now, payloads)

    # Life --------------------
    def lead(self, through: Callable[[Link], Link]) -> None:
        """Let this link, and each that replaces it, be what `through` makes of it."""

        def replace() -> None:
            self._dialer.through, self._link = through, through(self._link)

        def lead() -> None:
            while self.take(0) or not self._sending.hold(replace, AGE_MAX_S):
                pass

        self._turn.within(lead)

    def replace(self, link: Link) -> None:
        """Replace a lost link and send again what was not acknowledged. Needs the turn."""
        self._sending.within(lambda: self._replace(link))

    def _replace(self, link: Link) -> None:
        self.ending.check()
        link.close()
        self._session.lose()
        try:
            self._intake.settle()
            fresh, welcome = self._dialer.again(self._session, lambda: self._closed)
            self._tally.keep(link)
            self.bulk.on_another_link(fresh, self._dialer.round_trip_s, welcome.compression)
            # From here on `end` closes it; one that came while it was dialled did not.
            self._link = fresh
            self.ending.check()
            with self._sending.whole(fresh):
                for frame in self._session.join(welcome.received):
                    fresh.send(frame.head, frame.payloads, self.receive_now)
        except GonError as error:
            self.end(error)
            raise

    def end(self, error: GonError) -> None:
        """End the session: every expected answer and every later op fails with `error`."""
        self.ending.begin(error)
        self._link.close()
        self.side_links.end()
        self._expected.fail(error)
        self._pump.stop()
        self._turn.tell()

    def _tick(self) -> Tick:
        """Send what has waited, take what has come; return whether there was anything to do."""
        if self.ending.is_here:
            return Tick.QUIET
        gathered, waits = self._outbox.count, self._tally.all_waits
        program = self._attendance.look(self._outbox.first, gathered, waits)
        if program is Program.WAITS:
            return Tick.BUSY
        self._sending.mend()
        if program is Program.LEAVES:
            self._batcher.aged()
            self.flush()
        self.catch_up()
        if owed := self._expected.pieces_owed > 0:
            self.bulk.acknowledge_pieces(self._link, self._receive_while_blocked)
        busy = self._inside.run(self.side_links.tick)
        if gathered or owed or busy:
            return Tick.BUSY
        if program is Program.RESTS and self._turn.lock.locked():
            return Tick.AWAITED
        return Tick.BUSY if self._session.acked < self._session.sent else Tick.QUIET

    def close(self) -> None:
        """Send what is gathered if that may be, say goodbye, end the session; may be done again."""
        self._closed = True
        try:
            self._pump.stop()
            if not self.ending.is_here:
                self._sending.hold(self._say_goodbye, CLOSE_S)
        except GonError:
            pass  # Whoever closes has nothing more to lose.
        finally:
            self.end(LeaseLost("the device is closed"))

    def _say_goodbye(self) -> None:
        while self._outbox.count and self.may_send():
            self._send_batch()
        self._link.send(self._session.word(Kind.BYE, encode(Bye("closed"))))

    def counts(self) -> LinkCounts:
        return self._tally.counts(self._link, self._session, self._outbox)
