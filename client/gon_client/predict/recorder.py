"""A link that notes what passes: each frame's size, when it went or came, and who waited for it.

It stands before a session's link while that is recorded; nothing else of the client knows of it.
What somebody will wait for and comes while nobody does, an answer or the acknowledgement of an
upload, is held back for `HELD_BACK_S` from those who only look (the pump, whoever sends): so the
wait for it is seen, which over a longer way would be one.

Rules: what passes is not changed. Bounded by TRACE_EVENTS_MAX; then it only passes things on, and
the trace tells when that was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gon.clock import Clock
from gon.limits import (
    HELD_BACK_S,
    TRACE_EVENTS_MAX,
    TRACE_ORIGINS_MAX,
    UNACKED_FRAMES_MAX,
)
from gon.transport.base import Bytes, Link, LinkStatistics, Loan, Sides
from gon.wire.frame import HEADER, HEADER_BYTES, Kind
from gon_client.pending import Origin, caller, name_origin
from gon_client.predict.samples import Samples
from gon_client.predict.trace import Event, Sent, Taken, Trace, Way, Why

_KINDS = {int(kind): kind for kind in Kind}
_ELSEWHERE = "elsewhere"


class Recorder:
    """What is noted of one session, over any number of links."""

    def __init__(self, clock: Clock, events_max: int = TRACE_EVENTS_MAX) -> None:
        self.now_s = clock.now_s
        self.samples = Samples(clock)
        self._events_max = events_max
        self._events: list[Event] = []
        self._origins: dict[Origin, int] = {}
        # The last frame sent, the last acknowledged, the last that was an upload.
        self._sent = self._acked = self._upload = 0
        self._began_s = self._ended_s = self._cut_s = 0.0
        self.early = self.links = 0
        # Whether anything is noted, and answers are held back.
        self.is_on = True

    def lead(self, link: Link) -> Link:
        """Return a link that notes what passes over `link`, a session's first or a later one."""
        self.links += 1
        return RecordingLink(link, self)

    def begin(self) -> None:
        """Forget what was noted so far: the trace begins now."""
        self._events.clear()
        self._origins.clear()
        self.samples.clear()
        self.is_on, self._cut_s = True, 0.0
        self.early, self.links = 0, 1
        self._began_s = self.now_s()

    def end(self) -> None:
        """Note nothing more; idempotent."""
        self.is_on = False
        self._ended_s = self._ended_s or self.now_s()

    def trace(
        self, way: Way, probe_s: float, rest_s: float = 0.0, *, compresses: bool = False
    ) -> Trace:
        """Return what was noted so far, recorded on `way`; see `Trace` for what was measured.
        `compresses` says that both ends compress what is large.
        """
        return Trace(
            way,
            self._began_s,
            self._ended_s or self.now_s(),
            probe_s,
            self._cut_s,
            self.early,
            self.links - 1,
            list(self._events),
            [name_origin(origin) or _ELSEWHERE for origin in self._origins] or [_ELSEWHERE],
            rest_s,
            self.samples.contents() if compresses else [],
        )

    # For its links --------------------
    def sent(self, head: Bytes, payloads: Sequence[Bytes]) -> Sent | None:
        """Note a frame that goes out now; return what is told when it has gone."""
        seq = HEADER.unpack_from(head)[1]
        if seq and seq <= self._sent:
            return None  # sent again on another link
        self._sent = max(self._sent, seq)
        payload_bytes = sum(memoryview(each).nbytes for each in payloads)
        content = -1
        if payloads:
            self._upload = seq
            content = self.samples.take(payloads[0])
        at_s = self.now_s()
        sent = Sent(at_s, at_s, seq, len(head), payload_bytes, content)
        self._note(sent)
        return sent

    def is_waited_for(self, head: memoryview) -> bool:
        """Return whether a frame is one that somebody will wait for: it carries answers, or
        acknowledges an upload.
        """
        if len(head) < HEADER_BYTES:
            return False
        ack = HEADER.unpack_from(head)[2]
        return _KINDS.get(head[1]) is Kind.REPLIES or self._acked < self._upload <= ack

    def taken(self, asked_s: float, here_s: float, head: memoryview, is_look: bool) -> Taken | None:
        """Note a frame that has come; return what grows by its payloads."""
        if len(head) < HEADER_BYTES:
            return None
        ack = HEADER.unpack_from(head)[2]
        why = Why.POLL
        if not is_look:
            why = self._why(head)
        self._acked = max(self._acked, ack)
        origin = self._origin() if why in (Why.WAIT, Why.UPLOAD) else -1
        taken = Taken(asked_s, here_s, self.now_s(), ack, len(head), 0, why, origin)
        self._note(taken)
        return taken

    def _why(self, head: memoryview) -> Why:
        """Return why somebody waited for a frame."""
        if self._sent - self._acked >= UNACKED_FRAMES_MAX:
            return Why.CREDIT
        is_upload = self._acked < self._upload and _KINDS.get(head[1]) in (Kind.ACK, Kind.QUIET)
        return Why.UPLOAD if is_upload else Why.WAIT

    def _note(self, event: Event) -> None:
        if len(self._events) < self._events_max:
            self._events.append(event)
        else:
            self._cut_s = self.now_s()
            self.is_on = False

    def _origin(self) -> int:
        """Return the place of whoever waits in the program; those beyond the bound share one."""
        origins = self._origins
        origin = caller(4)
        place = origins.get(origin)
        if place is None:
            if len(origins) >= TRACE_ORIGINS_MAX:
                return len(origins) - 1
            place = origins[origin] = len(origins)
        return place


