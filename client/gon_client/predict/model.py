"""The model: a recorded program, run on another way. Pure; a simulation in which only the way
differs from what was recorded.

    program ── its own time as recorded ──▶ frame ─ way ─▶ worker: its work as recorded
    program ◀── a wait ends when the frame that ended it is here ◀─ way ──────┘

- A frame leaves when the way has carried those before it, takes its bytes' share of the rate, and
  arrives half a round trip later.
- The worker takes frames in order, each for as long as it did (gon_client.predict.work), and
  longer where it has had less to do before than it had then: a rest makes its first op slow.
- A program that is `UNACKED_FRAMES_MAX` frames or `UNACKED_BYTES_MAX` bytes ahead of what is
  acknowledged waits, as does one that is `SENT_AHEAD_BYTES` ahead of the way; for uploads by
  `UPLOAD_PIECES_MAX` and `UPLOAD_BYTES_MAX`.
- Where the round trip is long enough, the bytes of an upload are copied, at the rate that the
  client goes by, instead of waited for (gon_client.round_trip).
- What was posted together is posted together.
- On a way so slow that compressing may pay, large payloads are cut and compressed as the sides
  would (gon_client.predict.carrying).

Everything else is sums and maxima of times: more round trip or less rate never makes it quicker,
but where that makes the sides copy or compress.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from gon.limits import (
    COPY_BYTES_PER_S,
    SENT_AHEAD_BYTES,
    UNACKED_BYTES_MAX,
    UNACKED_FRAMES_MAX,
    UPLOAD_BYTES_MAX,
    UPLOAD_PIECES_MAX,
)
from gon_client.predict.carrying import WOKEN_BYTES, Carrier
from gon_client.predict.trace import Sent, Taken, Trace, Way, Why
from gon_client.predict.work import Work, rested, whole_s
from gon_client.round_trip import RoundTrip


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a program would take: in all, in waits, and in the waits of each of the trace's origins
    (seconds, number). Where the trace was full it is not whole: what came after is as measured.
    """

    total_s: float
    waiting_s: float
    waits: int
    by_origin: Sequence[tuple[float, int]]
    is_whole: bool


