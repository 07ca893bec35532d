"""Streams as CUDA orders them, on streams of the unit.

Each is one of the unit's, in order by itself. Of the default stream there are CUDA's two: the
legacy one waits for all that was queued on blocking streams before, and what is queued on these
later waits for it (CUDA Driver API, "Stream synchronization behavior"); a thread's own is a
blocking stream like others. Streams made with CU_STREAM_NON_BLOCKING wait for no one. Who waits for
whom is queued as events, so nobody waits in the program.

A read is on its way after the stream has it: whoever waits for a stream waits for the reads before,
those of streams that it waited for among them.

Rules: what is queued is noted behind the call that queued it, so a stream that joins others while
another thread queues misses only what the program itself has not ordered.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Final

from gon_shim.limits import READS_REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gon.device import Pending
    from gon_client.device import Device
    from gon_client.event import Event
    from gon_client.stream import Stream

# What was queued last has a mark of its own: equal marks mean that nothing came since.
_MARKS: Final = itertools.count(1)


class Lane:
    """One stream. `stream` is the unit's; go through `ready` and `queued` with each op."""

    def __init__(self, stream: Stream, legacy: Lane | None, lanes: weakref.WeakSet[Lane]) -> None:
        """`legacy` is the stream it is ordered with, None for none; the legacy one waits for all of
        `lanes`.
        """
        self.stream = stream
        self._legacy = legacy
        self._lanes = lanes
        # That of the last op; that of the legacy stream's last op which this one waits for; that of
        # this one's which the legacy stream waits for.
        self.mark = 0
        self._seen = 0
        self.joined = 0
        self.point: Event | None = None
        self._reads: list[Pending] = []
        self._most = READS_REMEMBERED

    def ready(self) -> Stream:
        """Have the stream wait for those that CUDA has it wait for; return the unit's."""
        legacy = self._legacy
        if legacy is not None and legacy.mark != self._seen:
            mark = legacy.mark
            self._follow(legacy)
            self._seen = mark
        for lane in tuple(self._lanes):
            if lane.mark != lane.joined:
                mark = lane.mark
                self._follow(lane)
                lane.joined = mark
        return self.stream

    def queued(self, read: Pending | None = None) -> None:
        """Note that something was queued; `read` is the read that it is, if it is one."""
        self.mark = next(_MARKS)
        if read is not None:
            self.await_reads((read,))

    def await_reads(self, reads: Iterable[Pending]) -> None:
        """Have who waits for this stream wait for these reads as well."""
        self._reads = [*self._reads, *(read for read in reads if not read.done())]
        if len(self._reads) > self._most:
            self._reads = [read for read in self._reads if not read.done()]
            self._most = max(READS_REMEMBERED, 2 * len(self._reads))

    @property
    def reads(self) -> tuple[Pending, ...]:
        """The reads that are still on their way."""
        return tuple(read for read in self._reads if not read.done())

    def sync(self) -> None:
        """Wait for all that was queued. Raises its first error."""
        self.stream.sync()
        wait_for(self._reads)

    def _follow(self, lane: Lane) -> None:
        lane.point = lane.stream.record(lane.point)
        self.stream.wait(lane.point)
        self.await_reads(lane.reads)


class Lanes:
    """All streams of a device."""

    def __init__(self, device: Callable[[], Device]) -> None:
        self._device = device
        self._all: weakref.WeakSet[Lane] = weakref.WeakSet()
        self._blocking: weakref.WeakSet[Lane] = weakref.WeakSet()
        self._own = threading.local()

    @cached_property
    def legacy(self) -> Lane:
        """The default stream."""
        return self._add(Lane(self._device().create_stream(), None, self._blocking))

    def of_thread(self) -> Lane:
        """Return the default stream of this thread (CU_STREAM_PER_THREAD)."""
        lane: Lane | None = getattr(self._own, "lane", None)
        if lane is None:
            lane = self._own.lane = self.create(blocking=True)
        return lane

    def create(self, *, blocking: bool) -> Lane:
        """Make a stream."""
        legacy = self.legacy if blocking else None
        lane = self._add(Lane(self._device().create_stream(), legacy, weakref.WeakSet()))
        if blocking:
            self._blocking.add(lane)
        return lane

    def close(self, lane: Lane) -> None:
        """Forget a stream; what is queued on it goes on, and who waits for all waits for it."""
        self.legacy.ready()
        self.legacy.await_reads(lane.reads)
        self._blocking.discard(lane)
        lane.stream.close()

    def sync(self) -> None:
        """Wait for all streams. Raises the first error."""
        self._device().sync()
        for lane in tuple(self._all):
            wait_for(lane.reads)

    def _add(self, lane: Lane) -> Lane:
        self._all.add(lane)
        return lane


def wait_for(reads: Iterable[Pending]) -> None:
    """Wait for reads. Raises what the first that failed does."""
    for read in reads:
        read.wait()
