"""Rectangles: ranges with pitches, row by row, whole slices or all at once where rows touch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gon.device import Pending
from gon.together import Together
from gon_shim.opencl.answers import numbers_of
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.queue import Queue
from gon_shim.opencl.transfers import host_bytes, memory_for, read, span_of, write

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a region lie on one side: where the first begins, and the pitches."""

    start: int
    row: int
    slice: int

    def end(self, region: Sequence[int]) -> int:
        """Return where the last row ends."""
        width, height, depth = region
        return self.start + (depth - 1) * self.slice + (height - 1) * self.row + width


def region_of(at: CData) -> tuple[int, ...]:
    """Return a region's width, height and depth. Raises ClError."""
    require(at, cl.CL_INVALID_VALUE)
    region = numbers_of(at, 3)
    require(all(region), cl.CL_INVALID_VALUE)
    return region


def layout_of(origin_at: CData, region: Sequence[int], row: int, slice_: int) -> Layout:
    """Return a layout; pitches of 0 are those of rows that touch. Raises ClError."""
    require(origin_at, cl.CL_INVALID_VALUE)
    width, height, _depth = region
    row = row or width
    slice_ = slice_ or height * row
    require(row >= width and slice_ >= height * row and slice_ % row == 0, cl.CL_INVALID_VALUE)
    x, y, z = numbers_of(origin_at, 3)
    return Layout(x + y * row + z * slice_, row, slice_)


def pieces(one: Layout, other: Layout, region: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield where each piece begins on both sides, and its size: what touches on both is one."""
    width, height, depth = region
    if one.row == other.row == width:
        width, height = width * height, 1
        if one.slice == other.slice == width:
            width, depth = width * depth, 1
    for z in range(depth):
        for y in range(height):
            first = one.start + z * one.slice + y * one.row
            yield first, other.start + z * other.slice + y * other.row, width


@entry("clEnqueueReadBufferRect")
def enqueue_read_rect(
    handle: CData, memory_handle: CData, blocks: int, origin: Numbers, host_origin: Numbers,
    region_at: Numbers, row: int, slice_: int, host_row: int, host_slice: int, at: CData,
    count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    memory = memory_for(queue, memory_handle)
    require(at, cl.CL_INVALID_VALUE)
    region = region_of(region_at)
    there = layout_of(origin, region, row, slice_)
    here = layout_of(host_origin, region, host_row, host_slice)
    require(there.end(region) <= memory.size, cl.CL_INVALID_VALUE)
    memory.check_host(cl.CL_MEM_HOST_WRITE_ONLY, cl.CL_MEM_HOST_NO_ACCESS)
    out = host_bytes(at, here.end(region))

    def run() -> Pending:
        reads = [
            read(queue, memory, first, out[second : second + size], waits=False)
            for first, second, size in pieces(there, here, region)
        ]
        return Together(reads)

    queue.submit(
        cl.CL_COMMAND_READ_BUFFER_RECT, run, count, waits, event_at, blocks=bool(blocks),
        uses=(memory,), fills=span_of(at, here.end(region)),
    )  # fmt: skip


@entry("clEnqueueWriteBufferRect")
def enqueue_write_rect(
    handle: CData, memory_handle: CData, blocks: int, origin: Numbers, host_origin: Numbers,
    region_at: Numbers, row: int, slice_: int, host_row: int, host_slice: int, at: CData,
    count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    memory = memory_for(queue, memory_handle)
    require(at, cl.CL_INVALID_VALUE)
    region = region_of(region_at)
    there = layout_of(origin, region, row, slice_)
    here = layout_of(host_origin, region, host_row, host_slice)
    require(there.end(region) <= memory.size, cl.CL_INVALID_VALUE)
    memory.check_host(cl.CL_MEM_HOST_READ_ONLY, cl.CL_MEM_HOST_NO_ACCESS)
    data = host_bytes(at, here.end(region))

    def run() -> None:
        for first, second, size in pieces(there, here, region):
            write(queue, memory, first, data[second : second + size])

    held = bool(blocks) and bool(count or queue.held)
    queue.submit(
        cl.CL_COMMAND_WRITE_BUFFER_RECT, run, count, waits, event_at, blocks=held,
        uses=(memory,), takes=span_of(at, here.end(region)),
    )  # fmt: skip


@entry("clEnqueueCopyBufferRect")
def enqueue_copy_rect(
    handle: CData, source_handle: CData, target_handle: CData, source_origin: Numbers,
    target_origin: Numbers, region_at: Numbers, source_row: int, source_slice: int,
    target_row: int, target_slice: int, count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    source, target = memory_for(queue, source_handle), memory_for(queue, target_handle)
    region = region_of(region_at)
    start = layout_of(source_origin, region, source_row, source_slice)
    goal = layout_of(target_origin, region, target_row, target_slice)
    require(start.end(region) <= source.size, cl.CL_INVALID_VALUE)
    require(goal.end(region) <= target.size, cl.CL_INVALID_VALUE)
    made = [
        (source.offset + first, target.offset + second, size)
        for first, second, size in pieces(start, goal, region)
    ]
    if source.buffer is target.buffer:
        _check_apart(made)

    def run() -> None:
        contract, stream = queue.stream.device.contract, queue.stream.handle
        origin, end = source.buffer.handle, target.buffer.handle
        for first, second, size in made:
            contract.copy(stream, origin, first, end, second, size)

    kind = cl.CL_COMMAND_COPY_BUFFER_RECT
    queue.submit(kind, run, count, waits, event_at, uses=(source, target))


def _check_apart(made: Sequence[tuple[int, int, int]]) -> None:
    """Raise ClError if a byte is both read and written."""
    spans = sorted(
        [(first, first + size, 0) for first, _, size in made]
        + [(second, second + size, 1) for _, second, size in made]
    )
    reach = [-1, -1]
    for start, end, side in spans:
        if start < reach[1 - side]:
            raise ClError(cl.CL_MEM_COPY_OVERLAP)
        reach[side] = max(reach[side], end)
