"""CUDA devices without a GPU: the backend over `gon.testing.fake_cupy`, with the kernels of the
conformance suite as the simulator computes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gon.testing.fake_cupy import FakeCupy
from gon.testing.fake_gpu import POINTER, FakeArg, FakeKernel, FakeVariable, Shape
from gon.testing.fake_world import FakeUnit
from gon_server.devices import cuda
from gon_server.devices.cuda_driver import Cuda, cuda_of
from gon_server.devices.cuda_trial import TRIAL_KERNEL
from gon_server.devices.sim_kernels import KERNELS, SimArg

PARAMS = {
    "saxpy": (".f32", POINTER, POINTER, ".u32"),
    "index": (POINTER, ".u32"),
    "advance": (POINTER, ".u32", ".u32"),
    "block_sum": (POINTER, POINTER),
    "scale": (POINTER, ".b8[16]"),
    "shape": (POINTER,),
    "nothing": (),
}


def _suite_kernel(name: str) -> FakeKernel:
    simulated = KERNELS[name].run

    def run(grid: Shape, block: Shape, shared_bytes: int, args: Sequence[FakeArg]) -> None:
        local: list[SimArg] = [shared_bytes] if name == "block_sum" else []
        simulated(grid, block, [*args, *local])

    return FakeKernel(name, PARAMS[name], run)


def _trial(_grid: Shape, _block: Shape, _shared: int, args: Sequence[FakeArg]) -> None:
    args[0][0] += 1  # type: ignore[index]


SUITE: Mapping[str, FakeKernel] = {
    **{name: _suite_kernel(name) for name in PARAMS},
    TRIAL_KERNEL: FakeKernel(TRIAL_KERNEL, (POINTER,), _trial),
}


def _wild(_grid: Shape, _block: Shape, _shared: int, args: Sequence[FakeArg]) -> None:
    raise IndexError(f"beyond {len(args[0])} bytes")


def _add(_grid: Shape, _block: Shape, _shared: int, args: Sequence[FakeArg]) -> None:
    assert isinstance(args[0], np.ndarray)
    args[0].view(np.uint32)[0] += 1


# More than the suite's, for tests of what the suite cannot know.
FAKE_KERNELS = {
    **SUITE,
    "wild": FakeKernel("wild", (POINTER,), _wild),
    "big": FakeKernel("big", (POINTER,), _add, max_threads=256, static_shared_bytes=8192),
    "add<int>": FakeKernel("_Z3addIiEvPT_", (POINTER,), _add),
}
VARIABLES = {"table": FakeVariable("table", bytes(range(16)))}


def bind(cupy: FakeCupy) -> Cuda:
    """Return the fake as the backend takes it."""
    return cuda_of(cupy, cupy.header_options)


def open_fake(seed: int = 0, cupy: FakeCupy | None = None, address: str = "") -> cuda.CudaDevice:
    """Open a device of a fake, which is a new one unless it is given."""
    cupy = cupy or FakeCupy([FakeUnit()], SUITE, seed=seed)
    return cuda.open_on(bind(cupy), address, cupy.world.environ)


def new_cupy(seed: int = 3) -> FakeCupy:
    return FakeCupy([FakeUnit()], FAKE_KERNELS, VARIABLES, seed=seed)
