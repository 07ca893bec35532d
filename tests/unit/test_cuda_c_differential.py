"""Programs drawn at random give on a unit what the host's C++ compiler makes of the same text: the
integers of CUDA C are the host's.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gon.model import Program
from gon_server.cuda_c.target import Dialect
from gon_server.cuda_c.translate import translate
from tests.unit.c_programs import HEAD, function_of
from tests.unit.cuda_unit import CudaUnit

SEEDS = range(20)
ROWS = 64
COMPILER = shutil.which("g++") or shutil.which("c++") or ""
FUNCTIONS = HEAD + "".join(function_of(seed) for seed in SEEDS)
KERNEL = (
    "__global__ void all(const unsigned *a, const unsigned *b, unsigned long long *out) {\n"
    "    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    + "".join(
        f"    out[i * {len(SEEDS)} + {place}] = f{seed}(a[i], b[i]);\n"
        for place, seed in enumerate(SEEDS)
    )
    + "}\n"
)
HOST = """#define __device__ static
#define __global__ extern "C"
static struct { unsigned x; } threadIdx, blockIdx, blockDim;
"""
RUN = (
    'extern "C" void run(const unsigned *a, const unsigned *b, unsigned long long *out) {\n'
    f"    for (unsigned i = 0; i < {ROWS}; i++) {{ threadIdx.x = i; all(a, b, out); }}\n}}\n"
)

Words = npt.NDArray[np.uint32]


@pytest.fixture(scope="module")
def inputs() -> tuple[Words, Words]:
    rng = np.random.default_rng(7)
    a, b = rng.integers(0, 1 << 32, (2, ROWS), np.uint32)
    a[:8] = [0, 1, 2, 3, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 255]
    return a, b


@pytest.fixture(scope="module")
def expected(
    inputs: tuple[Words, Words], tmp_path_factory: pytest.TempPathFactory
) -> npt.NDArray[np.uint64]:
    if not COMPILER:
        pytest.skip("there is no C++ compiler")
    folder: Path = tmp_path_factory.mktemp("host")
    source, library = folder / "host.cc", folder / "host.so"
    source.write_text(HOST + FUNCTIONS + KERNEL + RUN)
    options = ["-std=c++17", "-O0", "-ffp-contract=off", "-w", "-shared", "-fPIC"]
    subprocess.run([COMPILER, *options, str(source), "-o", str(library)], check=True)
    out = np.zeros((ROWS, len(SEEDS)), np.uint64)
    addresses = [ctypes.c_void_p(array.ctypes.data) for array in (*inputs, out)]
    ctypes.CDLL(str(library)).run(*addresses)
    return out


@pytest.mark.parametrize("dialect", Dialect, ids=lambda dialect: dialect.name)
def test_programs_give_what_the_hosts_compiler_makes_of_them(
    dialect: Dialect, inputs: tuple[Words, Words], expected: npt.NDArray[np.uint64]
) -> None:
    unit = CudaUnit(dialect)
    program = Program((FUNCTIONS + KERNEL).encode(), "cuda-c", "-fmad=false")
    translation = translate(program, unit.target)
    built = unit.build_text(translation.text)
    out = np.zeros_like(expected)
    symbol = translation.kernels[0].symbol
    got = unit.launch(built, symbol, [*inputs, out], (ROWS,), (32,))[-1]
    wrong = sorted({SEEDS[column] for column in np.nonzero(got != expected)[1]})
    assert not wrong, f"programs of seeds {wrong}: {function_of(wrong[0])}"
