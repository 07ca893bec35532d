"""Launches: the hot path of most programs.

A launch of sizes that were launched before, with arguments that were not set since, looks both up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from _gon_opencl import ffi

from gon.model import Dim3
from gon_shim.opencl.answers import numbers_of
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.kernel import Kernel
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.limits import BLOCK_CHOSEN_MAX, RANGES_CACHED_MAX
from gon_shim.opencl.queue import Queue

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers

_buffer: Final = ffi.buffer
_ONE: Final = cast("Numbers", ffi.new("size_t[]", [1]))
_NOWHERE: Final = cast("Numbers", ffi.NULL)


@entry("clEnqueueNDRangeKernel")
def enqueue_kernel(
    queue_handle: CData, kernel_handle: CData, dimensions: int, offset: Numbers, total: Numbers,
    block: Numbers, count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue, kernel = Queue.of(queue_handle), Kernel.of(kernel_handle)
    if not 1 <= dimensions <= 3:
        raise ClError(cl.CL_INVALID_WORK_DIMENSION)
    if not total:
        raise ClError(cl.CL_INVALID_GLOBAL_WORK_SIZE)
    size = 8 * dimensions
    key = (_buffer(total, size)[:], _buffer(block, size)[:] if block else b"")
    shape = kernel.ranges.get(key) or _checked(kernel, dimensions, total, block, key)
    if offset and any(numbers_of(offset, dimensions)):
        raise ClError(cl.CL_INVALID_GLOBAL_OFFSET)
    args = kernel.ready
    if args is None:
        args = kernel.taken()
    stream = queue.stream
    if event_at or count or queue.held or queue.measures:
        launch = stream.device.contract.launch
        memories = [*kernel.memories.values()]

        def run() -> None:
            assert memories is not None  # they live as long as this may be called
            launch(stream.handle, kernel.function.handle, shape[0], shape[1], 0, args)

        queue.submit(cl.CL_COMMAND_NDRANGE_KERNEL, run, count, waits, event_at)
        return
    kernel.function.queue(
        stream.handle, kernel.function.handle, shape[0], shape[1], 0, args
    )


def _checked(
    kernel: Kernel, dimensions: int, total_at: Numbers, block_at: Numbers, key: tuple[bytes, bytes]
) -> tuple[Dim3, Dim3]:
    """Return grid and block of a launch, and remember them. Raises ClError."""
    device = kernel.program.scope.device.leased.info
    total = _three(numbers_of(total_at, dimensions))
    require(all(total), cl.CL_INVALID_GLOBAL_WORK_SIZE)
    required = kernel.info.required_block
    if block_at:
        block = _three(numbers_of(block_at, dimensions))
        require(required in (None, block), cl.CL_INVALID_WORK_GROUP_SIZE)
    else:
        block = required or chosen(total, min(kernel.info.max_block, BLOCK_CHOSEN_MAX))
    require(all(block), cl.CL_INVALID_WORK_GROUP_SIZE)
    fits = all(size <= most for size, most in zip(block, device.max_block_dims, strict=True))
    require(fits, cl.CL_INVALID_WORK_ITEM_SIZE)
    require(math.prod(block) <= kernel.info.max_block, cl.CL_INVALID_WORK_GROUP_SIZE)
    whole = all(size % part == 0 for size, part in zip(total, block, strict=True))
    require(whole, cl.CL_INVALID_WORK_GROUP_SIZE)
    grid = (total[0] // block[0], total[1] // block[1], total[2] // block[2])
    require(max(grid) < 1 << 32, cl.CL_INVALID_GLOBAL_WORK_SIZE)
    if len(kernel.ranges) >= RANGES_CACHED_MAX:
        kernel.ranges.clear()
    kernel.ranges[key] = (grid, block)
    return grid, block


def _three(sizes: Sequence[int]) -> Dim3:
    padded = (*sizes, 1, 1)
    return padded[0], padded[1], padded[2]


def chosen(total: Dim3, most: int) -> Dim3:
    """Return a block for sizes that a program leaves to us: the largest that divides them, the
    first dimension first.
    """
    first = _divisor(total[0], most)
    second = _divisor(total[1], most // first)
    return first, second, _divisor(total[2], most // (first * second))


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of `number` that is at most `most`."""
    return next(size for size in range(min(number, most), 0, -1) if number % size == 0)


@entry("clEnqueueTask")
def enqueue_task(
    queue: CData, kernel: CData, count: int, waits: Handles, event_at: Handles
) -> None:
    enqueue_kernel(queue, kernel, 1, _NOWHERE, _ONE, _ONE, count, waits, event_at)


@entry("clEnqueueNativeKernel")
def enqueue_native(
    queue: CData, _function: Callable[..., object], *_given: object
) -> None:
    Queue.of(queue)
    raise ClError(cl.CL_INVALID_OPERATION)