class Course:
    """One run of a trace on a way; times are seconds since the trace's beginning."""

    def __init__(self, trace: Trace, work: Work, way: Way) -> None:
        self._trace, self._work, self._way = trace, work, way
        self.now_s = 0.0
        # When the way is free again in each direction, and the worker.
        self._up_s = self._down_s = self._worker_s = 0.0
        # When each frame of effects is done, and the coded bytes up to it, and those beside it.
        self._done_s: list[float] = []
        self._kept: list[int] = [0]
        self._uploaded: list[int] = [0]
        self._round_trip = RoundTrip(way.rtt_s)
        self._up = Carrier(way.up_bytes_s, way.rtt_s)
        self._down = Carrier(way.down_bytes_s, way.rtt_s, WOKEN_BYTES)
        # Acknowledgements on their way: the frame, counted from the trace's first, and when here.
        self._acks: list[int] = [0]
        self._here_s: list[float] = [0.0]
        self._departed_s = 0.0
        self._waited_s = [0.0] * len(trace.origins)
        self._waits = [0] * len(trace.origins)
        self._is_waiting = False

    def run(self) -> Predicted:
        """Return what the program takes."""
        trace = self._trace
        before_s = trace.began_s
        answers = iter(self._work.answers)
        for event in trace.events:
            if isinstance(event, Sent):
                self.now_s += max(0.0, event.at_s - before_s)
                self._send(event)
            else:
                here_s = self._arrive(event, next(answers))
                if event.why is Why.POLL:
                    continue
                self.now_s += max(0.0, event.asked_s - before_s)
                if event.why is Why.WAIT or (event.why is Why.UPLOAD and not self._copy()):
                    self._wait(here_s, event.origin)
                # What it took to read it, once it was here.
                ready_s = max(event.asked_s, whole_s(event, trace.way))
                self.now_s += max(0.0, event.until_s - ready_s)
            before_s = max(before_s, event.until_s)
        self.now_s += max(0.0, trace.ended_s - before_s)
        pairs = list(zip(self._waited_s, self._waits, strict=True))
        waiting_s, waits = sum(self._waited_s), sum(self._waits)
        return Predicted(self.now_s, waiting_s, waits, pairs, is_whole=not trace.cut_s)

    def _send(self, event: Sent) -> None:
        way, plain_bytes = self._way, event.payload_bytes
        if event.seq:
            self._wait_for_credit(is_upload=plain_bytes > 0)
        content = self._trace.content_of(event)
        squeezed = content is not None and self._up.may_pay
        if content is not None and self._up.may_pay:
            self._up_s += way.up_s(event.head_bytes)
            self.now_s, self._up_s, plain_bytes = self._up.carry(
                event.payload_bytes, content, self.now_s, self._up_s
            )
        else:
            self._up_s = max(self._up_s, self.now_s) + way.up_s(event.size_bytes)
        if event.seq:
            arrival_s = self._up_s + way.rtt_s / 2
            self._worker_s += self._takes_s(arrival_s - self._worker_s)
            self._done_s.append(self._worker_s)
            self._kept.append(self._kept[-1] + event.head_bytes)
            self._uploaded.append(self._uploaded[-1] + plain_bytes)
        if event.payload_bytes <= SENT_AHEAD_BYTES and not squeezed:
            self.now_s += event.until_s - event.at_s
        # What is not ahead of the way any more has been carried.
        self.now_s = max(self.now_s, self._up_s - way.up_s(SENT_AHEAD_BYTES))
        self._is_waiting = False

    def _takes_s(self, rest_s: float) -> float:
        """Return how long the worker takes to be done with the next frame, which arrives after so
        long a rest, or before it is free.
        """
        work, number, rest_s = self._work, len(self._done_s), max(0.0, rest_s)
        more = max(0.0, rested(rest_s) - rested(work.rests[number]))
        return rest_s + work.frames[number] + more * self._trace.rest_s

    def _wait_for_credit(self, *, is_upload: bool) -> None:
        """Wait until so much is acknowledged that one more frame may be kept."""
        sent = len(self._done_s)
        needed = sent + 1 - (UPLOAD_PIECES_MAX if is_upload else UNACKED_FRAMES_MAX)
        least = self._kept[-1] - UNACKED_BYTES_MAX
        if least >= 0:
            needed = max(needed, bisect.bisect_right(self._kept, least))
        least = self._uploaded[-1] - UPLOAD_BYTES_MAX
        if is_upload and least >= 0:
            needed = max(needed, bisect.bisect_right(self._uploaded, least))
        if needed > 0:
            place = bisect.bisect_left(self._acks, needed)
            if place < len(self._acks):
                self.now_s = max(self.now_s, self._here_s[place])

    def _arrive(self, event: Taken, extra_s: float) -> float:
        """Return when a frame of the worker's is here."""
        way = self._way
        number = min(event.ack - self._work.first + 1, len(self._done_s))
        if number > 0:
            self._departed_s = max(self._departed_s, self._done_s[number - 1])
        self._departed_s += extra_s
        content = self._trace.content_of(event)
        if content is not None and self._down.may_pay:
            self._departed_s, self._down_s, _ = self._down.carry(
                event.payload_bytes, content, self._departed_s, self._down_s
            )
            self._down_s += way.down_s(event.head_bytes)
        else:
            self._down_s = max(self._down_s, self._departed_s) + way.down_s(event.size_bytes)
        here_s = self._down_s + way.rtt_s / 2
        if number > self._acks[-1]:
            self._acks.append(number)
            self._here_s.append(here_s)
        return here_s

    def _copy(self) -> bool:
        """Copy what is uploaded and not acknowledged, if the client does; return whether."""
        acked = self._acks[bisect.bisect_right(self._here_s, self.now_s) - 1]
        size_bytes = self._uploaded[-1] - self._uploaded[acked]
        if not self._round_trip.worth_copying(size_bytes):
            return False
        self.now_s += size_bytes / COPY_BYTES_PER_S
        return True

    def _wait(self, here_s: float, origin: int) -> None:
        """Wait for a frame; several in a row, with nothing sent between them, are one wait."""
        if here_s > self.now_s:
            if origin >= 0:
                self._waited_s[origin] += here_s - self.now_s
            self.now_s = here_s
        if not self._is_waiting and origin >= 0:
            self._waits[origin] += 1
        self._is_waiting = True


def predict(trace: Trace, work: Work, way: Way) -> Predicted:
    """Return what the program of a trace would take on another way."""
    return Course(trace, work, way).run()
