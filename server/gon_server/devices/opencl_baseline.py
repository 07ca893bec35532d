"""What `gon bench` compares launches with: the same launches by pyopencl's own `kernel(queue, …)`,
and as many by the C calls of OpenCL in a loop without Python.

Registered as `pyopencl` and `opencl` in the entry point group `gon.baselines`. Rules: nothing of
the backend is on the way but the choice of the device and its kind of queue; a plain context and
buffers, as a program that uses pyopencl would make them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pyopencl as cl

from gon.errors import DeviceError, Unsupported
from gon.native import NATIVE
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_runtime import select

if TYPE_CHECKING or NATIVE:
    from gon_server.devices._opencl_port import enqueue_launches


class PyopenclLaunches:
    """Launches a kernel of (float, buffer, buffer, int) on this host's default software unit."""

    def __init__(self, source: str, kernel: str, elements: int) -> None:
        unit = select("")
        context = cl.Context([unit])
        self.name = f"pyopencl on {unit.name.strip()}"
        self._queue = cl.CommandQueue(context)
        self._kernel = _built(context, source, kernel)
        self._x, self._y = _ones(context, elements), _ones(context, elements)
        self._scalars = [np.float32(value) for value in range(8)]
        self._count = np.int32(elements)
        self._elements = elements

    def post(self, launches: int) -> None:
        """Launch so many times, one scalar changing, and wait for the last."""
        kernel, queue, size = self._kernel, self._queue, (self._elements,)
        x, y, count, scalars = self._x, self._y, self._count, self._scalars
        for number in range(launches):
            kernel(queue, size, size, scalars[number & 7], x, y, count)
        queue.finish()

    def close(self) -> None:
        """Wait for what is queued; Python gives the rest back."""
        self._queue.finish()


class Enqueues:
    """Launches such a kernel with arguments that stay, on a queue as the backend's own."""

    def __init__(self, source: str, kernel: str, elements: int) -> None:
        unit = select("")
        context = cl.Context([unit])
        self.name = f"OpenCL on {unit.name.strip()}"
        self._queue = driver.create_queue(context, unit)
        self._kernel = _built(context, source, kernel)
        # Held: a kernel does not keep its buffers.
        self._buffers = _ones(context, elements), _ones(context, elements)
        self._kernel.set_args(np.float32(1), *self._buffers, np.int32(elements))
        self._elements = elements

    def post(self, launches: int) -> None:
        """Launch so many times, and wait for all. Raises DeviceError."""
        queue, kernel = self._queue.int_ptr, self._kernel.int_ptr
        failed = enqueue_launches(queue, kernel, self._elements, launches)
        if failed:
            raise DeviceError(f"launching {launches} times: OpenCL says {failed}")

    def close(self) -> None:
        """Wait for what is queued; Python gives the rest back."""
        self._queue.finish()


def _built(context: cl.Context, source: str, kernel: str) -> cl.Kernel:
    # A log that is not empty: Intel's says which kernels it made.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cl.CompilerWarning)
        return cl.Kernel(cl.Program(context, source).build(), kernel)


def _ones(context: cl.Context, elements: int) -> cl.Buffer:
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    return cl.Buffer(context, flags, hostbuf=np.ones(elements, np.float32))


def open_baseline(source: str, kernel: str, elements: int) -> PyopenclLaunches:
    """Open the baseline; the kernel runs over one block of `elements` threads."""
    return PyopenclLaunches(source, kernel, elements)


def open_enqueues(source: str, kernel: str, elements: int) -> Enqueues:
    """Open the raw baseline likewise. Raises Unsupported without native modules."""
    if not NATIVE:
        raise Unsupported("a loop without Python needs native modules")
    return Enqueues(source, kernel, elements)
