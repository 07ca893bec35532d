"""What `gon bench` compares posted launches with: the same launches by pyopencl's own
`kernel(queue, …)`.

Registered as `pyopencl` in the entry point group `gon.baselines`. Rules: nothing of the backend is
on the way but the choice of the device; a plain context, queue and buffers, as a program that uses
pyopencl would make them.
"""

from __future__ import annotations

import warnings

import numpy as np
import pyopencl as cl

from gon_server.devices.opencl_runtime import select


class PyopenclLaunches:
    """Launches a kernel of (float, buffer, buffer, int) on this host's default software unit."""

    def __init__(self, source: str, kernel: str, elements: int) -> None:
        unit = select("")
        context = cl.Context([unit])
        self.name = f"pyopencl on {unit.name.strip()}"
        self._queue = cl.CommandQueue(context)
        with (
            warnings.catch_warnings()
        ):  # a log that is not empty: Intel's says which kernels it made
            warnings.simplefilter("ignore", cl.CompilerWarning)
            program = cl.Program(context, source).build()
        self._kernel = cl.Kernel(program, kernel)
        host = np.ones(elements, np.float32)
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        self._x = cl.Buffer(context, flags, hostbuf=host)
        self._y = cl.Buffer(context, flags, hostbuf=host)
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


def open_baseline(source: str, kernel: str, elements: int) -> PyopenclLaunches:
    """Open the baseline; the kernel runs over one block of `elements` threads."""
    return PyopenclLaunches(source, kernel, elements)
