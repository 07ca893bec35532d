"""Streams and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from _gon_cuda import lib
from gon.device import Pending
from gon_client.event import Event as Recorded
from gon_shim.cuda.entry import entry
from gon_shim.cuda.errors import CuError, require
from gon_shim.cuda.handles import Handles, number_of
from gon_shim.cuda.lanes import Lane, all_here, wait_for
from gon_shim.cuda.scopes import Scope, current, ends, unit
from gon_shim.cuda.unit import UNIT

if TYPE_CHECKING:
    from _gon_cuda import CData, Numbers, Pointers

# The handles that mean a default stream: none and CU_STREAM_LEGACY, and CU_STREAM_PER_THREAD.
_LEGACY: Final = (0, 1)
_PER_THREAD: Final = 2


class Stream:
    """A stream, and what it was made with."""

    def __init__(self, lane: Lane, flags: int, scope: Scope) -> None:
        self.lane = lane
        self.flags = flags
        self.scope = scope


class Event:
    """An event of a context; what it stands for is made when it is first recorded."""

    def __init__(self, flags: int, scope: Scope) -> None:
        self.scope = scope
        self.measures = not flags & lib.CU_EVENT_DISABLE_TIMING
        self.recorded: Recorded | None = None
        self.reads: tuple[Pending, ...] = ()

    def record(self, lane: Lane) -> None:
        """Let it happen when all that is queued on the stream has."""
        self.recorded = lane.ready().record(self.recorded)
        lane.queued()
        self.reads = lane.reads

    def is_done(self) -> bool:
        """Return whether it has happened; waits for no work. Raises an error of that, once."""
        recorded, reads = self.recorded, self.reads
        if recorded is None:
            return True
        is_over = all_here(recorded.device, reads) and recorded.is_done
        if is_over:
            wait_for(reads)
        return is_over


_STREAMS = Handles[Stream]("CUstream", lib.CUDA_ERROR_INVALID_HANDLE)
_EVENTS = Handles[Event]("CUevent", lib.CUDA_ERROR_INVALID_HANDLE)


def lane_of(handle: CData) -> Lane:
    """Return the stream of a handle. Raises CuError, also without a context."""
    here, number = unit(), number_of(handle)
    if number in _LEGACY:
        return here.lanes.legacy
    if number == _PER_THREAD:
        return here.lanes.of_thread()
    return _STREAMS.of(handle).lane


@entry("cuStreamCreate")
def create_stream(at: Pointers, flags: int) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    require(flags in (0, lib.CU_STREAM_NON_BLOCKING), lib.CUDA_ERROR_INVALID_VALUE)
    lane = unit().lanes.create(blocking=not flags)
    at[0] = _STREAMS.add(Stream(lane, flags, current()))


@entry("cuStreamCreateWithPriority")
def create_stream_with_priority(at: Pointers, flags: int, _priority: int) -> None:
    create_stream(at, flags)  # one outside of the range is brought into it, and that is 0 … 0


@entry("cuStreamDestroy_v2")
def destroy_stream(handle: CData) -> None:
    unit().lanes.close(_STREAMS.take(handle).lane)


@entry("cuStreamGetFlags")
def stream_flags(handle: CData, at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    at[0] = 0 if number_of(handle) <= _PER_THREAD else _STREAMS.of(handle).flags


@entry("cuStreamGetPriority")
def stream_priority(handle: CData, at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    lane_of(handle)
    at[0] = 0


@entry("cuStreamGetCtx")
def stream_scope(handle: CData, at: Pointers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    is_default = number_of(handle) <= _PER_THREAD
    at[0] = (current() if is_default else _STREAMS.of(handle).scope).handle


@entry("cuCtxGetStreamPriorityRange")
def priority_range(least: Numbers, greatest: Numbers) -> None:
    unit()
    for at in (least, greatest):
        if at:
            at[0] = 0


@entry("cuStreamSynchronize")
def synchronize_stream(handle: CData) -> None:
    lane_of(handle).sync()


@entry("cuStreamQuery")
def query_stream(handle: CData) -> None:
    require(lane_of(handle).is_done(), lib.CUDA_ERROR_NOT_READY)


@entry("cuStreamWaitEvent")
def wait_event(handle: CData, event_handle: CData, _flags: int) -> None:
    lane, event = lane_of(handle), _EVENTS.of(event_handle)
    # First: another thread may record it anew.
    reads = event.reads
    if event.recorded is not None:
        lane.ready().wait(event.recorded)
        lane.await_reads(reads)
        lane.queued()


@entry("cuEventCreate")
def create_event(at: Pointers, flags: int) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = _EVENTS.add(Event(flags, current()))


@entry("cuEventDestroy_v2")
def destroy_event(handle: CData) -> None:
    unit()
    _EVENTS.take(handle)


@ends
def _end(scope: Scope) -> None:
    _EVENTS.take_all(lambda event: event.scope is scope)
    for stream in _STREAMS.take_all(lambda stream: stream.scope is scope):
        UNIT.lanes.close(stream.lane)


@entry("cuEventRecord")
def record_event(handle: CData, stream: CData) -> None:
    _EVENTS.of(handle).record(lane_of(stream))


@entry("cuEventRecordWithFlags")
def record_event_with_flags(handle: CData, stream: CData, _flags: int) -> None:
    record_event(handle, stream)  # the flags are for streams that are captured


@entry("cuEventQuery")
def query_event(handle: CData) -> None:
    unit()
    require(_EVENTS.of(handle).is_done(), lib.CUDA_ERROR_NOT_READY)


@entry("cuEventSynchronize")
def synchronize_event(handle: CData) -> None:
    unit()
    event = _EVENTS.of(handle)
    reads = event.reads
    if event.recorded is not None:
        try:
            event.recorded.sync()
        finally:
            wait_for(reads)


@entry("cuEventElapsedTime")
def elapsed_time(at: Numbers, start_handle: CData, end_handle: CData) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    start, end = _EVENTS.of(start_handle), _EVENTS.of(end_handle)
    require(start.measures and end.measures, lib.CUDA_ERROR_INVALID_HANDLE)
    if start.recorded is None or end.recorded is None:
        raise CuError(lib.CUDA_ERROR_INVALID_HANDLE)
    reads = *start.reads, *end.reads
    at[0] = end.recorded.elapsed_us(start.recorded) / 1000
    wait_for(reads)
