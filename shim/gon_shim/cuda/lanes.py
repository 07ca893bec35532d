"""Streams as CUDA orders them, on streams of the unit.

Each is one of the unit's, in order by itself. Of the default stream there are CUDA's two: the
legacy one waits for all that was queued on blocking streams before, and what is queued on these
later waits for it (CUDA Driver API, "Stream synchronization behavior"); a thread's own is a
blocking stream like others. Streams made with CU_STREAM_NON_BLOCKING wait for no one. Who waits for
whom is queued as events, so nobody waits in the program.

A read is on its way after the stream has it: whoever waits for a stream waits for the reads before,
those of streams that it waited for among them. One that has failed has told what failed on its
stream, which tells no more of it: so it is kept until a wait has told.

Rules: what is queued is noted behind the call that queued it, so a stream that joins others while
another thread queues misses only what the program itself has not ordered. No lock is held while
something is queued, for that may end what destroys a stream, in whatever thread: a stream of the
unit is closed when nobody holds it any more.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final

from gon.errors import GonError
from gon.together import Together
from gon_client.looks import has_come, may_ask
from gon_shim.limits import READS_REMEMBERED

if TYPE_CHECKING:
    from gon.device import Pending
    from gon_client.device import Device
    from gon_client.event import Event
    from gon_client.stream import Stream

# What was queued last has a mark of its own: equal marks mean that nothing came since.
_MARKS: Final = itertools.count(1)


class Lane:
    """One stream. `stream` is the unit's; go through `ready` and `queued` with each op."""

    def __init__(self, stream: Stream, before: Callable[[], Collection[Lane]]) -> None:
        """`before` are those which it waits for."""
        self.stream = stream
        self._before = before
        self.point = stream.device.create_event()
        # That of the last op, and those of others' which this one waits for.
        self.mark = 0
        self._seen: weakref.WeakKeyDictionary[Lane, int] = weakref.WeakKeyDictionary()
        # How often it has waited for others. By that and its mark: what is known to be over, and
        # what a query has asked about.
        self._joins = 0
        self.over: tuple[int, int] = (0, 0)
        self._asked_of = self.over
        self._asked: Event | None = None
        # By whom reads are known that are to fill memory: they outlive a stream.
        self.reader: Final = object()
        self._reads: dict[Pending, None] = {}
        self._most = READS_REMEMBERED

    def ready(self) -> Stream:
        """Have the stream wait for those that CUDA has it wait for; return the unit's."""
        for lane in self._before():
            mark = lane.mark
            if mark != self._seen.get(lane, 0):
                lane.stream.record(lane.point)
                self.stream.wait(lane.point)
                self.await_reads(lane.reads)
                self._seen[lane] = mark
                self._joins += 1
        return self.stream

    def queued(self, read: Pending | None = None) -> None:
        """Note that something was queued; `read` is the read that it is, if it is one."""
        self.mark = next(_MARKS)
        if read is not None:
            self.await_reads((read,))

    def await_reads(self, reads: Iterable[Pending]) -> None:
        """Have who waits for this stream wait for these reads as well."""
        self._reads.update(dict.fromkeys(reads))
        if len(self._reads) > self._most:
            self._most = max(READS_REMEMBERED, 2 * len(self.reads))

    @property
    def reads(self) -> tuple[Pending, ...]:
        """The reads that are still on their way, and the first that has failed."""
        has_failed = False
        for read in tuple(self._reads):
            if read.done():
                fails = not has_failed and _fails(read)
                has_failed = has_failed or fails
                if not fails:
                    self._reads.pop(read, None)
        return tuple(self._reads)

    def settle(self, reads: Collection[Pending]) -> None:
        """Wait for reads of this stream. Raises the first error, which is told with that."""
        try:
            wait_for(reads)
        finally:
            self.forget(reads)

    def forget(self, reads: Iterable[Pending]) -> None:
        """Hear that these reads are over, and that somebody was told of their errors."""
        for read in reads:
            self._reads.pop(read, None)

    def is_done(self) -> bool:
        """Return whether all that was queued is over, also on those that it waits for; waits for
        none of it. Raises an error of it.
        """
        stream, reads = self.ready(), self.reads
        if not all_here(stream.device, reads):
            return False
        of = self.state
        if of == self.over:
            return True
        if self._asked is None or of != self._asked_of:
            if not may_ask(stream.device.contract):
                return False
            self._asked = stream.record(self._asked)
            self._asked_of = of
        try:
            is_over = self._asked.is_done
        except GonError:
            self.sync()  # which tells it, and the stream tells no more of it
            raise
        if is_over:
            self.settle(reads)
            self.over = of
        return is_over

    def sync(self) -> None:
        """Wait for all that was queued, also on those that it waits for. Raises an error of it."""
        stream, of = self.ready(), self.state
        reads = self.reads
        try:
            stream.sync()
        finally:
            self.settle(reads)
        self.over = of

    @property
    def state(self) -> tuple[int, int]:
        """What was queued so far, as `over` tells it."""
        return self.mark, self._joins


