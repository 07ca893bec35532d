"""Command queues: streams of the device, and what is held here until a user event lets it go.

A queue that may run out of order runs in order on its stream: that is one of the orders it may
have. Only what is held differs: there, it holds up nothing but what waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from gon.device import Pending
from gon.errors import GonError
from gon.timing import PendingTimes
from gon_shim.opencl.again import AGAIN
from gon_shim.opencl.answers import (
    Answers,
    answer,
    pointer,
    properties_of,
    uint,
    word,
    words_with_end,
)
from gon_shim.opencl.command import CHANGED, Command
from gon_shim.opencl.course import Course
from gon_shim.opencl.device import QUEUE_PROPERTIES, Device, now_ns
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require, told
from gon_shim.opencl.event import Event, grow_all
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.measuring import Meter, meter_of
from gon_shim.opencl.objects import Object
from gon_shim.opencl.scope import Scope
from gon_shim.reads import READS, Span

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers
    from gon_client.stream import Stream


class Make(Enum):
    """What a command is to the unit's queue: several commands there or work of its host; one
    command; or one that its host would do by itself where nothing is queued before it.
    """

    SEVERAL = auto()
    ONE = auto()
    ONE_BEHIND_ANOTHER = auto()


class Work(NamedTuple):
    """What a command does: `run` queues it on the stream; `meter` measures it, if it is to be
    measured, as what it is to the unit's queue. `uses` has to live until then,
    `fills` and `takes` is the program's memory that it reads into, or writes from.
    """

    run: Callable[[], Pending | None]
    meter: Meter | None
    queued_ns: int
    make: Make = Make.SEVERAL
    uses: Sequence[Object] = ()
    fills: Span | None = None
    takes: Span | None = None


class Held:
    """A command that may not go to its stream yet: it waits for what is held too."""

    def __init__(self, command: Command, awaited: Sequence[Command], work: Work) -> None:
        self.command = command
        self.awaited = awaited
        self.work = work
        # Whether some thread is about to start it.
        self.starts = False
        # What has to live until it has started.
        self.pinned: list[Object] = []

    @property
    def is_free(self) -> bool:
        return not self.starts and not any(each.is_held for each in self.awaited)


class _Once:
    """One command of the unit's queue, to be measured."""

    def __init__(self, work: Work, meter: Meter) -> None:
        self._work, self._meter = work, meter

    def queue_noted(self, event: int, /) -> PendingTimes:
        is_behind = self._work.make is Make.ONE_BEHIND_ANOTHER
        return self._meter.note(self._work.run, event, marks=is_behind)

    def queue_asked(self, event: int, /) -> PendingTimes:
        return self.queue_noted(event)


