"""Walls around real workers: a kernel that makes system calls by itself, with walls and without."""

from __future__ import annotations

import errno
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gon
from gon_server import walls
from gon_server.walls import Walls
from tests.e2e.gond_process import REAL_WORKER, Gond

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="its system calls are x86-64's"),
    pytest.mark.skipif(
        walls.possible() != Walls(files=True, calls=True),
        reason=f"walls of this kernel: {walls.possible()}",
    ),
]

OPEN, SOCKET = 2, 41
# Makes system calls, past Python and C: each four numbers, of which the first becomes the answer.
CALLS = r"""
__kernel void make(__global long *calls, __global const uchar *path, int count) {
  calls[1] = (long)path;
  for (int i = 0; i < count; i++)
    __asm__ volatile(
      "leaq -128(%%rsp), %%rsp\n"
      "pushq %%rax\n pushq %%rcx\n pushq %%rdx\n pushq %%rsi\n pushq %%rdi\n pushq %%r11\n"
      "pushq %%rbx\n movq %0, %%rbx\n"
      "movq (%%rbx), %%rax\n movq 8(%%rbx), %%rdi\n movq 16(%%rbx), %%rsi\n"
      "movq 24(%%rbx), %%rdx\n syscall\n movq %%rax, (%%rbx)\n popq %%rbx\n"
      "popq %%r11\n popq %%rdi\n popq %%rsi\n popq %%rdx\n popq %%rcx\n popq %%rax\n"
      "leaq 128(%%rsp), %%rsp\n"
      : : "r"((ulong)(calls + 4 * i)) : "memory");
}
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file that gond's user may read, and no worker has anything to do with."""
    file = tmp_path / "secret"
    file.write_bytes(b"secret")
    return file


@pytest.fixture
def walled(tmp_path: Path) -> Iterator[Gond]:
    """Start a gond whose owner calls hardware what is none."""
    flags = (*REAL_WORKER, "--walls=required")
    units = ("soft=opencl:,kind=gpu",)
    with Gond(tmp_path, *flags, units=units, name="walled", state="other") as gond:
        yield gond


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Gond]:
    with Gond(tmp_path, *REAL_WORKER, "--walls=off", units=("soft=opencl:",)) as gond:
        yield gond


def made(device: gon.Device, secret: Path) -> list[int]:
    """Return what came of a kernel's opening of a file and its making of a socket."""
    calls = [[OPEN, 0, 0, 0], [SOCKET, 2, 1, 0]]
    there = device.asarray(np.array(calls, np.int64))
    path = device.asarray(np.frombuffer(str(secret).encode() + b"\0", np.uint8))
    kernel = device.compile(CALLS).get_kernel("make")
    gon.launch(device.default_stream, gon.LaunchConfig(1, 1), kernel, there, path, len(calls))
    return [int(each) for each in there.get()[:, 0]]


def test_a_kernel_s_own_system_calls_meet_the_walls(walled: Gond, bare: Gond, secret: Path) -> None:
    for gond, told in ((walled, "files and system calls"), (bare, "none")):
        with gon.connect(gond.unix) as host:
            (unit,) = host.units()
            assert unit.walls == told
            assert f"walls {told}" in gond.output
            with host.acquire() as device:
                opened, socket = made(device, secret)
            if gond is walled:
                assert (opened, socket) == (-errno.EACCES, -errno.EPERM)
            else:
                # This is what a kernel can do where there are none.
                assert min(opened, socket) > 0
