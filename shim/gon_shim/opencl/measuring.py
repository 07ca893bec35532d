"""When commands ran: of a queue that measures times.

A launch is one command of the unit's queue, which knows its times by itself: it is noted; so is a
copy or a fill, which the unit's host would do by itself were there no marker before it. What is
several commands there, or done by its host, lies between two markers. Either is kept by an event of
the device's, of which a queue has a few and takes them in turn; what one holds is asked for before
it is taken again, if the program may still want it.

A program that has asked for times will ask again: from then on they are asked for beside the waits,
and are here when the program wants them. One that has waited for each launch by itself a few times
will wait again: the next one is sent and asked for at once, and the program's way to its wait takes
none of the launch's time. Not if anything else was queued in between, on whatever queue: that would
wait for the answer.

Rules: what has no event of OpenCL's is not measured, for nobody can ask.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from gon.device import Pending
from gon.errors import GonError, Unsupported
from gon.model import CommandTimes, Handle
from gon.timing import PendingTimes, Timed, Timing
from gon_shim.opencl.device import Device, now_ns
from gon_shim.opencl.errors import ClError
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.limits import (
    CLOCK_WAITS,
    MEASURED_MAX,
    NOTING_WAIT_MAX_S,
    PLACES_MAX,
    WAITS_EXPECTED_AFTER,
)

if TYPE_CHECKING:
    from gon_client.event import Event as Point
    from gon_shim.opencl.course import Course


class Noted(Protocol):
    """A launch, ready to be queued, and noted as an event."""

    def queue_noted(self, event: int, /) -> PendingTimes: ...

    def queue_asked(self, event: int, /) -> PendingTimes:
        """As `queue_noted`, and ask for the times, all of it at once."""
        ...


class Measured:
    """The times of one command: of itself, or of the markers before and after it."""

    __slots__ = ("_by", "_meter", "_pending", "_places", "_queued_ns", "_times", "is_forgotten")

    def __init__(self, meter: Meter, queued_ns: int, *places: _Place) -> None:
        self._meter, self._places = meter, places
        self._queued_ns = queued_ns
        self._pending = places[-1].held
        self._by = places[-1].by
        self._times: tuple[int, int, int, int] | None = None
        self.is_forgotten = False

    def __repr__(self) -> str:
        return f"Measured({self._times or 'to be told'})"

    def forget(self) -> None:
        """Hear that nobody will ask."""
        self.is_forgotten = True
        for place in self._places:
            if place.held is self._pending:
                place.held = ()

    def answer(self) -> Pending | None:
        """Return what is here once the command is over, if its times come anyway."""
        if not self._meter.is_asked:
            return None
        self._meter.waited()
        self._meter.ask_wanted(self._by)
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


class _Place:
    """An event that keeps times, and what it holds that may still be wanted."""

    __slots__ = ("by", "held", "point")

    def __init__(self, point: Point) -> None:
        self.point = point
        self.held: tuple[PendingTimes, ...] = ()
        # The number by which its command is queued.
        self.by = 0


class Meter:
    """Measures the commands of one stream."""

    def __init__(self, course: Course, timing: Timing, device: Device) -> None:
        self.clock = device.clock
        self._timing = timing
        self._course, self._stream = course, course.stream
        # Whether the program has ever asked for times.
        self.is_asked = False
        # Launches since the program has waited, the last of them, and how often it has waited for
        # one by itself.
        self._unwaited = self._single = 0
        self._latest: PendingTimes | None = None
        # The places that nobody is at, the one taken first foremost: a place is in here once its
        # command is queued. No lock is held for that: it may let the collector run, which may end
        # what queues a command of its own, here or in a thread that sends.
        self._places: deque[_Place] = deque()
        # The place of the launch that follows a wait, taken while nobody waits for that.
        self._ready: list[_Place] = []
        # What is to be asked for beside the next wait, the oldest first, each with its `by`.
        self._wanted: deque[tuple[int, _Place, PendingTimes]] = deque(maxlen=PLACES_MAX)
        # Held while a command is queued and then noted.
        self._noting = threading.RLock()

    def __repr__(self) -> str:
        return f"Meter({len(self._places)} places)"

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
        try:
            place = self._ready.pop()
        except IndexError:
            place = self._take()
        event = place.point.handle
        is_next = self.is_asked and not self._unwaited and self._single >= WAITS_EXPECTED_AFTER
        self._unwaited += 1
        pending = launch.queue_asked(event) if is_next else launch.queue_noted(event)
        self._keep((pending,), place)
        self._latest = pending
        return Measured(self, queued_ns, place)

    def waited(self) -> None:
        """Hear that the program waits."""
        latest = self._latest
        if self._unwaited and latest is not None:
            is_single = self._unwaited == 1 and latest.is_latest
            self._single = self._single + 1 if is_single else 0
        self._unwaited = 0

    def settle(self) -> bool:
        """Wait for everything, if the last launch's answer tells of that; return whether it does.
        Raises GonError.
        """
        self.waited()
        latest, self._latest = self._latest, None
        is_told = latest is not None and latest.is_asked and latest.is_latest
        self.ask_wanted(self._course.queued)
        if latest is None or not is_told:
            return False
        latest.wait()
        if not self._ready:
            self._ready.append(self._take())
        return True

    def ask_wanted(self, last: int) -> None:
        """Ask for what is wanted of the commands up to that number: a question for more would wait
        for more, as one for another stream's would.
        """
        with suppress(IndexError):  # of none, or which another thread has taken
            while self._wanted[0][0] <= last:
                _, place, pending = self._wanted.popleft()
                if pending in place.held:
                    pending.ask()

    def note(self, run: Callable[[], object], event: int, *, marks: bool = False) -> PendingTimes:
        """Let `run` queue one command, and an event be that; with `marks`, behind a marker."""
        # Another thread's command between the two would be noted instead. The wait has a limit, for
        # the collector may queue a command in a thread that sends, and who is here may wait for it.
        is_alone = self._noting.acquire(timeout=NOTING_WAIT_MAX_S)
        try:
            if marks:
                self._stream.device.contract.record(self._stream.handle, Handle(event))
            run()
            return self._timing.note(self._stream.handle, Handle(event))
        finally:
            if is_alone:
                self._noting.release()

    def around(
        self, run: Callable[[], Pending | None], queued_ns: int
    ) -> tuple[Measured, Pending | None]:
        """Measure whatever `run` queues; return what it gives, too."""
        places = self._take(), self._take()
        pending = tuple(self._timing.times(place.point.handle) for place in places)
        self._stream.record(places[0].point)
        given = run()
        self._stream.record(places[1].point)
        self._keep(pending, *places)
        return Measured(self, queued_ns, *places), given

    def _take(self) -> _Place:
        """Take a place that nobody needs from now on."""
        if len(self._places) < MEASURED_MAX:
            return _Place(self._stream.device.create_event())
        first = self._places[0]
        is_over = not first.held or self._course.over >= first.by
        # A question for what is not over would hold up what other streams get after it.
        if not is_over and len(self._places) < PLACES_MAX:
            return _Place(self._stream.device.create_event())
        place = self._places.popleft()
        for each in place.held:
            each.ask()
        return place

    def _keep(self, pending: tuple[PendingTimes, ...], *places: _Place) -> None:
        """Let places be taken again: what they hold is queued."""
        by = self._course.queued
        for place in places:
            place.held, place.by = pending, by
        self._places.extend(places)
        if self.is_asked:
            self._wanted.extend((by, places[-1], each) for each in pending)

    def close(self) -> None:
        """Give the events back."""
        self._ready.clear()
        self._places.clear()
        self._wanted.clear()

    def told(self, pending: PendingTimes, queued_ns: int) -> CommandTimes:
        """Wait for times that the program wants, which the clock learns from. Raises GonError."""
        self.is_asked = True
        pending.wait()
        sent_ns, heard_ns = pending.between_ns
        times = pending.times
        if heard_ns:
            sent_ns = max(sent_ns, queued_ns)
            told_ns = times.told_ns or times.ended_ns
            self.clock.learn(sent_ns, times.queued_ns, told_ns, heard_ns)
        return times


def meter_of(course: Course, device: Device) -> Meter | None:
    """Return what measures a stream's commands; None where the unit, or an older host, does not."""
    contract = course.stream.device.contract
    timing = contract.timing if isinstance(contract, Timed) else None
    if timing is None:
        return None
    meter = Meter(course, timing, device)
    try:
        meter.learn()
    except Unsupported:
        return None
    return meter