class RecordingLink:
    """A link over another one. See gon.transport.base.Link."""

    # All frames are noted here.
    lane = None

    def __init__(self, link: Link, recorder: Recorder) -> None:
        self.below = link
        self._recorder = recorder
        # An answer that came while nobody waited, and when.
        self._held: bytes | None = None
        self._held_s = 0.0
        # Whether the receiver is in the middle of a send that the peer does not take.
        self._blocked = False
        # The frame whose payloads come next.
        self._taken: Taken | None = None

    @property
    def name(self) -> str:
        return self.below.name

    @property
    def sides(self) -> Sides | None:
        return self.below.sides

    @property
    def loan(self) -> Loan | None:
        return self.below.loan

    def __repr__(self) -> str:
        return f"RecordingLink({self.below!r}, {'on' if self._recorder.is_on else 'off'})"

    def statistics(self) -> LinkStatistics:
        return self.below.statistics()

    def close(self) -> None:
        self.below.close()

    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        recorder = self._recorder
        if not recorder.is_on:
            self.below.send(head, payloads, while_blocked)
            return
        # Noted before it goes: another thread may take the answer before this one goes on.
        sent = recorder.sent(head, payloads)
        receive = None if while_blocked is None else self._receiving(while_blocked)
        self.below.send(head, payloads, receive)
        if sent is not None:
            sent.until_s = recorder.now_s()

    def _receiving(self, while_blocked: Callable[[], None]) -> Callable[[], None]:
        """Return a receiver for which nothing is held back: the peer may wait for it."""

        def receive() -> None:
            self._blocked = True
            try:
                while_blocked()
            finally:
                self._blocked = False

        return receive

    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        recorder = self._recorder
        self._taken = None
        asked_s = recorder.now_s()
        is_look = timeout_s == 0
        if self._held is not None:
            return self._let_go(asked_s, is_look=is_look)
        head = self.below.receive(timeout_s)
        if head is None or not recorder.is_on:
            return head
        here_s = recorder.now_s()
        if is_look and not self._blocked and recorder.is_waited_for(head):
            self._held, self._held_s = bytes(head), here_s
            return None
        self._taken = recorder.taken(asked_s, here_s, head, is_look)
        return head

    def _let_go(self, asked_s: float, *, is_look: bool) -> memoryview | None:
        """Return what is held back, None to those who only look."""
        recorder, held = self._recorder, self._held
        assert held is not None, "asked for while something is held back"
        if is_look and recorder.is_on and not self._blocked:
            if asked_s - self._held_s < HELD_BACK_S:
                return None
            recorder.early += 1
        self._held = None
        head = memoryview(held)
        if recorder.is_on:
            self._taken = recorder.taken(asked_s, self._held_s, head, is_look)
        return head

    def receive_into(self, target: memoryview) -> None:
        self.below.receive_into(target)
        if (taken := self._taken) is not None:
            taken.payload_bytes += target.nbytes
            taken.until_s = self._recorder.now_s()
            taken.content = self._recorder.samples.take(target)
