"""Launches as OpenCL has them: any first thread, ends of blocks that are smaller, null pointers.

Rules: what a usual launch checks is checked here too; what only the driver knows, whether a
kernel's language has smaller blocks, it says itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gon.errors import InvalidArgument, LaunchTooLarge, Unsupported
from gon.model import Dim3, Handle, LaunchArg
from gon.ranges import ANY_BLOCK
from gon_server.devices import opencl_driver as driver
from gon_server.devices.books import Table
from gon_server.devices.opencl_kernel import BoundKernel, Freed
from gon_server.devices.opencl_memory import DeviceBuffer
from gon_server.devices.opencl_stream import Stream


class RangeLaunches:
    """`gon.ranges.Ranged` for an OpenCL device; a base of it."""

    _streams: Table[Stream]
    _kernels: Table[BoundKernel]
    _buffers: Table[DeviceBuffer]
    freed: Freed

    def launch_range(
        self,
        stream: Handle,
        kernel: Handle,
        offset: Dim3,
        total: Dim3,
        block: Dim3,
        args: Sequence[LaunchArg],
    ) -> None:
        queue, bound = self._streams[stream], self._kernels[kernel]
        if min(total) < 1 or min(offset) < 0:
            raise InvalidArgument(f"kernel {bound.name}: {total} threads from {offset} on")
        ends = [size + first for size, first in zip(total, offset, strict=True)]
        if math.prod(total) > bound.threads_max or max(ends) > bound.threads_max:
            raise LaunchTooLarge(f"kernel {bound.name}: {total} threads from {offset} on")
        local = None if block == ANY_BLOCK else block
        if bound.is_cuda_c and (
            local is None
            or any(offset)
            or any(size % part for size, part in zip(total, local, strict=True) if part)
        ):
            raise Unsupported(f"kernel {bound.name}: CUDA C has whole blocks only, from 0 on")
        if local is not None:
            bound.check_block(local)
        try:
            if bound.shared_bytes:
                bound.share(0)
            bound.bind(args, self._buffers, self.freed, nulls=True)
            queue.last = driver.enqueue_range(queue.queue, bound.kernel, total, local, offset)
        except driver.DriverError as error:
            raise driver.error_of(error, f"launching kernel {bound.name}") from error
        finally:
            if 0 in args:
                bound.args = None  # to no other launch is this a buffer
