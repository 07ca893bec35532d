"""Events: commands as a program sees them; user events; callbacks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from _gon_opencl import ffi, lib
from gon_shim.opencl.answers import Answers, answer, give, pointer, uint, word
from gon_shim.opencl.command import Command
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.objects import Object, new_handle, recycle
from gon_shim.opencl.scope import Scope

if TYPE_CHECKING:
    from _gon_opencl import Callback, CData, Handles, Numbers
    from gon_shim.opencl.measuring import Measured
    from gon_shim.opencl.queue import Queue


class Event(Object):
    """A command's event; a user event has no queue."""

    invalid = cl.CL_INVALID_EVENT

    def __init__(
        self,
        scope: Scope,
        queue: Queue | None,
        kind: int,
        command: Command,
        seed: _Seed | None = None,
    ) -> None:
        super().__init__(None if seed is None else seed.handle)
        self._seed = seed
        self.scope = scope
        self.queue = queue
        self.kind = kind
        self.command = command
        self.hold(scope if queue is None else queue)

    @classmethod
    def find(cls, handle: CData) -> Event | None:
        return cast("Event | None", cls._live.get(handle)) or cls._grown(handle)

    @classmethod
    def _grown(cls, handle: CData) -> Event | None:
        """Return the event that has become of a seed; None if the handle is none."""
        with _GROWING:
            seed = _SEEDS.get(handle)
            if seed is not None:
                queue = seed.queue
                command = Command(queue.course)
                command.measured = seed.measured
                command.submitted(seed.number, seed.before)
                cls(queue.scope, queue, cl.CL_COMMAND_NDRANGE_KERNEL, command, seed)
            return cast("Event | None", cls._live.get(handle))

    def publish(self) -> None:
        """Let its handle be known, unless its seed has grown meanwhile: what is made for an event
        may let the collector run, which ends what the program has forgotten, and looks at seeds.
        """
        handle, seed = self.handle, self._seed
        if seed is None:
            super().publish()
        # No call from here on, and so neither the collector nor another thread.
        elif handle in _SEEDS and _SEEDS[handle] is seed:
            self._live[handle] = self
            del _SEEDS[handle]
        else:
            self.drop()

    @classmethod
    def of(cls, handle: CData) -> Event:
        found = cls.find(handle)
        if found is None:
            raise ClError(cls.invalid)
        return found

    def end(self) -> None:
        _forget(self.command.measured, self.handle)


def _forget(measured: Measured | None, handle: CData) -> None:
    """Let nobody ask for an event's times any more."""
    if measured is not None:
        measured.forget()
        lib.gon_forget_times(handle)


class _Seed(NamedTuple):
    """What becomes an event once a program looks at it: that of a launch, by its number. The handle
    is the one without a type: another kind of object may have it later.
    """

    queue: Queue
    number: int
    before: int
    measured: Measured | None
    handle: CData


_SEEDS: Final[dict[CData, _Seed]] = {}
# Whoever looks at a seed that another thread lets grow waits for the event.
_GROWING: Final = threading.RLock()


def seeded(queue: Queue, measured: Measured | None, before: int) -> CData:
    """Return a handle for the event of the launch that a queue's stream has got last: an event
    costs more than the launch, and a program looks at it when it has nothing better to do. `before`
    is a number that was queued before the launch.
    """
    handle = new_handle()
    _SEEDS[handle] = _Seed(queue, queue.course.number(), before, measured, handle)
    return handle


def grow_all(queue: Queue) -> None:
    """Let all seeds of a queue grow, which may end: events let theirs live."""
    for handle in [handle for handle, seed in [*_SEEDS.items()] if seed.queue is queue]:
        Event.find(handle)


_ANSWERS: Answers[Event] = {
    cl.CL_EVENT_COMMAND_QUEUE: lambda event: (
        word(0) if event.queue is None else pointer(event.queue.handle)
    ),
    cl.CL_EVENT_CONTEXT: lambda event: pointer(event.scope.handle),
    cl.CL_EVENT_COMMAND_TYPE: lambda event: uint(event.kind),
    cl.CL_EVENT_COMMAND_EXECUTION_STATUS: lambda event: uint(event.command.look()),
    cl.CL_EVENT_REFERENCE_COUNT: lambda event: uint(event.references),
}


@entry("clGetEventInfo")
def get_event_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    answer(_ANSWERS, Event.of(handle), what, room, at, size_at)


@entry("clRetainEvent")
def retain_event(handle: CData) -> None:
    Event.of(handle).retain()


@entry("clReleaseEvent")
def release_event(handle: CData) -> None:
    seed = _SEEDS.pop(handle, None)
    if seed is None:
        Event.of(handle).release()
    else:  # nobody has looked at it, but for its times
        _forget(seed.measured, handle)
        recycle(seed.handle)


@entry("clWaitForEvents")
def wait_for_events(count: int, handles: Handles) -> None:
    require(count and handles, cl.CL_INVALID_VALUE)
    events = [Event.of(handles[index]) for index in range(count)]
    require(all(each.scope is events[0].scope for each in events), cl.CL_INVALID_CONTEXT)
    statuses = [event.command.settle() for event in events]
    require(min(statuses) >= 0, cl.CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)


@entry("clCreateUserEvent")
def create_user_event(context: CData) -> CData:
    return Event(Scope.of(context), None, cl.CL_COMMAND_USER, Command(None)).handle


@entry("clSetEventCallback")
def set_event_callback(handle: CData, when: int, notify: Callback, data: CData) -> None:
    event = Event.of(handle)
    require(notify, cl.CL_INVALID_VALUE)
    require(when in (cl.CL_SUBMITTED, cl.CL_RUNNING, cl.CL_COMPLETE), cl.CL_INVALID_VALUE)
    event.pin()

    def call(status: int) -> None:
        try:
            notify(handle, status, data)
        finally:
            event.unpin()

    event.command.when(when, call)


_TIMES: Final = range(cl.CL_PROFILING_COMMAND_QUEUED, cl.CL_PROFILING_COMMAND_COMPLETE + 1)


@entry("clGetEventProfilingInfo")
def get_profiling_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    """Answer for one time, and let the driver answer for the others (`driver.c`)."""
    if what not in _TIMES:
        raise ClError(cl.CL_INVALID_VALUE)
    seed = _SEEDS.get(handle)
    # A launch that is over needs no event for that.
    if seed is not None and seed.number <= seed.queue.course.over:
        measured = seed.measured
    else:
        measured = _over(Event.of(handle).command)
    if measured is None:
        raise ClError(cl.CL_PROFILING_INFO_NOT_AVAILABLE)
    times = measured.times_ns()
    kept = ffi.new("cl_ulong[5]", (*times, times[-1]))
    lib.gon_keep_times(handle, kept)
    if measured.is_forgotten:  # by a thread that has released the event: the handle is another's
        lib.gon_forget_times(handle)
    give(word(times[min(what - cl.CL_PROFILING_COMMAND_QUEUED, 3)]), room, at, size_at)


def _over(command: Command) -> Measured | None:
    """Wait for a command that is on its way, for a program may ask without having waited; return
    what has measured it, if anything has, and if it did not fail.
    """
    if command.is_held or command.settle() != cl.CL_COMPLETE:
        return None
    return command.measured
