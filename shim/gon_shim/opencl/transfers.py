"""Reads, writes, copies and fills of contiguous ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from _gon_opencl import ffi
from gon.device import SETTLED, Pending, Waiting
from gon.limits import INLINE_BYTES_MAX
from gon_shim.opencl.answers import address
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.memory import Memory, memories_of
from gon_shim.opencl.queue import Make, Queue
from gon_shim.reads import Span

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles

_PATTERNS = (1, 2, 4, 8, 16, 32, 64, 128)


def host_bytes(at: CData, size: int) -> memoryview:
    """Return the program's memory as bytes, in place."""
    return memoryview(ffi.buffer(at, size))


def span_of(at: CData, size: int) -> Span:
    """Return the program's memory as a range of addresses."""
    start = address(at)
    return Span(start, start + size)


def any_memory_for(queue: Queue, handle: CData) -> Memory:
    """Return a memory object that a queue's commands may use. Raises ClError."""
    memory = Memory.of(handle)
    require(memory.scope is queue.scope, cl.CL_INVALID_CONTEXT)
    return memory


def memory_for(queue: Queue, handle: CData) -> Memory:
    """Return a buffer that a queue's commands may use. Raises ClError."""
    memory = any_memory_for(queue, handle)
    require(memory.kind == cl.CL_MEM_OBJECT_BUFFER, cl.CL_INVALID_MEM_OBJECT)
    return memory


def read(queue: Queue, memory: Memory, offset: int, out: memoryview, *, waits: bool) -> Pending:
    """Queue a read, or do it where it is waited for anyway."""
    contract = queue.stream.device.contract
    stream, buffer = queue.stream.handle, memory.buffer.handle
    if waits and out.nbytes > INLINE_BYTES_MAX and isinstance(contract, Waiting):
        contract.read_now(stream, buffer, memory.offset + offset, out)
        return SETTLED
    return contract.read(stream, buffer, memory.offset + offset, out)


def write(queue: Queue, memory: Memory, offset: int, data: memoryview) -> None:
    """Queue a write."""
    contract = queue.stream.device.contract
    contract.write(queue.stream.handle, memory.buffer.handle, memory.offset + offset, data)


@entry("clEnqueueReadBuffer")
def enqueue_read(
    handle: CData, memory_handle: CData, blocks: int, offset: int, size: int, at: CData,
    count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    memory = memory_for(queue, memory_handle)
    require(at, cl.CL_INVALID_VALUE)
    memory.check_range(offset, size)
    memory.check_host(cl.CL_MEM_HOST_WRITE_ONLY, cl.CL_MEM_HOST_NO_ACCESS)
    out, kind = host_bytes(at, size), cl.CL_COMMAND_READ_BUFFER
    now = bool(blocks) and not count and not queue.held

    def run() -> Pending:
        return read(queue, memory, offset, out, waits=now)

    queue.submit(
        kind, run, count, waits, event_at, blocks=bool(blocks), uses=(memory,),
        fills=span_of(at, size),
    )  # fmt: skip


@entry("clEnqueueWriteBuffer")
def enqueue_write(
    handle: CData, memory_handle: CData, blocks: int, offset: int, size: int, at: CData,
    count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    memory = memory_for(queue, memory_handle)
    require(at, cl.CL_INVALID_VALUE)
    memory.check_range(offset, size)
    memory.check_host(cl.CL_MEM_HOST_READ_ONLY, cl.CL_MEM_HOST_NO_ACCESS)
    data, kind = host_bytes(at, size), cl.CL_COMMAND_WRITE_BUFFER
    # The bytes are taken when the command is queued: one that is not held blocks no longer.
    held = bool(blocks) and bool(count or queue.held)
    queue.submit(
        kind, lambda: write(queue, memory, offset, data), count, waits, event_at, blocks=held,
        uses=(memory,), takes=span_of(at, size),
    )  # fmt: skip


@entry("clEnqueueCopyBuffer")
def enqueue_copy(
    handle: CData, source_handle: CData, target_handle: CData, source_offset: int,
    target_offset: int, size: int, count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    source, target = memory_for(queue, source_handle), memory_for(queue, target_handle)
    source.check_range(source_offset, size)
    target.check_range(target_offset, size)
    start, goal = source.offset + source_offset, target.offset + target_offset
    if source.buffer is target.buffer:
        require(abs(start - goal) >= size, cl.CL_MEM_COPY_OVERLAP)

    def run() -> None:
        queue.stream.device.contract.copy(
            queue.stream.handle, source.buffer.handle, start, target.buffer.handle, goal, size
        )

    queue.submit(
        cl.CL_COMMAND_COPY_BUFFER, run, count, waits, event_at, make=Make.ONE_BEHIND_ANOTHER,
        uses=(source, target),
    )  # fmt: skip


@entry("clEnqueueFillBuffer")
def enqueue_fill(
    handle: CData, memory_handle: CData, at: CData, pattern_size: int, offset: int, size: int,
    count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    memory = memory_for(queue, memory_handle)
    require(at and pattern_size in _PATTERNS, cl.CL_INVALID_VALUE)
    require(not offset % pattern_size and not size % pattern_size, cl.CL_INVALID_VALUE)
    memory.check_range(offset, size)
    pattern = bytes(ffi.buffer(at, pattern_size))

    def run() -> None:
        queue.stream.device.contract.fill(
            queue.stream.handle, memory.buffer.handle, memory.offset + offset, size, pattern
        )

    queue.submit(
        cl.CL_COMMAND_FILL_BUFFER, run, count, waits, event_at, make=Make.ONE_BEHIND_ANOTHER,
        uses=(memory,),
    )  # fmt: skip


@entry("clEnqueueMigrateMemObjects")
def enqueue_migrate(
    handle: CData, number: int, memories: Handles, flags: int, count: int, waits: Handles,
    event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    for memory in memories_of(number, memories):
        require(memory.scope is queue.scope, cl.CL_INVALID_CONTEXT)
    known = cl.CL_MIGRATE_MEM_OBJECT_HOST | cl.CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED
    require(not flags & ~known, cl.CL_INVALID_VALUE)
    kind = cl.CL_COMMAND_MIGRATE_MEM_OBJECTS
    queue.submit(kind, lambda: None, count, waits, event_at)
