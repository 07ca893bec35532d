"""Building in a process of its own, with a real gond and a real compiler: who builds, what is kept,
and what a program that crashes, hangs or exhausts the compiler ends.
"""

from __future__ import annotations

import re
import signal
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

import gon
from gon.limits import MIB
from gon_client.connect import Host
from tests.e2e.gond_process import PATIENCE_S, Gond, gone, real_gond, until
from tests.unit.test_opencl_spirv import store_module

SOURCE = "kernel void put(global int *x) { x[get_global_id(0)] = %d; }"
# Nests deeper than the compiler's stack.
CRASH = f"kernel void k(global int *x) {{ x[0] = {'- ' * 500_000}1; }}"
# Doubles 25 times: takes all the time and all the memory there is.
BOMB = "\n".join(
    [
        "#define A0 x[0] = x[0] * 3 + x[1];",
        *(f"#define A{n} A{n - 1} A{n - 1}" for n in range(1, 26)),
        "kernel void k(global int *x) { A25 }",
    ]
)
# What tells of a kernel's own compiler in a process: it takes twice the memory of all else.
COMPILER_BYTES = 64 * MIB


@pytest.fixture
def gond(tmp_path: Path) -> Iterator[Gond]:
    with real_gond(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def host(gond: Gond) -> Iterator[Host]:
    with gon.connect(gond.tcp) as connected:
        yield connected


def runs(device: gon.Device, number: int) -> bool:
    """Compile, launch and read back."""
    kernel = device.compile(SOURCE % number).get_kernel("put")
    x = device.zeros(8, np.int32)
    gon.launch(device.default_stream, gon.LaunchConfig(8), kernel, x)
    return bool((x.get() == number).all())


def count(gond: Gond, words: str) -> int:
    return len(re.findall(rf"gond\.building: {words}", gond.output))


def builders(gond: Gond) -> list[psutil.Process]:
    """Return the builders that live."""
    told = re.findall(
        r"gond\.building: builder \d+ of local is worker \d+ \(pid (\d+)", gond.output
    )
    return [worker for worker in gond.workers() if str(worker.pid) in told]


def statistics(gond: Gond) -> str:
    """Return what gond says of builds at its end."""
    gond.signal(signal.SIGTERM)
    assert gond.wait() == 0
    return gond.output


def test_a_program_that_a_host_has_built_is_loaded_by_all_later_leases(
    gond: Gond, host: Host
) -> None:
    for link in ("tcp", "unix", "zmq"):
        with host.acquire(link=link) as device:
            assert runs(device, 5)
            assert runs(device, 5)
    assert count(gond, "built ") == 1
    assert "hits=5, misses=1, evicted=0, entries=1" in statistics(gond)


@pytest.mark.parametrize("link", ["tcp", "zmq", "shm"])
def test_other_threads_go_on_while_a_program_is_compiled(gond: Gond, host: Host, link: str) -> None:
    with host.acquire(link=link) as device, ThreadPoolExecutor(1) as thread:
        assert runs(device, 1)
        (builder,) = builders(gond)
        builder.suspend()
        try:
            compiling = thread.submit(runs, device, 2)
            until(lambda: count(gond, r"builder \d+ builds") == 2, "it is being built")
            x = device.zeros(8, np.int32)
            device.create_stream().sync()
            device.sync()
            assert (x.get() == 0).all()
            assert not compiling.done()
        finally:
            builder.resume()
        assert compiling.result(PATIENCE_S)


def test_threads_compile_at_once(gond: Gond, host: Host) -> None:
    with host.acquire() as device, ThreadPoolExecutor(4) as threads:
        assert all(threads.map(partial(runs, device), range(8)))
        assert runs(device, 8)
    assert count(gond, "built ") == 9


def test_a_worker_holds_no_compiler(gond: Gond, host: Host) -> None:
    with host.acquire() as device:
        assert runs(device, 1)
        (builder,) = builders(gond)
        others = [worker for worker in gond.workers() if worker != builder]
        most = max(worker.memory_info().rss for worker in others)
        assert most < builder.memory_info().rss - COMPILER_BYTES


def test_what_a_kernel_prints_is_in_the_log_at_once(gond: Gond, host: Host) -> None:
    source = '__global__ void tell(int n) { printf("the kernel says %d\\n", n); }'
    with host.acquire() as device:
        stream = device.create_stream()
        kernel = device.compile(source, "cuda-c").get_kernel("tell")
        gon.launch(stream, gon.LaunchConfig(1, 1), kernel, 41)
        stream.sync()
        until(lambda: "the kernel says 41" in gond.output, "the line is there")


def test_what_does_not_fit_the_cache_is_built_again(tmp_path: Path) -> None:
    # Room for two of 8 KiB, whole pages as they are.
    flags = ("--module-cache-bytes=20000", "--module-cache-tenant-bytes=20000")
    with (
        real_gond(tmp_path, *flags) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as device,
    ):
        for number in (1, 2, 2, 3, 1, 3):
            assert runs(device, number)
        assert count(gond, "built ") == 4
        device.close()
        assert "hits=2, misses=4, evicted=2, entries=2" in statistics(gond)


@pytest.mark.parametrize(
    ("source", "flags", "why"),
    [
        (CRASH, (), r"killed by signal 11 \(SIGSEGV\)"),
        (BOMB, ("--build-s=1",), r"killed: it took longer than 1 s"),
        (BOMB, (f"--builder-memory-bytes={400 * MIB}",), r"killed by signal \d+ \(SIG\w+\)|memory"),
    ],
    ids=["crash", "hang", "memory"],
)
def test_a_source_that_ends_the_compiler_ends_nothing_else(
    tmp_path: Path, source: str, flags: tuple[str, ...], why: str
) -> None:
    with (
        real_gond(tmp_path, *flags) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as device,
        host.acquire() as neighbour,
    ):
        (before,) = builders(gond)
        x = device.asarray(np.arange(4))
        with pytest.raises(gon.CompileError, match=why):
            device.compile(source)
        assert gone([before])
        assert x.get().tolist() == [0, 1, 2, 3]
        assert runs(device, 1)
        assert runs(neighbour, 2)


def test_malformed_spir_v_that_crashes_the_compiler_is_a_compile_error(
    gond: Gond, host: Host
) -> None:
    words = list(struct.unpack(f"<{len(store_module()) // 4}I", store_module()))
    words[78] = 9
    with host.acquire() as device:
        with pytest.raises(gon.CompileError, match="SIGSEGV"):
            device.compile(struct.pack(f"<{len(words)}I", *words), "spir-v")
        assert device.compile(store_module(), "spir-v").kernel_names == ("store",)


def test_a_builder_that_is_killed_while_it_builds_is_replaced(gond: Gond, host: Host) -> None:
    with host.acquire() as device, host.acquire() as other, ThreadPoolExecutor(1) as thread:
        building = thread.submit(device.compile, BOMB)
        until(lambda: count(gond, r"builder \d+ builds") == 1, "the builder builds")
        (builder,) = builders(gond)
        builder.kill()
        with pytest.raises(gon.CompileError, match=r"killed by signal 9 \(SIGKILL\)"):
            building.result(PATIENCE_S)
        assert runs(device, 1)
        assert runs(other, 2)


def test_a_program_that_hangs_does_not_hold_up_its_tenant(gond: Gond, host: Host) -> None:
    with host.acquire() as device, host.acquire() as other, ThreadPoolExecutor(1) as thread:
        building = thread.submit(device.compile, BOMB)
        until(lambda: count(gond, r"builder \d+ builds") == 1, "the builder builds")
        assert runs(other, 1)
        first, _second = sorted(builders(gond), key=lambda builder: builder.create_time())
        first.kill()
        with pytest.raises(gon.CompileError):
            building.result(PATIENCE_S)


def test_an_idle_builder_that_is_killed_is_replaced(gond: Gond, host: Host) -> None:
    (builder,) = builders(gond)
    builder.kill()
    assert gone([builder])
    until(lambda: len(builders(gond)) == 1, "there is another one")
    with host.acquire() as device:
        assert runs(device, 1)


def test_a_builder_that_nobody_needs_ends(tmp_path: Path) -> None:
    unit = "eagphpu0=opencl:,slices=2,warm=0"
    with (
        real_gond(tmp_path, "--builder-idle-s=0.2", unit=unit) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as device,
        host.acquire() as other,
    ):
        # A builder takes no slice.
        assert runs(device, 1)
        until(lambda: not builders(gond), "the builder has ended")
        assert runs(other, 1)
        assert runs(other, 2)
        assert count(gond, "builder 2 of local") == 1


def test_gond_drains_while_it_builds(tmp_path: Path) -> None:
    with (
        real_gond(tmp_path, "--drain-s=0.2") as gond,
        gon.connect(gond.tcp) as host,
        ThreadPoolExecutor(1) as thread,
    ):
        device = host.acquire(grace_s=0.3)
        building = thread.submit(device.compile, BOMB)
        until(lambda: count(gond, r"builder \d+ builds") == 1, "the builder builds")
        children = psutil.Process(gond.process.pid).children(recursive=True)
        gond.signal(signal.SIGTERM)
        assert gond.wait() == 0
        assert gone(children)
        with pytest.raises(gon.LeaseLost):
            building.result(PATIENCE_S)
        device.close()


def test_what_a_draining_gond_still_serves_is_still_built(tmp_path: Path) -> None:
    with (
        real_gond(tmp_path, "--drain-s=600") as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as device,
    ):
        gond.signal(signal.SIGTERM)
        until(lambda: "draining for up to" in gond.output, "gond drains")
        assert runs(device, 3)
        device.close()
        assert gond.wait() == 0
