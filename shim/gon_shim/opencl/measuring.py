"""When commands ran: of a queue that measures times.

A launch is one command of the unit's queue, which knows its times by itself: it is noted. What is
several commands there, or done by its host, lies between two markers. Either is kept by an event of
the device's, of which a queue has a few and takes them in turn; what one holds is asked for before
it is taken again, if the program may still want it.

A program that has asked for times will ask again: from then on they are asked for beside the waits,
and are here when the program wants them. One that has waited for each launch by itself a few times
will wait again: the next one is sent and asked for at once, and the program's way to its wait takes
none of the launch's time.

Rules: what has no event of OpenCL's is not measured, for nobody can ask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gon.device import Pending
from gon.errors import GonError, Unsupported
from gon.model import CommandTimes, Handle
from gon.timing import PendingTimes, Timed, Timing
from gon_shim.opencl.device import Device, now_ns
from gon_shim.opencl.errors import ClError
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.limits import CLOCK_WAITS, MEASURED_MAX, WAITS_EXPECTED_AFTER

if TYPE_CHECKING:
    from gon_client.event import Event as Point
    from gon_client.stream import Stream


class Noted(Protocol):
    """A launch, ready to be queued, and noted as an event."""

    def queue_noted(self, event: int, /) -> PendingTimes: ...

    def queue_asked(self, event: int, /) -> PendingTimes:
        """As `queue_noted`, and ask for the times, all of it at once."""
        ...


class Measured:
    """The times of one command: of itself, or of the markers before and after it."""

    __slots__ = ("_index", "_meter", "_pending", "_queued_ns", "_times")

    def __init__(
        self, meter: Meter, index: int, queued_ns: int, pending: tuple[PendingTimes, ...]
    ) -> None:
        self._meter, self._index = meter, index
        self._queued_ns = queued_ns
        self._pending = pending
        self._times: tuple[int, int, int, int] | None = None

    def __repr__(self) -> str:
        return f"Measured({self._times or 'to be told'})"

    def forget(self) -> None:
        """Hear that nobody will ask."""
        self._meter.let_go(self._index, self._pending)

    def answer(self) -> Pending | None:
        """Return what is here once the command is over, if its times come anyway."""
        if not self._meter.is_asked:
            return None
        self._meter.waited()
        self._pending[-1].ask()
        return self._pending[-1]

    def times_ns(self) -> tuple[int, int, int, int]:
        """Return when it was queued and submitted, began and ended, by this process's clock; waits
        for that. Raises ClError.
        """
        if self._times is None:
            try:
                told = [self._meter.told(each, self._queued_ns) for each in self._pending]
            except GonError as error:
                raise ClError(cl.CL_PROFILING_INFO_NOT_AVAILABLE) from error
            here, first, last = self._meter.clock.here, told[0], told[-1]
            submitted = max(self._queued_ns, here(first.submitted_ns))
            began = max(submitted, here(first.began_ns if len(told) == 1 else first.ended_ns))
            self._times = self._queued_ns, submitted, began, max(began, here(last.ended_ns))
        return self._times


class Meter:
    """Measures the commands of one stream."""

    def __init__(self, stream: Stream, timing: Timing, device: Device) -> None:
        self.clock = device.clock
        self._timing = timing
        self._stream = stream
        # Whether the program has ever asked for times.
        self.is_asked = False
        # Launches since the program has waited, and how often it has waited for one by itself.
        self._unwaited = self._single = 0
        # The last launch that was asked for at once.
        self._latest: PendingTimes | None = None
        # The events that keep times, what those hold that may still be wanted, and how often one
        # was taken.
        self._points: list[Point] = []
        self._held: list[tuple[PendingTimes, ...]] = []
        self._taken = 0
        # Held while a command is queued: it is to be there before others make its events be asked.
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Meter({self._taken} measured)"

    def learn(self) -> None:
        """Learn the clock by some waits for nothing. Raises Unsupported."""
        point = self._stream.device.create_event()
        for _ in range(CLOCK_WAITS):
            queued_ns = now_ns()
            self._stream.record(point)
            self.told(self._timing.times(point.handle), queued_ns)
        # Those were none of the program's.
        self.is_asked = False
        point.close()

    def measure(self, launch: Noted, queued_ns: int) -> Measured:
        """Measure a launch."""
        with self._lock:
            index = self._free()
            event = self._points[index].handle
            self._unwaited += 1
            if self._unwaited > 1:
                self._single = 0
            if self.is_asked and self._single >= WAITS_EXPECTED_AFTER:
                self._latest = pending = launch.queue_asked(event)
            else:
                pending = launch.queue_noted(event)
                if self.is_asked:
                    pending.want()
            held = self._held[index] = (pending,)
        return Measured(self, index, queued_ns, held)

    def waited(self) -> None:
        """Hear that the program waits."""
        if self._unwaited == 1:
            self._single += 1
        self._unwaited = 0

    def settle(self) -> bool:
        """Wait for everything, if the last launch's answer tells of that; return whether it does.
        Raises GonError.
        """
        self.waited()
        latest, self._latest = self._latest, None
        if latest is None or not latest.is_latest:
            return False
        latest.wait()
        return True

    def note(self, event: int) -> PendingTimes:
        """Let an event be the last command of the stream."""
        return self._timing.note(self._stream.handle, Handle(event))

    def around(
        self, run: Callable[[], Pending | None], queued_ns: int
    ) -> tuple[Measured, Pending | None]:
        """Measure whatever `run` queues; return what it gives, too."""
        with self._lock:
            first, last = self._free(), self._free()
            places = self._points[first], self._points[last]
            pending = tuple(self._timing.times(place.handle) for place in places)
            self._held[first] = self._held[last] = pending
            self._stream.record(places[0])
            given = run()
            self._stream.record(places[1])
        if self.is_asked:
            for each in pending:
                each.want()
        return Measured(self, last, queued_ns, pending), given

    def _free(self) -> int:
        """Return the place of an event that nobody needs from now on."""
        index = self._taken % MEASURED_MAX
        self._taken += 1
        if index == len(self._points):
            self._points.append(self._stream.device.create_event())
            self._held.append(())
        for each in self._held[index]:
            each.ask()
        return index

    def let_go(self, index: int, pending: tuple[PendingTimes, ...]) -> None:
        """Hear that nobody will want these any more."""
        if self._held[index] is pending:
            self._held[index] = ()

    def told(self, pending: PendingTimes, queued_ns: int) -> CommandTimes:
        """Wait for times that the program wants, which the clock learns from. Raises GonError."""
        self.is_asked = True
        pending.wait()
        sent_ns, heard_ns = pending.between_ns
        times = pending.times
        if heard_ns:
            sent_ns = max(sent_ns, queued_ns)
            self.clock.learn(sent_ns, times.queued_ns, times.ended_ns, heard_ns)
        return times


def meter_of(stream: Stream, device: Device) -> Meter | None:
    """Return what measures a stream's commands; None where the unit, or an older host, does not."""
    contract = stream.device.contract
    timing = contract.timing if isinstance(contract, Timed) else None
    if timing is None:
        return None
    meter = Meter(stream, timing, device)
    try:
        meter.learn()
    except Unsupported:
        return None
    return meter
