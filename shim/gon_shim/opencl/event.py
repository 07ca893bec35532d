"""Events: commands as a program sees them; user events; callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gon_shim.opencl.answers import Answers, answer, pointer, uint, word
from gon_shim.opencl.command import Command
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.objects import Object
from gon_shim.opencl.scope import Scope

if TYPE_CHECKING:
    from _gon_opencl import Callback, CData, Handles, Numbers
    from gon_shim.opencl.queue import Queue


class Event(Object):
    """A command's event; a user event has no queue."""

    invalid = cl.CL_INVALID_EVENT

    def __init__(self, scope: Scope, queue: Queue | None, kind: int, command: Command) -> None:
        super().__init__()
        self.scope = scope
        self.queue = queue
        self.kind = kind
        self.command = command
        self.hold(scope if queue is None else queue)


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
    Event.of(handle).release()


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


_TIMES: Final = {
    cl.CL_PROFILING_COMMAND_QUEUED: 0,
    cl.CL_PROFILING_COMMAND_SUBMIT: 1,
    cl.CL_PROFILING_COMMAND_START: 2,
    cl.CL_PROFILING_COMMAND_END: 3,
    cl.CL_PROFILING_COMMAND_COMPLETE: 3,
}


@entry("clGetEventProfilingInfo")
def get_profiling_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    event = Event.of(handle)
    place = _TIMES.get(what)
    if place is None:
        raise ClError(cl.CL_INVALID_VALUE)
    # It waits for a command that is on its way: a program may ask without having waited.
    command = event.command
    if event.queue is None or command.is_held or command.settle() != cl.CL_COMPLETE:
        raise ClError(cl.CL_PROFILING_INFO_NOT_AVAILABLE)
    times = event.queue.times_ns(event.command)
    answer({what: lambda _: word(times[place])}, event, what, room, at, size_at)
