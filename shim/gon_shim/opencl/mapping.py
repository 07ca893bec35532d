"""Mapped memory: bytes of this process that are read from the buffer when they are mapped, and
written to it when they are unmapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from _gon_opencl import ffi
from gon.device import Pending
from gon_shim.opencl.answers import address
from gon_shim.opencl.command import Command
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.event import Event
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.limits import MAP_ALIGNMENT_BYTES
from gon_shim.opencl.memory import Memory
from gon_shim.opencl.queue import Queue
from gon_shim.opencl.transfers import (
    any_memory_for,
    host_bytes,
    memory_for,
    read,
    span_of,
    write,
)
from gon_shim.opencl.unit import UNIT

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles


@dataclass(frozen=True, slots=True)
class Mapped:
    """A range that is mapped; `memory` keeps its bytes alive."""

    offset: int
    size: int
    at: CData
    memory: CData
    writes: bool

    def put_back(self, queue: Queue, memory: Memory) -> None:
        """Write to the memory object what the program has left here."""
        write(queue, memory, self.offset, host_bytes(self.at, self.size))


def check_map(memory: Memory, flags: int) -> tuple[bool, bool]:
    """Return whether a map need not be read, and whether it is written back. Raises ClError."""
    invalidates = bool(flags & cl.CL_MAP_WRITE_INVALIDATE_REGION)
    writes = bool(flags & (cl.CL_MAP_WRITE | cl.CL_MAP_WRITE_INVALIDATE_REGION))
    known = cl.CL_MAP_READ | cl.CL_MAP_WRITE | cl.CL_MAP_WRITE_INVALIDATE_REGION
    require(flags and not flags & ~known, cl.CL_INVALID_VALUE)
    require(not invalidates or flags == cl.CL_MAP_WRITE_INVALIDATE_REGION, cl.CL_INVALID_VALUE)
    if flags & cl.CL_MAP_READ:
        memory.check_host(cl.CL_MEM_HOST_WRITE_ONLY, cl.CL_MEM_HOST_NO_ACCESS)
    if writes:
        memory.check_host(cl.CL_MEM_HOST_READ_ONLY, cl.CL_MEM_HOST_NO_ACCESS)
    return invalidates, writes


def room_for(memory: Memory, offset: int, size: int) -> tuple[CData, CData, memoryview]:
    """Return where a range is mapped, what keeps it alive, and its bytes, which do so too: an
    answer may come after it is unmapped.
    """
    if memory.host:
        at = ffi.cast("char *", memory.host) + offset
        return at, memory.host, host_bytes(at, size)
    room = ffi.new("char[]", size + MAP_ALIGNMENT_BYTES)
    begin = -address(room) % MAP_ALIGNMENT_BYTES
    return (
        room + begin,
        room,
        memoryview(ffi.buffer(room, size + MAP_ALIGNMENT_BYTES))[begin : begin + size],
    )


@entry("clEnqueueMapBuffer")
def enqueue_map(
    handle: CData, memory_handle: CData, blocks: int, flags: int, offset: int, size: int,
    count: int, waits: Handles, event_at: Handles,
) -> CData:  # fmt: skip
    queue = Queue.of(handle)
    memory = memory_for(queue, memory_handle)
    memory.check_range(offset, size)
    require(size, cl.CL_INVALID_VALUE)
    invalidates, writes = check_map(memory, flags)
    at, room, out = room_for(memory, offset, size)
    now = bool(blocks) and not count and not queue.held

    def run() -> Pending | None:
        return None if invalidates else read(queue, memory, offset, out, waits=now)

    queue.submit(
        cl.CL_COMMAND_MAP_BUFFER, run, count, waits, event_at, blocks=bool(blocks), uses=(memory,),
        fills=None if invalidates else span_of(at, size),
    )  # fmt: skip
    mapped = Mapped(offset, size, at, room, writes)
    memory.maps.setdefault(address(at), []).append(mapped)
    return at


@entry("clEnqueueUnmapMemObject")
def enqueue_unmap(
    handle: CData, memory_handle: CData, at: CData, count: int, waits: Handles, event_at: Handles
) -> None:
    queue = Queue.of(handle)
    memory = any_memory_for(queue, memory_handle)
    found = memory.maps.get(address(at))
    if not found:
        raise ClError(cl.CL_INVALID_VALUE)
    mapped = found.pop()
    if not found:
        del memory.maps[address(at)]
    kind = cl.CL_COMMAND_UNMAP_MEM_OBJECT
    if UNIT.is_over:  # its end has ended the map, too
        if event_at:
            command = Command(queue.course)
            command.lower(cl.CL_COMPLETE)
            event_at[0] = Event(queue.scope, queue, kind, command).handle
        return

    def run() -> None:
        if mapped.writes:
            mapped.put_back(queue, memory)

    queue.submit(
        kind, run, count, waits, event_at, uses=(memory,),
        takes=span_of(mapped.at, mapped.size) if mapped.writes else None,
    )  # fmt: skip
