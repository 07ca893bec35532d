"""Two OpenCL runtimes of one host are two units of one gond, leased at once.

`make test-runtimes` runs this on Intel's CPU runtime and its FPGA emulator, whose device is an
accelerator; elsewhere it takes whatever two runtimes the host has.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import gon
from gon_client.commands import root
from gon_server.discover import look
from gon_server.units import ACCELERATOR, CPU, EAGPHPU, Found
from tests.e2e.gond_process import REAL_WORKER, Gond

# What both runtimes must compute to the last bit: whole numbers, and a division, which the
# emulator gets wrong on processors that it does not know (tests/kernels/README.md).
SOURCE = """
__global__ void collatz(const int *start, int *steps, int n)
{
    __shared__ int shared[64];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    shared[threadIdx.x] = i < n ? start[i] : 1;
    __syncthreads();
    int count = 0;
    for (int x = shared[blockDim.x - 1 - threadIdx.x]; x > 1; count++)
        x = x % 2 ? 3 * x + 1 : x / 2;
    if (i < n) steps[i] = count;
}
"""
BLOCK, N = 64, 4096


def runtimes() -> dict[str, Found]:
    """Return a device of each OpenCL platform, by its name."""
    found = asyncio.run(look([], os.environ, search=True))
    opencl = [each for each in found if each.address.startswith("opencl:") and not each.error]
    return {each.address.rpartition("/")[0]: each for each in reversed(opencl)}


def test_two_runtimes_are_two_units_leased_at_once(tmp_path: Path) -> None:
    there = sorted(runtimes().values(), key=lambda each: (each.kind == CPU, each.address))
    if len(there) < 2:
        pytest.skip(f"only one OpenCL platform: {[each.address for each in there]}")
    one, other = there[:2]
    # Accelerators, and one processor's runtime, are units by themselves; two of those are named.
    named: list[str] = []
    if one.kind == CPU:
        named = [f"--unit=cpu{place}={each.address}" for place, each in enumerate((one, other))]
    with Gond(tmp_path, *REAL_WORKER, "--discover", *named, units=()) as gond:
        check_units(gond, one, other)


def check_units(gond: Gond, one: Found, other: Found) -> None:
    """See both devices as units, and run the same on both while both are leased."""
    with gon.connect(gond.tcp) as host, gon.connect(gond.unix) as neighbour:
        units = {unit.name: unit for unit in host.units()}
        first, second = units[one.name], units[other.name]
        if one.kind == ACCELERATOR:
            # Engines work on the host's memory; the emulator's was seen to be that.
            assert first.kind == ACCELERATOR
            assert first.personalities == second.personalities
            assert one.in_place
            assert (second.kind, second.id) == (EAGPHPU, "eagphpu0")
        assert {"gpu", "apu"} <= set(second.personalities)
        for unit in (first, second):
            told = CliRunner().invoke(root.gon, ["info", unit.id, "--host", gond.tcp])
            assert told.exit_code == 0, told.output
            assert all(f"{each}: " in told.output for each in unit.personalities), told.output
        with host.acquire(first.id) as a, neighbour.acquire(second.id) as b:
            assert (a.name, b.name) == (one.name, other.name)
            start = np.random.default_rng(1).integers(1, 100_000, N, np.int32)
            queued = [(device, steps_of(device, start)) for device in (a, b)]
            results = [steps.get() for _, steps in queued]
            taken = {unit.id: unit.slices - unit.slices_free for unit in host.units()}
            assert (taken[first.id], taken[second.id]) == (1, 1)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], expected(start))


def steps_of(device: gon.Device, start: np.ndarray) -> gon.DeviceArray:
    """Queue the kernel, and return where its result will be."""
    collatz = device.compile(SOURCE, "cuda-c").get_kernel("collatz")
    steps = device.zeros(N, np.int32)
    config = gon.LaunchConfig(N // BLOCK, BLOCK)
    gon.launch(device.default_stream, config, collatz, device.asarray(start), steps, N)
    return steps


def expected(start: np.ndarray) -> np.ndarray:
    """Return what the kernel shall: each block's lengths of sequences, the other way round."""
    counts: list[int] = []
    for number in start.reshape(-1, BLOCK)[:, ::-1].reshape(-1).tolist():
        count, x = 0, number
        while x > 1:
            x = 3 * x + 1 if x % 2 else x // 2
            count += 1
        counts.append(count)
    return np.array(counts, np.int32)
