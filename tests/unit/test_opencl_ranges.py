"""Launches as OpenCL has them, on a software-defined unit in this process."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import gon
from gon.errors import GonError, InvalidArgument, LaunchTooLarge, Unsupported
from gon.model import DEFAULT_STREAM, Dim3, Handle
from gon.ranges import ANY_BLOCK, Ranged
from gon_client.module import Kernel

SOURCE = """
kernel void mark(global int *x, global int *other) {
    x[get_global_id(0)] = other == 0 ? get_local_size(0) : -1;
}
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with gon.local("opencl:") as device:
        yield device.compile(SOURCE, options="-cl-std=CL2.0").get_kernel("mark")


def launched(kernel: Kernel, offset: int, total: Dim3, block: Dim3, other: int = 0) -> list[int]:
    """Return what 16 numbers are afterwards."""
    device = kernel.device
    x = device.zeros(16, np.int32)
    assert isinstance(device.contract, Ranged)
    args = (x.buffer.handle, other)
    start = (offset, 0, 0)
    device.contract.launch_range(DEFAULT_STREAM, kernel.handle, start, total, block, args)
    device.sync()
    return x.get().tolist()


def test_threads_begin_anywhere_and_end_anywhere(kernel: Kernel) -> None:
    assert launched(kernel, 3, (10, 1, 1), (4, 1, 1)) == [0] * 3 + [4] * 8 + [2] * 2 + [0] * 3
    ends = launched(kernel, 0, (13, 1, 1), ANY_BLOCK)
    assert all(ends[:13])
    assert not any(ends[13:])


def test_a_null_pointer_is_one_for_this_launch_only(kernel: Kernel) -> None:
    assert launched(kernel, 0, (1, 1, 1), ANY_BLOCK)[0] == 1
    x = kernel.device.zeros(16, np.int32)
    args = (x.buffer.handle, 0)
    whole = (DEFAULT_STREAM, kernel.handle, (1, 1, 1), (1, 1, 1), 0)
    with pytest.raises(GonError):
        kernel.device.contract.launch(*whole, args)
    assert launched(kernel, 0, (1, 1, 1), ANY_BLOCK, x.buffer.handle)[0] == -1


def test_cuda_c_has_whole_blocks_from_0_on_and_may_be_given_null(kernel: Kernel) -> None:
    source = """extern "C" __global__ void mark(int *x, int *other) {
        unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
        x[i + 0u] = other ? other[i + 0u] : 1;
    }"""
    translated = kernel.device.compile(source, "cuda-c").get_kernel("mark")
    assert launched(translated, 0, (8, 1, 1), (4, 1, 1)) == [1] * 8 + [0] * 8
    for offset, total, block in ((0, (7, 1, 1), (4, 1, 1)), (4, (8, 1, 1), (4, 1, 1))):
        with pytest.raises(Unsupported):
            launched(translated, offset, total, block)
    with pytest.raises(Unsupported):
        launched(translated, 0, (8, 1, 1), ANY_BLOCK)


@pytest.mark.parametrize(
    ("offset", "total", "block", "error"),
    [
        (0, (0, 1, 1), ANY_BLOCK, InvalidArgument),
        (0, (1, 1, 1), (1, 0, 1), InvalidArgument),
        (0, (1 << 20, 1, 1), (1 << 20, 1, 1), LaunchTooLarge),
        ((1 << 63) - 1, (1, 1, 1), ANY_BLOCK, LaunchTooLarge),
        (0, (1 << 40, 1 << 40, 1), ANY_BLOCK, LaunchTooLarge),
    ],
)
def test_what_no_launch_can_be(
    kernel: Kernel, offset: int, total: Dim3, block: Dim3, error: type[GonError]
) -> None:
    with pytest.raises(error):
        launched(kernel, offset, total, block)


def test_kernels_that_are_forgotten_do_not_pile_up(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Handle] = []
    monkeypatch.setattr(kernel.device.contract, "close_kernel", closed.append)
    module = kernel.device.compile(SOURCE, options="-cl-std=CL2.0")
    made = [module.get_kernel("mark").handle for _ in range(3)]
    assert [handle for handle in closed if handle in made] == made[:2]
