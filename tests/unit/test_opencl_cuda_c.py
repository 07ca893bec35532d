"""CUDA C on an OpenCL device: module variables, shared memory, warps, what another device built."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest

import gon
from gon.model import DEFAULT_STREAM, Handle, Program
from gon_server.devices.opencl import OpenClDevice, open_device
from tests.kernels.case import Feature
from tests.kernels.devices import direct, named_device, without_cpp

TEXT = """
__constant__ float scale = 2;
__device__ int calls[4] = {1, 2};
extern "C" __global__ void run(float *x, int n) {
    extern __shared__ float tile[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = i < n ? x[i] : 0;
    __syncthreads();
    if (i < n) x[i] = tile[threadIdx.x] * scale;
    if (i == 0) atomicAdd(&calls[3], 1);
}
"""


def ints(buffer: gon.Buffer) -> list[int]:
    out = np.empty(4, np.int32)
    buffer.copy_to(out)
    return [int(number) for number in out]


@pytest.fixture(scope="module", params=[direct, without_cpp])
def unit(
    request: pytest.FixtureRequest,
) -> Generator[tuple[gon.Device, frozenset[Feature]]]:
    with request.param(named_device()) as opened:
        yield opened


def test_the_host_reads_and_writes_module_variables(
    unit: tuple[gon.Device, frozenset[Feature]],
) -> None:
    device, _has = unit
    module = device.compile(TEXT, "cuda-c")
    x = device.asarray(np.ones(100, np.float32))
    kernel = module.get_kernel("run")
    shape = gon.LaunchConfig(2, 64, shared_bytes=256)
    gon.launch(device.default_stream, shape, kernel, x, 100)
    assert set(x.get()) == {2.0}
    module.get_global("scale").copy_from(np.full(1, 5, np.float32))
    gon.launch(device.default_stream, shape, kernel, x, 100)
    assert set(x.get()) == {10.0}
    assert ints(module.get_global("calls")) == [1, 2, 0, 2]
    with pytest.raises(gon.InvalidArgument, match="scale, calls"):
        module.get_global("other")


def test_variables_outlive_what_names_them(unit: tuple[gon.Device, frozenset[Feature]]) -> None:
    device, _has = unit
    module = device.compile(TEXT, "cuda-c")
    variable = module.get_global("calls")
    del module
    device.zeros(1)  # gives back what was forgotten
    assert ints(variable) == [1, 2, 0, 0]


def test_each_module_has_variables_of_its_own(
    unit: tuple[gon.Device, frozenset[Feature]],
) -> None:
    device, _has = unit
    first, second = device.compile(TEXT, "cuda-c"), device.compile(TEXT, "cuda-c")
    first.get_global("calls").copy_from(np.full(4, 7, np.int32))
    assert ints(first.get_global("calls")) == [7] * 4
    assert ints(second.get_global("calls")) == [1, 2, 0, 0]


def test_the_module_shows_its_translation(unit: tuple[gon.Device, frozenset[Feature]]) -> None:
    device, _has = unit
    source = device.compile(TEXT, "cuda-c").source
    assert '#line 1 "program.cu"' in source
    assert "kernel void run(" in " ".join(source.split())


def test_dynamic_shared_memory_beyond_the_device_is_refused(
    unit: tuple[gon.Device, frozenset[Feature]],
) -> None:
    device, _has = unit
    kernel = device.compile(TEXT, "cuda-c").get_kernel("run")
    x = device.zeros(64)
    shape = gon.LaunchConfig(1, 64, shared_bytes=device.info.local_bytes + 1)
    with pytest.raises(gon.LaunchTooLarge, match="local memory"):
        gon.launch(device.default_stream, shape, kernel, x, 64)


def test_launch_bounds_hold(unit: tuple[gon.Device, frozenset[Feature]]) -> None:
    device, _has = unit
    text = "__global__ void __launch_bounds__(32) k(int *x) { x[0] = 1; }"
    kernel = device.compile(text, "cuda-c").get_kernel("k")
    with pytest.raises(gon.LaunchTooLarge, match="at most 32"):
        gon.launch(
            device.default_stream, gon.LaunchConfig(1, 33), kernel, device.zeros(1, np.int32)
        )


def test_wrong_arguments_raise_at_the_call(unit: tuple[gon.Device, frozenset[Feature]]) -> None:
    device, _has = unit
    kernel = device.compile(TEXT, "cuda-c").get_kernel("run")
    shape = gon.LaunchConfig(1, 64, shared_bytes=256)
    with pytest.raises(gon.KernelArgumentError, match="kernel run, parameter 'x'"):
        gon.launch(device.default_stream, shape, kernel, device.zeros(4, np.int32), 4)
    with pytest.raises(gon.KernelArgumentError, match="takes 2 arguments"):
        gon.launch(device.default_stream, shape, kernel, device.zeros(4))


def test_blocks_whose_warps_would_not_be_cudas_are_refused(
    unit: tuple[gon.Device, frozenset[Feature]],
) -> None:
    device, has = unit
    text = "__global__ void k(int *x) { x[0] = __shfl_sync(0xffffffffu, (int)threadIdx.x, 1); }"
    if Feature.SUBGROUPS not in has:
        with pytest.raises(gon.Unsupported, match=r"program\.cu:1: __shfl_sync"):
            device.compile(text, "cuda-c")
        return
    kernel = device.compile(text, "cuda-c").get_kernel("k")
    x = device.zeros(1, np.int32)
    for block in ((64,), (48,), (32, 4), (64, 2)):
        gon.launch(device.default_stream, gon.LaunchConfig(1, block), kernel, x)
    with pytest.raises(gon.LaunchTooLarge, match="uses warps"):
        gon.launch(device.default_stream, gon.LaunchConfig(1, (16, 16)), kernel, x)


def test_what_one_device_built_another_loads() -> None:
    address = named_device().removeprefix("opencl:")
    builder, loader = open_device(address), open_device(address)
    built = builder.build(Program(TEXT.encode(), "cuda-c"))
    module, kernel, x, calls = Handle(1), Handle(2), Handle(3), Handle(4)
    info = loader.load_built(module, built)
    assert [variable.name for variable in info.globals] == ["scale", "calls"]
    loader.get_kernel(kernel, module, "run")
    loader.get_global(calls, module, "calls")
    loader.allocate(x, 16)
    loader.write(DEFAULT_STREAM, x, 0, memoryview(np.ones(4, np.float32).tobytes()))
    four = np.int32(4).tobytes()
    loader.launch(DEFAULT_STREAM, kernel, (1, 1, 1), (4, 1, 1), 16, (int(x), four))
    assert read(loader, x, np.float32) == [2, 2, 2, 2]
    assert read(loader, calls, np.int32) == [1, 2, 0, 1]
    loader.free(calls)
    for device in (builder, loader):
        device.close()


def read(device: OpenClDevice, buffer: Handle, dtype: type[np.float32 | np.int32]) -> list[float]:
    out = bytearray(16)
    device.read(DEFAULT_STREAM, buffer, 0, memoryview(out)).wait()
    return [float(number) for number in np.frombuffer(out, dtype)]