class Queue(Object):
    """A command queue."""

    invalid = cl.CL_INVALID_COMMAND_QUEUE

    def __init__(self, scope: Scope, properties: int, told: bytes) -> None:
        super().__init__()
        self.scope = scope
        self.properties = properties
        self.told = told
        self.is_in_order = not properties & cl.CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE
        self.stream: Stream = scope.device.leased.create_stream()
        self.course = Course(self.stream)
        self.course.owner = self
        self.held: deque[Held] = deque()
        self._barrier: Command | None = None
        self.meter: Meter | None = None
        if properties & cl.CL_QUEUE_PROFILING_ENABLE:
            self.meter = meter_of(self.course, scope.device)
        self.hold(scope)

    def submit(
        self,
        kind: int,
        run: Callable[[], Pending | None],
        count: int,
        waits: Handles,
        event_at: Handles,
        *,
        blocks: bool = False,
        fence: bool = False,
        barrier: bool = False,
        make: Make = Make.SEVERAL,
        uses: Sequence[Object] = (),
        fills: Span | None = None,
        takes: Span | None = None,
    ) -> None:
        """Let `run` queue a command on the stream, now or when what it waits for allows it.

        With `blocks`, return when it is over; a `fence` waits for all before it, a `barrier` holds
        up all that follow. The rest as `Work` says. Raises ClError, what `run` does.
        """
        meter = self.meter if event_at else None
        queued_ns = 0 if meter is None else now_ns()
        awaited = self._awaited(count, waits)
        command = Command(self.course)
        work = Work(run, meter, queued_ns, make, uses, fills, takes)
        # No lock is held while it starts: that may wait, and end what runs the program's functions.
        if not (awaited or self.held) or not self._hold(
            Held(command, awaited, work), fence=fence, barrier=barrier
        ):
            self._start(command, awaited, work)
        if event_at:
            event_at[0] = Event(self.scope, self, kind, command).handle
        if blocks:
            status = command.settle()
            if status < 0:
                raise ClError(status)

    def _awaited(self, count: int, waits: Handles) -> list[Command]:
        """Return the commands of a wait list that are not over. Raises ClError."""
        require(bool(count) == bool(waits), cl.CL_INVALID_EVENT_WAIT_LIST)
        found: list[Command] = []
        for index in range(count):
            event = Event.find(waits[index])
            if event is None:
                raise ClError(cl.CL_INVALID_EVENT_WAIT_LIST)
            require(event.scope is self.scope, cl.CL_INVALID_CONTEXT)
            if not event.command.is_known() or event.command.status < 0:
                found.append(event.command)
        return found

    def _hold(self, one: Held, *, fence: bool, barrier: bool) -> bool:
        """Keep a command if it waits for what is held; return whether it does."""
        with CHANGED:
            one.awaited = [*one.awaited, *self._in_the_way(fence=fence)]
            if one.is_free:
                return False
            if barrier:
                self._barrier = one.command
            # The streams of what it waits for, too: it marks them when it starts.
            courses = (each.course for each in one.awaited)
            owners = [each.owner for each in courses if each is not None and each.owner is not None]
            one.pinned = [*one.work.uses, *owners, self]
            for pinned in one.pinned:
                pinned.pin()
            self.held.append(one)
        return True

    def _in_the_way(self, *, fence: bool) -> list[Command]:
        """Return the held commands of this queue that the next one waits for."""
        if fence or (self.is_in_order and self.held):
            return [each.command for each in self.held]
        return [self._barrier] if self._barrier is not None and self._barrier.is_held else []

    def _start(self, command: Command, awaited: Sequence[Command], work: Work) -> None:
        for each in awaited:
            if not each.is_known():
                if each.course is not self.course:
                    self.stream.wait(each.mark())
            elif each.status < 0:
                command.lower(cl.CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)
                return
        if work.takes is not None:
            READS.settle_before(work.takes)
        elif work.fills is not None:
            READS.settle_before(work.fills, reader=self.course)
        if work.fills is not None and self.meter is not None:
            # The read waits for all that, and somebody for the read.
            self.meter.ask_wanted(self.course.queued)
        if command.tells_running:
            command.began = self.stream.record()
        before = self.course.queued
        try:
            read = self._run(command, work)
        except GonError as error:  # such as of a read that is waited for here
            self.course.failed(error, before, is_told=True)
            raise
        if read is not None:
            READS.add(self.course, work.fills, read)
            self.course.reads(read, before)
        command.submit(read, before)

    def _run(self, command: Command, work: Work) -> Pending | None:
        """Queue a command, and measure it if it is to be; return the read that it is, if any."""
        meter = work.meter
        if meter is None:
            return work.run()
        if work.make is Make.SEVERAL:
            command.measured, read = meter.around(work.run, work.queued_ns)
            return read
        command.measured = meter.measure(_Once(work, meter), work.queued_ns)
        return None

    def let_go(self) -> bool:
        """Start the held commands that nothing holds any more; return whether there were any."""
        with CHANGED:
            free = [each for each in self.held if each.is_free]
            for each in free:
                each.starts = True
        for each in free:
            try:
                self._start(each.command, each.awaited, each.work)
            except Exception as error:  # noqa: BLE001 - whoever waits for it is told
                each.command.lower(told("a command", error))
            with CHANGED:
                self.held.remove(each)
                CHANGED.notify_all()
            # Last: a queue that was released closes its stream with this.
            for used in each.pinned:
                used.unpin()
        return bool(free)

    def release(self) -> None:
        grow_all(self)
        super().release()

    def end(self) -> None:
        AGAIN.forget(self)
        if self.meter is not None:
            self.meter.close()
        with suppress(GonError):  # of a lease that is over there is nothing left to close
            self.stream.close()

    def finish(self) -> None:
        """Wait for everything. Raises what the device says."""
        if self.held:
            with CHANGED:
                CHANGED.wait_for(lambda: not self.held)
        queued = self.course.queued
        with suppress(GonError):  # which the course hears from the reads themselves
            READS.settle(self.course)
        if not self._is_settled():
            try:
                self.stream.sync()
            except GonError as error:
                self.course.failed(error, queued)
                if not error.number:
                    raise
        self.course.passed(queued)
        self.course.tell()

    def _is_settled(self) -> bool:
        """Wait by the last launch's own answer, if that is on its way."""
        with suppress(GonError):  # which the wait to follow tells, and is over with
            return self.meter is not None and self.meter.settle()
        return False