class _Seat:
    """What a thread has as long as it lives."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane


class Lanes:
    """All streams of a device."""

    def __init__(self, device: Callable[[], Device]) -> None:
        self._device = device
        # As sets that any thread may change while another one goes through them.
        self._all: dict[Lane, None] = {}
        self._blocking: dict[Lane, None] = {}
        self._legacy: Lane | None = None
        self._beginning = threading.Lock()
        self._own = threading.local()
        self._seats: dict[weakref.ref[_Seat], Lane] = {}

    @property
    def legacy(self) -> Lane:
        """The default stream."""
        if self._legacy is None:
            with self._beginning:
                if self._legacy is None:
                    self._legacy = self._add(lambda: tuple(self._blocking))
        return self._legacy

    def of_thread(self) -> Lane:
        """Return the default stream of this thread (CU_STREAM_PER_THREAD)."""
        seat: _Seat | None = getattr(self._own, "seat", None)
        if seat is None:
            self._clear_up()
            seat = self._own.seat = _Seat(self.create(blocking=True))
            self._seats[weakref.ref(seat)] = seat.lane
        return seat.lane

    def _clear_up(self) -> None:
        """Forget the streams of threads that have ended."""
        for seat in tuple(self._seats):
            if seat() is None:
                lane = self._seats.pop(seat, None)
                if lane is not None:
                    self.close(lane)

    def create(self, *, blocking: bool) -> Lane:
        """Make a stream."""
        before = (self.legacy,)  # which any stream is joined by when it is closed
        if not blocking:
            return self._add(tuple)
        lane = self._add(lambda: before)
        self._blocking[lane] = None
        return lane

    def close(self, lane: Lane) -> None:
        """Forget a stream; what is queued on it goes on, and who waits for all waits for it."""
        legacy = self.legacy
        legacy.ready()
        legacy.await_reads(lane.reads)
        self._blocking.pop(lane, None)
        self._all.pop(lane, None)

    def sync(self) -> None:
        """Wait for all streams. Raises an error of theirs."""
        states = {lane: lane.state for lane in tuple(self._all)}
        reads = {lane: lane.reads for lane in states}
        try:
            self._device().sync()
        finally:
            try:
                wait_for(itertools.chain.from_iterable(reads.values()))
            finally:
                for lane, told in reads.items():
                    lane.forget(told)
        for lane, state in states.items():
            lane.over = state

    def _add(self, before: Callable[[], Collection[Lane]]) -> Lane:
        lane = Lane(self._device().create_stream(), before)
        self._all[lane] = None
        return lane


def all_here(device: Device, reads: Iterable[Pending]) -> bool:
    """Return whether all of these reads of a device's are here; waits for none."""
    return all(has_come(device.contract, read) for read in reads)


def wait_for(reads: Iterable[Pending]) -> None:
    """Wait for all of these reads. Raises the first error."""
    Together(tuple(reads)).wait()


def _fails(read: Pending) -> bool:
    """Return whether a read that is over has failed."""
    try:
        read.wait()
    except GonError:
        return True
    return False
