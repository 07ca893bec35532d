"""The workload `app`: 200 steps of a stencil, an axpy and a reduction over a million float32; the
program reads the sum each tenth step, as one that watches for convergence does.

    t[i] = (y[i-1] + 2 y[i] + y[i+1]) / 4, edges repeated;   y[i] += a t[i];   sum = Σ y[i]
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from gon.errors import DeviceError
from gon.model import LaunchConfig
from gon_client.bench.stage import Stage
from gon_client.launch import launch

STEPS = 200
READ_EVERY = 10
ELEMENTS = 1 << 20
BLOCK = 256
SOURCE = """
__global__ void stencil(const float *y, float *t, int n) {
    // Of 64 bits, for a compiler for processors to see neighbours in y[i - 1] and y[i + 1].
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float left = y[i], right = y[i];
    if (i > 0) left = y[i - 1];
    if (i < n - 1) right = y[i + 1];
    t[i] = 0.25f * (left + 2.0f * y[i] + right);
}

__global__ void axpy(float a, const float *t, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * t[i];
}

__global__ void total(const float *y, float *sum, int n) {
    __shared__ float part[256];
    int me = threadIdx.x;
    float mine = 0.0f;
    for (int i = me; i < n; i += 256) mine += y[i];
    part[me] = mine;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if (me < half) part[me] += part[me + half];
        __syncthreads();
    }
    if (me == 0) sum[0] = part[0];
}
"""
# How each step's factor is told from the others.
FACTORS = tuple(0.001 * (1 + step % 8) for step in range(STEPS))


def start_values() -> NDArray[np.float32]:
    """Return the first y: smooth, with a step in it."""
    place = np.arange(ELEMENTS, dtype=np.float32) / np.float32(ELEMENTS)
    values: NDArray[np.float32] = np.sin(place * np.float32(20)).astype(np.float32)
    values += place > np.float32(0.5)
    return values


def expected(steps: int = STEPS) -> tuple[NDArray[np.float32], float]:
    """Return y and the sum after so many steps, by NumPy."""
    y = start_values()
    t = np.empty_like(y)
    for factor in FACTORS[:steps]:
        t[1:-1] = y[:-2] + np.float32(2) * y[1:-1] + y[2:]
        t[0] = y[0] * np.float32(3) + y[1]
        t[-1] = y[-1] * np.float32(3) + y[-2]
        y += np.float32(0.25 * factor) * t
    return y, float(y.sum(dtype=np.float64))


class App:
    """The program on one device, its kernels built and its arrays there."""

    def __init__(self, stage: Stage) -> None:
        device = stage.device
        module = device.compile(SOURCE, "cuda-c")
        self._stencil, self._axpy, self._total = map(
            module.get_kernel, ("stencil", "axpy", "total")
        )
        self._stream = stage.stream
        self._start = device.asarray(start_values())
        self._y = device.zeros(ELEMENTS, np.float32)
        self._t = device.zeros(ELEMENTS, np.float32)
        self._sum = device.zeros(1, np.float32)
        self._factors = [np.float32(factor) for factor in FACTORS]
        self._wanted: dict[int, tuple[NDArray[np.float32], float]] = {}

    def run(self, steps: int = STEPS) -> float:
        """Run so many steps from the start, a multiple of READ_EVERY; return ms."""
        stream, y, t, total = self._stream, self._y, self._t, self._sum
        grid, one = LaunchConfig(ELEMENTS // BLOCK, BLOCK), LaunchConfig(1, BLOCK)
        number = np.int32(ELEMENTS)
        out = np.zeros(1, np.float32)
        y.copy_from(self._start, stream=stream)
        stream.sync()
        start = time.perf_counter()
        for step, factor in enumerate(self._factors[:steps], 1):
            launch(stream, grid, self._stencil, y, t, number)
            launch(stream, grid, self._axpy, factor, t, y, number)
            launch(stream, one, self._total, y, total, number)
            if step % READ_EVERY == 0:
                total.get(out, stream=stream)
        taken_ms = (time.perf_counter() - start) * 1e3
        if steps not in self._wanted:
            self._wanted[steps] = expected(steps)
        wanted, wanted_total = self._wanted[steps]
        # As far as float32 goes.
        right = np.allclose(y.get(), wanted, rtol=1e-4, atol=1e-5)
        if not right or not np.isclose(out[0], wanted_total, rtol=1e-3):
            raise DeviceError("the result of app is not NumPy's")
        return taken_ms
