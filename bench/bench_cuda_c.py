"""What CUDA C costs on a unit that is no CUDA GPU: python bench/bench_cuda_c.py

- translation of a source of 300 lines, made of kernels of the collection in tests/kernels;
- a tiled matrix product from CUDA C beside the same kernel written by hand in OpenCL C, both on the
  software-defined unit of this process, in turns A B A B, as a ratio of medians.

Everything is warmed up first. Quote the ratio, not the times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import gon
from gon.model import Program
from gon_client.commands.output import FILE_WIDTH
from gon_server.cuda_c.target import Dialect, Target
from gon_server.cuda_c.translate import translate

KERNELS = Path(__file__).parents[1] / "tests" / "kernels"
# Together 300 lines and a little more, and no name twice.
SOURCES = ("image_filters.cu", "histogram.cu", "fft.cu")
LINES = 300
TRANSLATIONS = 40
ROUNDS = 9
SIZE = 1024
TILE = 16

CUDA_C = f"""
#define TILE {TILE}
__global__ void matmul(const float *a, const float *b, float *c, int n)
{{
    __shared__ float left[TILE][TILE];
    __shared__ float right[TILE][TILE];
    int x = threadIdx.x, y = threadIdx.y;
    int row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    float sum = 0.0f;
    for (int t = 0; t < n / TILE; t++) {{
        left[y][x] = a[row * n + t * TILE + x];
        right[y][x] = b[(t * TILE + y) * n + column];
        __syncthreads();
        for (int k = 0; k < TILE; k++)
            sum += left[y][k] * right[k][x];
        __syncthreads();
    }}
    c[row * n + column] = sum;
}}
"""
OPENCL_C = f"""
#define TILE {TILE}
kernel void matmul(global const float *a, global const float *b, global float *c, int n)
{{
    local float left[TILE][TILE];
    local float right[TILE][TILE];
    int x = get_local_id(0), y = get_local_id(1);
    int row = get_group_id(1) * TILE + y, column = get_group_id(0) * TILE + x;
    float sum = 0.0f;
    for (int t = 0; t < n / TILE; t++) {{
        left[y][x] = a[row * n + t * TILE + x];
        right[y][x] = b[(t * TILE + y) * n + column];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < TILE; k++)
            sum += left[y][k] * right[k][x];
        barrier(CLK_LOCAL_MEM_FENCE);
    }}
    c[row * n + column] = sum;
}}
"""


def elapsed_ms(call: Callable[[], object]) -> float:
    start_s = perf_counter()
    call()
    return 1000 * (perf_counter() - start_s)


def translation_ms() -> tuple[int, list[float]]:
    """Return the source's lines and the times of its translations, the first one apart."""
    lines = "\n".join((KERNELS / name).read_text() for name in SOURCES).splitlines()
    assert len(lines) >= LINES, f"{len(lines)} lines are too few"
    program = Program("\n".join(lines).encode(), "cuda-c")
    target = Target(Dialect.CPP, fp16=True, fp64=True, int64_atomics=True, subgroup_sizes=(32,))
    translate(program, target)
    times = [elapsed_ms(lambda: translate(program, target)) for _ in range(TRANSLATIONS)]
    return len(lines), times


class Product:
    """One matrix product of SIZE² floats, from one of the sources."""

    def __init__(self, device: gon.Device, source: str, code_format: str) -> None:
        random = np.random.default_rng(7)
        self._host = [random.random((SIZE, SIZE), dtype=np.float32) for _ in range(2)]
        self._inputs = [device.asarray(matrix) for matrix in self._host]
        self._out = device.zeros((SIZE, SIZE))
        self._kernel = device.compile(source, code_format).get_kernel("matmul")
        self._stream = device.create_stream()
        self._config = gon.LaunchConfig((SIZE // TILE, SIZE // TILE), (TILE, TILE))

    def run(self) -> None:
        left, right = self._inputs
        args = (left, right, self._out, SIZE)
        gon.launch(self._stream, self._config, self._kernel, *args)
        self._stream.sync()

    def check(self) -> None:
        wanted = self._host[0] @ self._host[1]
        found = self._out.get().astype(np.float32)
        assert np.allclose(found, wanted, rtol=1e-4)


def main() -> None:
    """Measure and print."""
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    lines, translations = translation_ms()
    with gon.local() as device:
        products = {
            "cuda-c": Product(device, CUDA_C, "cuda-c"),
            "opencl-c": Product(device, OPENCL_C, "opencl-c"),
        }
        for product in products.values():
            product.run()
            product.check()
        times: dict[str, list[float]] = {name: [] for name in products}
        for _ in track(range(ROUNDS), "matrix products", console=console):
            for name, product in products.items():
                times[name].append(elapsed_ms(product.run))
    table = Table(title=f"CUDA C, medians of {TRANSLATIONS} and {ROUNDS}", title_justify="left")
    for column in ("what", "asked", "median", "least", "most"):
        table.add_column(column, justify="left" if column == "what" else "right")
    _row(table, f"translation of {lines} lines, ms", "≤ 30", translations)
    for name, some in times.items():
        _row(table, f"matmul {SIZE}² from {name}, ms", "", some)
    pairs = zip(times["opencl-c"], times["cuda-c"], strict=True)
    _row(table, "speed of cuda-c by opencl-c", "≥ 0.9", [hand / cuda for hand, cuda in pairs])
    console.print(table)


def _row(table: Table, what: str, asked: str, values: list[float]) -> None:
    table.add_row(what, asked, *(f"{value:.2f}" for value in (median(values), *_ends(values))))


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


if __name__ == "__main__":
    main()