def advance() -> None:
    """Let go what is held no longer, in all queues."""
    # Each once, not up to the first: what one lets go may be what another waits for.
    while sum(queue.let_go() for queue in Queue.all() if queue.held):
        pass


_ANSWERS: Answers[Queue] = {
    cl.CL_QUEUE_CONTEXT: lambda queue: pointer(queue.scope.handle),
    cl.CL_QUEUE_DEVICE: lambda queue: pointer(queue.scope.device.handle),
    cl.CL_QUEUE_REFERENCE_COUNT: lambda queue: uint(queue.references),
    cl.CL_QUEUE_PROPERTIES: lambda queue: word(queue.properties),
    cl.CL_QUEUE_PROPERTIES_ARRAY: lambda queue: queue.told,
    cl.CL_QUEUE_DEVICE_DEFAULT: lambda _: word(0),
}


def _create(context: CData, device: CData, properties: int, told: bytes) -> CData:
    scope, one = Scope.of(context), Device.of(device)
    require(one is scope.device, cl.CL_INVALID_DEVICE)
    known = QUEUE_PROPERTIES | cl.CL_QUEUE_ON_DEVICE | cl.CL_QUEUE_ON_DEVICE_DEFAULT
    require(not properties & ~known, cl.CL_INVALID_VALUE)
    require(not properties & ~QUEUE_PROPERTIES, cl.CL_INVALID_QUEUE_PROPERTIES)
    return Queue(scope, properties, told).handle


@entry("clCreateCommandQueue")
def create_queue(context: CData, device: CData, properties: int) -> CData:
    return _create(context, device, properties, b"")


@entry("clCreateCommandQueueWithProperties")
def create_queue_with_properties(context: CData, device: CData, properties: CData) -> CData:
    found = properties_of(properties)
    for name, _value in found:
        require(name in (cl.CL_QUEUE_PROPERTIES, cl.CL_QUEUE_SIZE), cl.CL_INVALID_VALUE)
    named = dict(found)
    require(cl.CL_QUEUE_SIZE not in named, cl.CL_INVALID_QUEUE_PROPERTIES)
    return _create(context, device, named.get(cl.CL_QUEUE_PROPERTIES, 0), words_with_end(found))


@entry("clRetainCommandQueue")
def retain_queue(handle: CData) -> None:
    Queue.of(handle).retain()


@entry("clReleaseCommandQueue")
def release_queue(handle: CData) -> None:
    Queue.of(handle).release()


@entry("clGetCommandQueueInfo")
def get_queue_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    queue = Queue.of(handle)
    require(what != cl.CL_QUEUE_SIZE, cl.CL_INVALID_COMMAND_QUEUE)
    answer(_ANSWERS, queue, what, room, at, size_at)


@entry("clSetUserEventStatus")
def set_user_event_status(handle: CData, status: int) -> None:
    event = Event.of(handle)
    require(event.queue is None, cl.CL_INVALID_EVENT)
    require(status <= cl.CL_COMPLETE, cl.CL_INVALID_VALUE)
    with CHANGED:
        require(event.command.status > cl.CL_COMPLETE, cl.CL_INVALID_OPERATION)
        event.command.lower(status)
    advance()


@entry("clFlush")
def flush(handle: CData) -> None:
    """Do nothing: what is gathered goes out by itself, within a millisecond."""
    Queue.of(handle)


@entry("clFinish")
def finish(handle: CData) -> None:
    Queue.of(handle).finish()
