"""Markers and barriers: commands that do nothing but wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from _gon_opencl import ffi
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.queue import Queue

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles


def _nothing() -> None: ...


_NONE = cast("Handles", ffi.NULL)


@entry("clEnqueueMarkerWithWaitList")
def enqueue_marker(handle: CData, count: int, waits: Handles, event_at: Handles) -> None:
    queue = Queue.of(handle)
    queue.submit(cl.CL_COMMAND_MARKER, _nothing, count, waits, event_at, fence=not count)


@entry("clEnqueueBarrierWithWaitList")
def enqueue_barrier(handle: CData, count: int, waits: Handles, event_at: Handles) -> None:
    queue = Queue.of(handle)
    kind = cl.CL_COMMAND_BARRIER
    queue.submit(kind, _nothing, count, waits, event_at, fence=not count, barrier=True)


@entry("clEnqueueMarker")
def enqueue_old_marker(handle: CData, event_at: Handles) -> None:
    require(event_at, cl.CL_INVALID_VALUE)
    enqueue_marker(handle, 0, _NONE, event_at)


@entry("clEnqueueBarrier")
def enqueue_old_barrier(handle: CData) -> None:
    enqueue_barrier(handle, 0, _NONE, _NONE)


@entry("clEnqueueWaitForEvents")
def enqueue_wait(handle: CData, count: int, waits: Handles) -> None:
    require(count and waits, cl.CL_INVALID_VALUE)
    enqueue_barrier(handle, count, waits, _NONE)
