"""Launches: the hot path of most programs.

A launch of sizes that were launched before, with arguments that were not set since, looks both up.
Whole blocks from 0 on, as most launches have, go as every program's of GoN; others as OpenCL's own.
What was launched just so before does not come here (`again`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from _gon_opencl import ffi
from gon.model import Dim3, LaunchArg
from gon.ranges import ANY_BLOCK, Ranged
from gon_shim.opencl.again import AGAIN
from gon_shim.opencl.answers import numbers_of
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.kernel import Kernel, Range
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.limits import BLOCK_CHOSEN_MAX, BLOCK_CHOSEN_MIN, RANGES_CACHED_MAX
from gon_shim.opencl.queue import Make, Queue

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers

_buffer: Final = ffi.buffer
_ONE: Final = cast("Numbers", ffi.new("size_t[]", [1]))
_NOWHERE: Final = cast("Numbers", ffi.NULL)
_NOTHING: Final = Range((0, 0, 0), (0, 0, 0))
_ORIGIN: Final = (0, 0, 0)


@entry("clEnqueueNDRangeKernel")
def enqueue_kernel(
    queue_handle: CData, kernel_handle: CData, dimensions: int, offset: Numbers, total: Numbers,
    block: Numbers, count: int, waits: Handles, event_at: Handles,
    kind: int = cl.CL_COMMAND_NDRANGE_KERNEL,
) -> None:  # fmt: skip
    queue, kernel = Queue.of(queue_handle), Kernel.of(kernel_handle)
    require(kernel.program.scope is queue.scope, cl.CL_INVALID_CONTEXT)
    if not 1 <= dimensions <= 3:
        raise ClError(cl.CL_INVALID_WORK_DIMENSION)
    size = 8 * dimensions
    key = (
        _buffer(total, size)[:] if total else b"",
        _buffer(block, size)[:] if block else b"",
        _buffer(offset, size)[:] if offset else b"",
    )
    shape = kernel.ranges.get(key)
    if shape is None:
        shape = kernel.ranges[key] = _checked(kernel, dimensions, offset, total, block)
    args = kernel.ready
    if args is None:
        args = kernel.taken()
    if event_at or count or queue.held:
        queue.submit(
            kind, lambda: _launch(queue, kernel, shape, args),
            count, waits, event_at, make=Make.SEVERAL if shape is _NOTHING else Make.ONE,
            uses=(kernel, *kernel.memories.values()),
        )  # fmt: skip
    else:
        _launch(queue, kernel, shape, args)
    if shape.offset is None and shape is not _NOTHING and not count and not kernel.has_null:
        AGAIN.note(queue, kernel, shape)


def _launch(queue: Queue, kernel: Kernel, shape: Range, args: tuple[LaunchArg, ...]) -> None:
    function, stream = kernel.function, queue.stream
    if shape is _NOTHING:
        return
    if shape.offset is None and 0 not in args:
        function.device.contract.launch(
            stream.handle, function.handle, shape.size, shape.block, 0, args
        )
        return
    contract = stream.device.contract
    if not isinstance(contract, Ranged):
        raise ClError(cl.CL_INVALID_OPERATION)
    total, offset = shape.size, shape.offset
    if offset is None:
        offset = _ORIGIN
        total = _three([size * part for size, part in zip(shape.size, shape.block, strict=True)])
    contract.launch_range(stream.handle, function.handle, offset, total, shape.block, args)


def _checked(
    kernel: Kernel, dimensions: int, offset_at: Numbers, total_at: Numbers, block_at: Numbers
) -> Range:
    """Return the threads of a launch. Raises ClError."""
    one = kernel.program.scope.device
    if len(kernel.ranges) >= RANGES_CACHED_MAX:
        kernel.ranges.clear()
    total = _three(numbers_of(total_at, dimensions)) if total_at else _ORIGIN
    if not all(total):  # as a marker that waits for nothing but its wait list
        return _NOTHING
    padded = (*numbers_of(offset_at, dimensions), 0, 0) if offset_at else _ORIGIN
    offset = (padded[0], padded[1], padded[2])
    fits = all(first + size < 1 << 63 for first, size in zip(offset, total, strict=True))
    require(fits, cl.CL_INVALID_GLOBAL_OFFSET)
    block = kernel.info.required_block
    if block_at:
        given = _three(numbers_of(block_at, dimensions))
        require(block in (None, given), cl.CL_INVALID_WORK_GROUP_SIZE)
        block = given
    if block is None:
        block = chosen(total, min(kernel.info.max_block, BLOCK_CHOSEN_MAX))
        if block == ANY_BLOCK:
            return Range(total, ANY_BLOCK, offset)
    require(all(block), cl.CL_INVALID_WORK_GROUP_SIZE)
    most = one.leased.info.max_block_dims
    fits = all(size <= limit for size, limit in zip(block, most, strict=True))
    require(fits, cl.CL_INVALID_WORK_ITEM_SIZE)
    require(math.prod(block) <= kernel.info.max_block, cl.CL_INVALID_WORK_GROUP_SIZE)
    is_whole = all(size % part == 0 for size, part in zip(total, block, strict=True))
    if is_whole and not any(offset):
        grid = (total[0] // block[0], total[1] // block[1], total[2] // block[2])
        require(max(grid) < 1 << 32, cl.CL_INVALID_GLOBAL_WORK_SIZE)
        return Range(grid, block)
    ends = one.number(cl.CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT) and kernel.program.is_recent
    require(is_whole or ends, cl.CL_INVALID_WORK_GROUP_SIZE)
    return Range(total, block, offset)


def _three(sizes: Sequence[int]) -> Dim3:
    padded = (*sizes, 1, 1)
    return padded[0], padded[1], padded[2]


def chosen(total: Dim3, most: int) -> Dim3:
    """Return a block for sizes that a program leaves to us: the largest that divides them, the
    first dimension first; ANY_BLOCK where that is too small for many threads.
    """
    first = _divisor(total[0], most)
    second = _divisor(total[1], most // first)
    block = (first, second, _divisor(total[2], most // (first * second)))
    least = min(math.prod(total), BLOCK_CHOSEN_MIN, most)
    return block if math.prod(block) >= least else ANY_BLOCK


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of `number` that is at most `most`."""
    return next(size for size in range(min(number, most), 0, -1) if number % size == 0)


@entry("clEnqueueTask")
def enqueue_task(
    queue: CData, kernel: CData, count: int, waits: Handles, event_at: Handles
) -> None:
    kind = cl.CL_COMMAND_TASK
    enqueue_kernel(queue, kernel, 1, _NOWHERE, _ONE, _ONE, count, waits, event_at, kind)


@entry("clEnqueueNativeKernel")
def enqueue_native(queue: CData, _function: Callable[..., object], *_given: object) -> None:
    Queue.of(queue)
    raise ClError(cl.CL_INVALID_OPERATION)
