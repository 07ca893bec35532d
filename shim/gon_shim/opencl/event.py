"""Events: commands as a program sees them; user events; callbacks, by a thread of their own."""

from __future__ import annotations

import queue as queues
import threading
from typing import TYPE_CHECKING, Final

from gon_shim.opencl.answers import Answers, answer, pointer, uint, word
from gon_shim.opencl.command import CHANGED, Command
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.objects import Object
from gon_shim.opencl.scope import Scope
from gon_shim.opencl.unit import UNIT

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


class Watcher:
    """The thread that waits for commands whose events have callbacks, and calls these."""

    def __init__(self) -> None:
        self._commands: queues.SimpleQueue[Command | None] = queues.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.is_over = False

    def watch(self, command: Command) -> None:
        """Wait for a command that is held no longer."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gon-opencl-events", daemon=True)
            self._thread.start()
        self._commands.put(command)

    def stop(self) -> None:
        """Call nothing from now on: the program ends."""
        self.is_over = True
        self._commands.put(None)

    def _run(self) -> None:
        while not self.is_over:
            command = self._commands.get()
            if command is not None:
                command.settle()


WATCHER: Final = Watcher()
UNIT.on_close.append(WATCHER.stop)

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
        if not WATCHER.is_over:
            notify(handle, min(status, when), data)
        event.unpin()

    command = event.command
    with CHANGED:
        if when == cl.CL_COMPLETE and command.status > cl.CL_COMPLETE:
            command.on_over.append(call)
            if command.is_held:
                command.on_submitted.append(lambda _status: WATCHER.watch(command))
            else:
                WATCHER.watch(command)
            return
        if command.status > when:
            command.on_submitted.append(call)
            return
    call(command.status)


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
    # It waits for a command that is on its way: after clFinish its end is not always heard yet.
    command = event.command
    if event.queue is None or command.is_held or command.settle() != cl.CL_COMPLETE:
        raise ClError(cl.CL_PROFILING_INFO_NOT_AVAILABLE)
    times = event.queue.times_ns(event.command)
    answer({what: lambda _: word(times[place])}, event, what, room, at, size_at)
