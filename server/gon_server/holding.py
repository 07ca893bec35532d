"""Ops that are held, so that other streams' work goes on while one of them waits for long work.

A wait blocks the thread that runs a lease's ops, which is the quickest way: the runtime itself
wakes it, or runs the kernel in it. Meanwhile nothing else is run. So what waits is held instead
where waits of its stream took long lately and several threads of the client wait: it is looked at
between other ops, and done and answered once its wait is over. Answers are told apart by cookies.
Nobody waits in this thread's stead: where kernels run in threads that wait, too, that would only
take the processor from what other streams queue (measured: theirs then took 75 ms for 0.13).

A `Sync`, a `SyncEvent` and a `SyncAll` stand for what was queued before them, and hold up nothing.
All else that waits is run when its wait is over, and what is ordered behind it is held in line
behind it (gon_server.line): reads, uploads, whose bytes are kept, closing of streams, loading of
what was uploaded, changes of personality, questions for times. So is the loading of what is built
in another process, always. Functions of engines that take long
run in a thread of their own (gon_server.aside).

Rules: that waits take long is known from earlier ones, so the first long wait of a stream blocks.
While something is poisoned no wait begins to be held; what comes behind a held op still does, and a
wait for all streams that tells of it is waited for (gon_server.wholes). What is held is bounded:
beyond that it is waited for. Must not know: links, sessions, frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter

from gon.clock import SYSTEM_CLOCK, Clock
from gon.device import HostDevice, Pending
from gon.errors import GonError
from gon.model import Handle
from gon.wire import ops
from gon.wire.batch import Failure, Reply
from gon.wire.ops import AnyOp
from gon.wire.waiter_ops import NoteWaiters
from gon_server.aside import EngineThread, RunsAside
from gon_server.limits import (
    HELD_BYTES_MAX,
    HELD_MAX,
    LINE_MAX,
    LOOK_MAX_S,
    LOOK_MIN_S,
    LOOK_SHARE,
    WAITERS_S,
)
from gon_server.line import Held, Order, Payload
from gon_server.ordering import Ordering
from gon_server.paces import Paces
from gon_server.reaching import name_of, poisoned_elsewhere
from gon_server.running import Runs
from gon_server.waits import ALL, STANDS, lane_of, lane_of_held, pending_of, size_of
from gon_server.wholes import Wholes


class Holding:
    """The held ops of one lease."""

    def __init__(
        self, device: HostDevice, runs: Runs, ordering: Ordering, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._device = device
        self._runs = runs
        self._ordering = ordering
        self._aside = device if isinstance(device, RunsAside) else None
        self._engines: EngineThread | None = None
        self._now_s = clock.now_s
        # What has begun to wait. Who runs ops by a shorter way looks at this, at streams whose last
        # wait took long, and at the streams of ops in line, which stay the same objects.
        self.held: list[Held] = []
        self._paces = Paces()
        self.slow = self._paces.slow
        self.line = ordering.line
        self.reading = self.line.streams
        self._wholes = Wholes(runs)
        # What comes behind nothing and is to begin.
        self._ready: list[Held] = []
        self._held_bytes = 0
        # Answers to what was held, to be sent; who sends those of large reads, and hears of one
        # before anything behind it runs.
        self.late: list[Reply] = []
        self.begin_large: Callable[[ops.Read, int], None] = lambda _op, _number: None
        self.answered_late = 0
        # When the client last told that several threads wait; None once they do not. While nobody
        # is told and nothing held, whoever runs ops by a shorter way need not look at the above.
        self.told_s: float | None = None

    def __repr__(self) -> str:
        return f"Holding({len(self.held)} wait, {self.line!r}, {len(self.slow)} streams slow)"

    def run(self, op: AnyOp, number: int) -> Reply | None:
        """Run an op, or hold it; return its answer, None if it has none or that is to come."""
        self._settle_told()
        # A compiler takes long whatever came before, and nobody is the quicker for waiting for it.
        built = None
        if isinstance(op, ops.Load) and len(self.held) < HELD_MAX:
            built = self._runs.build_ahead(op)
        if len(self.line) and self._stand_in_line(op, number, built=built):
            return None
        if built is not None or self._goes_aside(op):
            self._begin(self._made(op, number, built=built))
            return None
        lane = lane_of(op)
        if lane is None:
            return self._run_plain(op, number)
        began_s = self._now_s()
        if lane in self.slow and self._may_hold() and pending_of(self._device, op) is not None:
            if isinstance(op, ops.SyncAll):
                self._hold_all(op, number)
            else:
                self._begin(self._made(op, number))
            return None
        self._settle(lane)
        reply = self._runs.run_op(op, number)
        self._paces.took(lane, self._now_s() - began_s)
        return reply

    def _run_plain(self, op: AnyOp, number: int) -> Reply | None:
        if isinstance(op, NoteWaiters):
            self.told_s = self._now_s() if op.threads > 1 else None
            return None
        if isinstance(op, ops.CloseStream):
            self._settle(op.stream)
            self._paces.forget(op.stream)
        return self._runs.run_op(op, number)

    # Uploads --------------------
    def takes(self, op: ops.Write | ops.WritePart) -> bool:
        """Return whether an upload would have to wait, so that its bytes are to be received beside
        and given to `take`. Where that cannot be, what it comes behind has been waited for.
        """
        self._settle_told()
        if len(self.line):
            order = self._ordering.of(op)
            if self.line.before(order):
                if self._has_room(op.size_bytes):
                    return True
                self._make_way(order)
        if op.stream in self.slow and self._may_hold():
            return self._has_room(op.size_bytes) and pending_of(self._device, op) is not None
        if self.held:
            self._settle(op.stream)
        return False

    def take(self, op: ops.Write | ops.WritePart, number: int, data: Payload) -> None:
        """Hold an upload whose bytes are here."""
        if not (len(self.line) and self._stand_in_line(op, number, data)):
            self._begin(self._made(op, number, data))

    # What waits --------------------
    def look(self) -> None:
        """Go on with what need not wait any more; `take_late` gives the answers. Waits for nothing
        that is held.
        """
        for held in list(self.held):
            if held in self.held and held.is_over():
                # What was asked for before is told before.
                for earlier in self.held[: self.held.index(held)]:
                    if earlier.is_over():
                        self._finish_in_turn(earlier)
                self._finish_in_turn(held)

    def _finish_in_turn(self, held: Held) -> None:
        """End what is over, unless that was done already, or something is to be told before."""
        if held in self.held and self._wholes.told_before(self.held, held.number) is None:
            self._finish(held)

    def take_late(self) -> list[Reply]:
        """Return the answers to what was held, each once."""
        late = list(self.late)
        self.late.clear()
        return late

    def look_again_s(self) -> float:
        """Return after what time to look again: a small part of how long has been waited."""
        waited_s = self._now_s() - self.held[-1].since_s
        return min(max(waited_s * LOOK_SHARE, LOOK_MIN_S), LOOK_MAX_S)

    def _may_hold(self) -> bool:
        if self.told_s is not None and self._now_s() - self.told_s >= WAITERS_S:
            self.told_s = None
        return self.told_s is not None and not self._runs.poison and len(self.held) < HELD_MAX

    def _has_room(self, size_bytes: int) -> bool:
        return len(self.line) < LINE_MAX and self._held_bytes + size_bytes <= HELD_BYTES_MAX

    def _goes_aside(self, op: AnyOp) -> bool:
        """Return whether an op is a function that is to run in the engines' thread."""
        aside = self._aside
        if aside is None or not isinstance(op, ops.Launch) or not aside.is_aside(op.kernel):
            return False
        slow = op.kernel in aside.paces.slow or self._ordering.calls
        return slow and self._may_hold()

    def _stand_in_line(
        self, op: AnyOp, number: int, data: Payload | None = None, built: Pending | None = None
    ) -> bool:
        """Hold an op that comes behind others; return whether it does."""
        if isinstance(op, NoteWaiters):
            return False
        has_room = len(self.line) < LINE_MAX and len(self.held) < HELD_MAX
        if isinstance(op, ops.SyncAll) and has_room:
            self._hold_all(op, number)
            return True
        held = self._made(op, number, data, built)
        after = self.line.before(held.order)
        if not after:
            return False
        # What a closed stream had is finished for all others, whatever they are ordered by.
        if isinstance(op, ops.CloseStream) or not self._has_room(held.size_bytes):
            self._make_way(held.order)
            return False
        self._add(held, after)
        return True

    def _made(
        self, op: AnyOp, number: int, data: Payload | None = None, built: Pending | None = None
    ) -> Held:
        """Return a held op; `built` is over once the program that it loads is there."""
        size_bytes = size_of(op) if data is None else len(data)
        aside = self._goes_aside(op)
        order = self._ordering.of(op, aside=aside, built=built is not None)
        return Held(op, number, order, data, size_bytes, aside=aside, pending=built)

    def _add(self, held: Held, after: Iterable[Held] = ()) -> None:
        self._held_bytes += held.size_bytes
        self.line.add(held, after)

    def _hold_all(self, op: ops.SyncAll, number: int) -> None:
        """Hold a wait for all streams, by its parts."""
        for part in self._wholes.parts(op, number, self._ordering.streams(), self._now_s()):
            after = self.line.before(part.order)
            if after:
                self._add(part, after)
            else:
                self._begin(part)

    def _make_way(self, order: Order) -> None:
        """Wait until nothing in line comes before an op of this order."""
        while after := self.line.before(order):
            first = min(after, key=_number_of)
            while first.after:
                first = min(first.after, key=_number_of)
            self._finish(first)
        self._settle_told()

    def _settle(self, lane: int) -> None:
        """Let those that wait for a stream hear of it before another one does."""
        for held in list(self.held):
            if held in self.held and held not in self.line and lane in (ALL, lane_of_held(held)):
                self._finish(held)
        self._settle_told()

    def _settle_told(self) -> None:
        """Let waits for all streams that tell of a failure be over before anything else is run."""
        while (first := self._wholes.told_before(self.held)) is not None:
            self._finish(first)

    # From its beginning to its end --------------------
    def _begin(self, *some: Held) -> None:
        """Let ops wait, which come behind nothing any more; or run them."""
        ready = self._ready
        ready.extend(some)
        while ready:
            held = min(ready, key=_number_of)
            first = self._wholes.told_before(self.held, held.number)
            if first is not None:
                ready.extend(self._ended(first))
                continue
            ready.remove(held)
            ready.extend(self._begun(held))

    def _begun(self, held: Held) -> list[Held]:
        """Begin one; return those that come behind nothing because of that."""
        op = held.op
        held.since_s = self._now_s()
        pending: Pending | None = None
        if self._is_skipped(held):
            return self._done(held)
        if held.whole is not None or held.aside:
            assert isinstance(op, ops.SyncAll | ops.Launch), "others are no parts, nor functions"
            stream = held.stream if isinstance(op, ops.SyncAll) else op.stream
            if held.whole is not None and not self._ordering.has_stream(stream):
                return self._done(held)
            try:
                # Even if it is over: those that began before hear of their stream first.
                pending = self._device.sync(Handle(stream))
            except GonError as error:
                return self._done(held, error)
        elif held.pending is not None:
            pending = None if held.is_over() else held.pending
        elif (held.data is not None or lane_of(op) is not None) and self._may_hold():
            pending = pending_of(self._device, op)
        if pending is None:
            return self._done(held)
        held.pending = pending
        self.held.append(held)
        if held.whole is None and not isinstance(op, STANDS):
            if held not in self.line:
                self._add(held)
            return []
        return self.line.remove(held) if held in self.line else []

    def _finish(self, held: Held) -> None:
        """End what an op waits for, which may have to be waited for, and go on with it."""
        self._begin(*self._ended(held))

    def _ended(self, held: Held) -> list[Held]:
        """End one; return those that come behind nothing because of that."""
        assert held.pending is not None, "it has begun"
        self.held.remove(held)
        error: GonError | None = None
        waits = held.aside or held.whole is not None or isinstance(held.op, STANDS)
        if waits and not self._is_skipped(held):
            try:
                held.pending.wait()
            except GonError as failed:
                error = failed
        # Whatever else is run now waits by itself, after it has been looked at as ever.
        took_s = self._now_s() - held.since_s
        if held.called:
            assert isinstance(held.op, ops.Launch), "only launches run functions"
            assert self._aside is not None, "that is why it is held"
            self._aside.paces.took(held.op.kernel, took_s)
        elif held.whole is None and (lane := lane_of(held.op)) is not None:
            self._paces.took(lane, took_s)
        return self._done(held, error)

    def _done(self, held: Held, error: GonError | None = None) -> list[Held]:
        """Do what an op is to do once it need not wait, or let it have failed; return those that
        come behind nothing because of that.
        """
        op, number = held.op, held.number
        reply: Reply | None = None
        if held.whole is not None:
            reply = self._wholes.part_over(held, error)
            if not held.whole.left:
                self._paces.took(ALL, self._now_s() - held.whole.since_s)
        elif error is not None:
            reply = self._runs.fail(op, Failure.of(error, name_of(op), number))
        elif self._is_to_be_called(held):
            self._call(held)
            return []
        elif held.called:
            pass
        elif held.data is not None:
            assert isinstance(op, ops.Write | ops.WritePart), "nothing else has bytes beside it"
            self._runs.take_upload(op, number, held.data)
        elif held.pending is not None and isinstance(op, ops.Sync | ops.SyncEvent):
            reply = Reply(op.reply)
            if self._runs.poison:
                reply = poisoned_elsewhere(reply)
        else:
            reply = self._runs.run_op(op, number)
        if reply is not None:
            self._tell(op, number, reply)
        if held not in self.line:
            return []
        self._held_bytes -= held.size_bytes
        return self.line.remove(held)

    def _is_skipped(self, held: Held) -> bool:
        """Return whether a function that has not begun to run never will."""
        return held.aside and not held.called and self._runs.skips(held.op)

    def _is_to_be_called(self, held: Held) -> bool:
        """Return whether it is the turn of a function, which may have been unloaded meanwhile."""
        if not held.aside or held.called or self._is_skipped(held):
            return False
        assert isinstance(held.op, ops.Launch), "only launches run functions"
        return self._aside is not None and self._aside.is_aside(held.op.kernel)

    def _call(self, held: Held) -> None:
        """Let a function run in the engines' thread."""
        op, aside = held.op, self._aside
        assert isinstance(op, ops.Launch), "only launches run functions"
        assert aside is not None, "that is why it is held"
        if self._engines is None:
            self._engines = EngineThread()
        if held not in self.line:
            self._add(held)
        held.called, held.since_s = True, self._now_s()
        kernel = Handle(op.kernel)
        call = partial(aside.call, kernel, op.grid, op.block, op.shared_bytes, op.args)
        held.pending = self._engines.run(call)
        self.held.append(held)

    def _tell(self, op: AnyOp, number: int, reply: Reply) -> None:
        if reply.size_bytes:
            assert isinstance(op, ops.Read), "nothing else is answered by payloads"
            try:
                self.begin_large(op, number)
            except GonError as error:  # there are too many; what comes behind is to go on
                reply = Reply(op.reply, failure=Failure.of(error, name_of(op), number))
        if not reply.size_bytes:
            self.late.append(reply)
        self.answered_late += 1


_number_of: Callable[[Held], int] = attrgetter("number")
