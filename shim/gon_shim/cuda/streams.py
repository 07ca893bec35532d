"""Streams and events. All streams are one on the unit, so one waits for another by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from _gon_cuda import lib
from gon_client.event import Event as Recorded
from gon_shim.cuda.entry import entry
from gon_shim.cuda.errors import CuError, require
from gon_shim.cuda.handles import Handles, number_of
from gon_shim.cuda.scopes import unit

if TYPE_CHECKING:
    from _gon_cuda import CData, Numbers, Pointers

# The default stream, by each of its handles: CU_STREAM_LEGACY and CU_STREAM_PER_THREAD among them.
_DEFAULT: Final = (0, 1, 2)


class Stream:
    """A stream: a name for the one that there is."""


class Event:
    """An event; what it stands for is made when it is first recorded."""

    def __init__(self, flags: int) -> None:
        self.measures = not flags & lib.CU_EVENT_DISABLE_TIMING
        self.recorded: Recorded | None = None


_STREAMS = Handles[Stream]("CUstream", lib.CUDA_ERROR_INVALID_HANDLE)
_EVENTS = Handles[Event]("CUevent", lib.CUDA_ERROR_INVALID_HANDLE)


def check_stream(handle: CData) -> None:
    """Raise CuError unless a stream has this handle."""
    if number_of(handle) not in _DEFAULT:
        _STREAMS.of(handle)


@entry("cuStreamCreate")
def create_stream(at: Pointers, _flags: int) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    at[0] = _STREAMS.add(Stream())


@entry("cuStreamCreateWithPriority")
def create_stream_with_priority(at: Pointers, flags: int, _priority: int) -> None:
    create_stream(at, flags)


@entry("cuStreamDestroy_v2")
def destroy_stream(handle: CData) -> None:
    unit()
    _STREAMS.take(handle)


# That it is done is known by a round trip, as whether it is: so a query waits, too. Nothing on a
# stream waits for the program.
@entry("cuStreamSynchronize", "cuStreamQuery")
def synchronize_stream(handle: CData) -> None:
    check_stream(handle)
    unit().stream.sync()


@entry("cuStreamWaitEvent")
def wait_event(handle: CData, event: CData, _flags: int) -> None:
    check_stream(handle)
    _EVENTS.of(event)


@entry("cuEventCreate")
def create_event(at: Pointers, flags: int) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    at[0] = _EVENTS.add(Event(flags))


@entry("cuEventDestroy_v2")
def destroy_event(handle: CData) -> None:
    unit()
    _EVENTS.take(handle)


@entry("cuEventRecord")
def record_event(handle: CData, stream: CData) -> None:
    event = _EVENTS.of(handle)
    check_stream(stream)
    event.recorded = unit().stream.record(event.recorded)


@entry("cuEventSynchronize", "cuEventQuery")
def synchronize_event(handle: CData) -> None:
    event = _EVENTS.of(handle)
    unit()
    if event.recorded is not None:
        event.recorded.sync()


@entry("cuEventElapsedTime")
def elapsed_time(at: Numbers, start_handle: CData, end_handle: CData) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    start, end = _EVENTS.of(start_handle), _EVENTS.of(end_handle)
    require(start.measures and end.measures, lib.CUDA_ERROR_INVALID_HANDLE)
    if start.recorded is None or end.recorded is None:
        raise CuError(lib.CUDA_ERROR_INVALID_HANDLE)
    unit()
    at[0] = end.recorded.elapsed_us(start.recorded) / 1000
