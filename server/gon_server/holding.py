"""Waits that are held, so that other streams' work goes on while one stream is waited for.

A wait blocks the thread that runs a lease's ops, which is the quickest way: the runtime itself
wakes it, or runs the kernel in it. Meanwhile nothing else is run. So a wait is held instead where
waits of its stream took long lately and several threads of the client wait: the ops behind it are
run, it is looked at between them, and answered once it is over. Answers are told apart by cookies.
Nobody waits in this thread's stead: where kernels run in threads that wait, too, that would only
take the processor from what other streams queue (measured: theirs then took 75 ms for 0.13).

A `Sync` held stands for what was queued before it; what comes later on its stream may be queued. A
read held, or a `Reach`, is run once its stream has come to it: what would come behind it on its
stream, or free its buffer, has it run first. So has what makes the event of a question for times
another one.

Rules: that waits take long is known from earlier ones, so the first long wait of a stream blocks.
While something is poisoned nothing is held. Must not know: links, sessions, frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

from gon.clock import SYSTEM_CLOCK, Clock
from gon.device import HostDevice, Pending
from gon.errors import GonError
from gon.model import Handle
from gon.wire import ops, timing_ops
from gon.wire.batch import Failure, Reply
from gon.wire.ops import AnyOp
from gon.wire.waiter_ops import NoteWaiters
from gon_server.footprint import Key
from gon_server.limits import (
    HELD_MAX,
    LOOK_MAX_S,
    LOOK_MIN_S,
    LOOK_SHARE,
    SHORT_WAITS,
    SLOW_WAIT_S,
    WAITERS_S,
)
from gon_server.reaching import name_of, poisoned_elsewhere

# What waits for an event is known under this, not by its stream.
_EVENTS: Final = -1
_Wait: TypeAlias = (
    ops.Sync | ops.SyncEvent | ops.Read | ops.Reach | timing_ops.AskTimes | timing_ops.TellTimes
)
_WAITS: Final = (
    *(ops.Sync, ops.SyncEvent, ops.Read, ops.Reach),
    *(timing_ops.AskTimes, timing_ops.TellTimes),
)
# What is run once it need not wait any more.
_RUN_LATER: Final = (ops.Read, ops.Reach, timing_ops.TimesQuestion)
# What makes an event another point, or ends it.
_POINTS: Final = (ops.Record, timing_ops.NoteCommand, ops.CloseEvent)
_RunOp: TypeAlias = Callable[[AnyOp, int], Reply | None]


@dataclass(frozen=True, slots=True)
class _Held:
    """A wait, the number of its op, what it waits for, since when."""

    op: _Wait
    number: int
    pending: Pending
    since_s: float


class Holding:
    """The held waits of one lease."""

    def __init__(
        self,
        device: HostDevice,
        run_op: _RunOp,
        fail: Callable[[AnyOp, Failure], Reply | None],
        poison: Mapping[Key, Failure],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`run_op` runs what is not held, `fail` answers what failed, `poison` is the book of what
        did.
        """
        self._device = device
        self._run_op = run_op
        self._fail = fail
        self._poison = poison
        self._now_s = clock.now_s
        self.held: list[_Held] = []
        # Streams whose last wait took long, and those of which a read is held. Who runs ops by a
        # shorter way looks at these and at `held`, which stay the same objects.
        self.slow: set[int] = set()
        self.reading: set[int] = set()
        # Answers to waits that were held, to be sent; who sends those of large reads, and hears of
        # one before anything behind it runs.
        self.late: list[Reply] = []
        self.begin_large: Callable[[ops.Read, int], None] = lambda _op, _number: None
        self.answered_late = 0
        # Short waits of a slow stream, one after the other.
        self._short: dict[int, int] = {}
        # When the client last told that several threads wait.
        self.told_s = -math.inf

    def __repr__(self) -> str:
        return f"Holding({len(self.held)} held, {len(self.slow)} streams slow)"

    def run(self, op: AnyOp, number: int) -> Reply | None:
        """Run an op, or hold it; return its answer, None if it has none or that is to come."""
        self.make_way(op)
        if not _waits(op):
            return self._run_plain(op, number)
        lane, began_s = _lane_of(op), self._now_s()
        if lane in self.slow and self._may_hold(began_s):
            pending = self._pending(op)
            if pending is None:
                return self._run_op(op, number)
            self._hold(op, number, pending, began_s)
            return None
        reply = self._run_op(op, number)
        self._waited(lane, self._now_s() - began_s)
        return reply

    def _run_plain(self, op: AnyOp, number: int) -> Reply | None:
        if isinstance(op, NoteWaiters):
            self.told_s = self._now_s() if op.threads > 1 else -math.inf
            return None
        if isinstance(op, ops.CloseStream):
            self.slow.discard(op.stream)
            self._short.pop(op.stream, None)
        return self._run_op(op, number)

    def make_way(self, op: AnyOp) -> None:
        """Run the held reads that an op comes behind; waits for them."""
        if self.reading:
            for held in list(self.held):
                is_read = held in self.held and isinstance(held.op, _RUN_LATER)
                if is_read and _comes_behind(op, held.op):
                    self._finish(held)

    def look(self) -> None:
        """Answer the waits that are over; `take_late` gives the answers. Never blocks."""
        for held in list(self.held):
            if held in self.held and held.pending.done():
                self._finish(held)

    def take_late(self) -> list[Reply]:
        """Return the answers to waits that were held, each once."""
        late = list(self.late)
        self.late.clear()
        return late

    def look_again_s(self) -> float:
        """Return after what time to look again: a small part of how long has been waited."""
        waited_s = self._now_s() - self.held[-1].since_s
        return min(max(waited_s * LOOK_SHARE, LOOK_MIN_S), LOOK_MAX_S)

    def _may_hold(self, now_s: float) -> bool:
        if self._poison or len(self.held) >= HELD_MAX:
            return False
        return now_s - self.told_s < WAITERS_S

    def _pending(self, op: _Wait) -> Pending | None:
        """Return what an op waits for; None if it is over, or the op is wrong."""
        device = self._device
        try:
            if isinstance(op, ops.SyncEvent | timing_ops.TimesQuestion):
                pending = device.sync_event(Handle(op.event))
            else:
                pending = device.sync(Handle(op.stream))
            return None if pending.done() else pending
        except GonError:
            return None  # whoever runs it says what it is

    def _hold(self, op: _Wait, number: int, pending: Pending, now_s: float) -> None:
        self.held.append(_Held(op, number, pending, now_s))
        self._note_reading()

    def _note_reading(self) -> None:
        self.reading.clear()
        self.reading.update(
            _lane_of(held.op) for held in self.held if isinstance(held.op, _RUN_LATER)
        )

    def _waited(self, lane: int, took_s: float) -> None:
        if took_s >= SLOW_WAIT_S:
            self.slow.add(lane)
            self._short.pop(lane, None)
        elif lane in self.slow:
            short = self._short[lane] = self._short.get(lane, 0) + 1
            if short >= SHORT_WAITS:
                self.slow.discard(lane)
                del self._short[lane]

    def _finish(self, held: _Held) -> None:
        """Answer a wait, which may have to be waited for."""
        self.held.remove(held)
        self._note_reading()
        op, number = held.op, held.number
        reply: Reply | None
        try:
            held.pending.wait()
        except GonError as error:
            reply = self._fail(op, Failure.of(error, name_of(op), number))
        else:
            if isinstance(op, _RUN_LATER):
                reply = self._run_op(op, number)
            else:
                reply = Reply(op.reply)
                if self._poison:
                    reply = poisoned_elsewhere(reply)
        self._waited(_lane_of(op), self._now_s() - held.since_s)
        assert reply is not None, "a wait is answered"
        if reply.size_bytes:
            assert isinstance(op, ops.Read), "nothing else is answered by payloads"
            self.begin_large(op, number)
        else:
            self.late.append(reply)
        self.answered_late += 1


def _waits(op: AnyOp) -> TypeGuard[_Wait]:
    return isinstance(op, _WAITS)


def _lane_of(op: _Wait) -> int:
    """Return what is known of how long an op waits: its stream, or that it is for an event."""
    return op.stream if isinstance(op, ops.Sync | ops.Read | ops.Reach) else _EVENTS


def _comes_behind(op: AnyOp, read: _Wait) -> bool:
    """Return whether an op takes away or changes what a held read is to find."""
    if isinstance(read, timing_ops.TimesQuestion):
        return isinstance(op, _POINTS) and op.event == read.event
    assert isinstance(read, ops.Read | ops.Reach), "the others stand for what was queued before"
    if isinstance(op, ops.Free):
        return op.buffer == read.buffer
    return isinstance(op, ops.Reconfigure) or read.stream == getattr(op, "stream", None)
