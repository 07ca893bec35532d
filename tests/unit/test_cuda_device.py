"""The CUDA backend on a fake of CuPy: what it refuses, what it says when something is missing or
fails, and how bytes and programs come and go. The contract itself is in tests/conformance.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from gon.errors import (
    CompileError,
    DeviceError,
    GonError,
    InvalidArgument,
    KernelArgumentError,
    LaunchTooLarge,
    OutOfMemory,
    Unsupported,
    WaitTimeout,
)
from gon.limits import KEPT_MAX, MIB, STAGING_BYTES
from gon.model import DEFAULT_STREAM, BufferAt, Handle, LocalBytes, Program
from gon.testing.fake_cupy import FakeCupy
from gon.testing.fake_gpu import Shape
from gon.testing.fake_world import FakeUnit
from gon.testing.kernels import MODULES
from gon_server.devices import cuda, cuda_driver, cuda_memory
from gon_server.devices.cuda_driver import error_of
from gon_server.executor import Executor
from tests.fake_cuda import FAKE_KERNELS, SUITE, bind, new_cupy, open_fake

ONE: Shape = (1, 1, 1)
H1, H2, H3 = Handle(1), Handle(2), Handle(3)
GPUS = [FakeUnit(f"GPU-{n}0000000-1111-2222-3333-444444444444") for n in range(3)]
SOURCE = b'extern "C" __global__ void wild(unsigned *x) { x[1 << 20] = 1; }'


@pytest.fixture
def cupy() -> FakeCupy:
    return new_cupy()


@pytest.fixture
def device(cupy: FakeCupy) -> Iterator[cuda.CudaDevice]:
    opened = open_fake(cupy=cupy)
    yield opened
    opened.close()


def load(device: cuda.CudaDevice, source: bytes, kernel: str = "") -> None:
    """Load a source as module 1, and a kernel of it as kernel 1."""
    device.load(H1, Program(source, "cuda-c"))
    if kernel:
        device.get_kernel(H1, H1, kernel)


# What may be missing ------------------------------------------------------------------------------
def test_without_cupy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(Unsupported, match=r'CuPy.*pip install "gon\[cuda\]"'):
        cuda.open_device("")
    cuda.prepare_workers("")


def test_without_nvrtc_the_error_says_what_to_install(cupy: FakeCupy) -> None:
    cupy.world.has_compiler = False
    with pytest.raises(Unsupported, match=r"NVRTC.*pip install"):
        open_fake(cupy=cupy)


def test_without_a_driver_the_error_says_what_the_host_needs(cupy: FakeCupy) -> None:
    cupy.world.has_driver = False
    with pytest.raises(DeviceError, match=r"opening CUDA device.*NVIDIA's driver"):
        open_fake(cupy=cupy)


def test_a_device_that_fails_its_first_kernel_is_not_opened(cupy: FakeCupy) -> None:
    cupy.world.failing["launchKernel"] = [719]
    with pytest.raises(DeviceError, match=r"NVIDIA Fake does not run its first kernel.*719"):
        open_fake(cupy=cupy)


def test_cudas_headers_are_asked_for_only_where_they_are_included(cupy: FakeCupy) -> None:
    cupy.world.has_headers = False
    device = open_fake(cupy=cupy)
    with pytest.raises(Unsupported, match="headers are not installed"):
        device.load(H1, Program(b"#include <cuda_fp16.h>\n" + SOURCE, "cuda-c"))
    load(device, b"#include <stdio.h>\n" + SOURCE, "wild")
    assert "--no-source-include" in cupy.cuda.nvrtc.options
    device.close()


# Which device -------------------------------------------------------------------------------------
def test_a_worker_takes_its_device_before_cuda_starts() -> None:
    cupy = FakeCupy(GPUS, SUITE, environ={"CUDA_VISIBLE_DEVICES": "0,1,2"})
    device = open_fake(cupy=cupy, address=GPUS[2].uuid)
    assert cupy.world.environ["CUDA_VISIBLE_DEVICES"] == GPUS[2].uuid
    assert cupy.world.visible == [GPUS[2]]
    assert cupy.world.environ["CUDA_CACHE_DISABLE"] == "1"
    device.close()


def test_an_instance_is_taken_by_its_own_name() -> None:
    instance = FakeUnit(GPUS[0].uuid, visible_as="MIG-aaaaaaaa-1111-2222-3333-444444444444")
    cupy = FakeCupy([GPUS[1], instance], SUITE)
    device = open_fake(cupy=cupy, address=instance.visible_as)
    assert cupy.world.visible == [instance]
    device.close()


def test_in_a_process_where_cuda_runs_devices_are_found_by_uuid() -> None:
    cupy = FakeCupy(GPUS, SUITE)
    first = open_fake(cupy=cupy)
    second = open_fake(cupy=cupy, address=GPUS[1].uuid)
    assert "CUDA_VISIBLE_DEVICES" not in cupy.world.environ
    for device in (first, second, first):
        device.allocate(H1, 64)
        device.fill(DEFAULT_STREAM, H1, 0, 64, b"\3")
        out = bytearray(64)
        device.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
        assert out == b"\3" * 64
        device.free(H1)
    with pytest.raises(InvalidArgument, match=r"no CUDA device 'MIG-.*sees: GPU-0"):
        open_fake(cupy=cupy, address="MIG-aaaaaaaa-1111-2222-3333-444444444444")
    first.close()
    second.close()


@pytest.mark.parametrize("address", ["0", "nonsense", "GPU-", "GPU-00000000,GPU-11111111"])
def test_an_address_is_a_uuid(cupy: FakeCupy, address: str) -> None:
    with pytest.raises(InvalidArgument, match="UUID"):
        open_fake(cupy=cupy, address=address)


def test_every_thread_may_use_the_device(device: cuda.CudaDevice) -> None:
    load(device, MODULES["cuda-c"].code, "nothing")
    failed: list[GonError] = []

    def use() -> None:
        try:
            device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, ())
            device.sync_all().wait()
        except GonError as error:
            failed.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert failed == []


# Memory -------------------------------------------------------------------------------------------
def test_memory_that_queued_work_has_finished_with_is_found_again() -> None:
    device = open_fake(cupy=FakeCupy([FakeUnit(memory_bytes=8 * MIB)], FAKE_KERNELS, seed=1))
    device.create_stream(H1)
    for round_ in range(20):
        device.allocate(H2, 6 * MIB)
        device.fill(H1, H2, 0, 6 * MIB, bytes([round_]))
        device.free(H2)
    device.allocate(H2, 6 * MIB)
    with pytest.raises(OutOfMemory, match=r"2097152 of 8388608"):
        device.allocate(H3, 3 * MIB)
    device.close()


def test_a_lease_takes_no_more_of_the_device_than_its_quota(
    device: cuda.CudaDevice, cupy: FakeCupy
) -> None:
    quota_bytes = 64 * MIB
    Executor(device, quota_bytes)
    pool = cupy.world.gpus[0]
    device.allocate(H1, quota_bytes)
    # What CuPy keeps of freed buffers counts too: here another buffer stands for that.
    with pytest.raises(OutOfMemory, match="limit set to"):
        device.allocate(H2, quota_bytes)
    assert pool.used_bytes == quota_bytes


def test_what_others_use_of_the_device_is_out_of_memory(
    device: cuda.CudaDevice, cupy: FakeCupy
) -> None:
    cupy.world.failing["malloc"] = [2, 2]
    with pytest.raises(OutOfMemory, match="allocating 64 bytes"):
        device.allocate(H1, 64)
    device.allocate(H1, 64)
    cupy.world.failing["hostAlloc"] = [2]
    with pytest.raises(OutOfMemory, match="locking 64 bytes"):
        device.host_window(DEFAULT_STREAM, H1, 0, 64, write=True)


@pytest.mark.parametrize("seed", range(4))
def test_large_transfers_go_through_two_pieces(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_memory, "PINNED_WINDOW_BYTES_MAX", STAGING_BYTES)
    device = open_fake(cupy=new_cupy(seed))
    size = 7 * STAGING_BYTES // 2
    data = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    device.create_stream(H1)
    device.allocate(H1, size)
    device.fill(H1, H1, 0, size, b"\1")  # the stream is busy: nothing waits for the upload
    device.write(H1, H1, 0, data.data)
    out = np.zeros(size, np.uint8)
    device.read(H1, H1, 0, out.data).wait()
    assert (out == data).all()
    view = device.host_window(H1, H1, 5, size - 5, write=False)
    assert view.readonly
    assert bytes(view) == data[5:].tobytes()
    device.close_window(H1)
    device.host_window(H1, H1, 0, size, write=True)[:] = data[::-1].tobytes()
    device.close_window(H1)
    device.read(DEFAULT_STREAM, H1, 0, out.data).wait()
    assert (out == data[::-1]).all()
    device.close()


def test_small_writes_in_a_row_wait_for_nothing(device: cuda.CudaDevice, cupy: FakeCupy) -> None:
    device.allocate(H1, 4096)
    device.fill(DEFAULT_STREAM, H1, 0, 4096, b"\1")
    del cupy.world.calls[:]
    for number in range(100):
        device.write(DEFAULT_STREAM, H1, number, memoryview(bytes([number])))
    assert set(cupy.world.calls) == {"memcpyAsync"}
    out = bytearray(100)
    device.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
    assert out == bytes(range(100))


def test_reads_that_nobody_waits_for_are_bounded(device: cuda.CudaDevice) -> None:
    device.allocate(H1, 64)
    place = bytearray(64)
    for _ in range(KEPT_MAX + 1):
        device.read(DEFAULT_STREAM, H1, 0, memoryview(place))
    assert repr(device._streams[0]) == "Stream(idle, keeps 0)"


# Launches -----------------------------------------------------------------------------------------
def test_launches_beyond_the_device_are_refused_before_the_driver(
    device: cuda.CudaDevice, cupy: FakeCupy
) -> None:
    load(device, b'extern "C" __global__ void big(unsigned *x) { x[0] += 1; }', "big")
    device.allocate(H1, 64)
    del cupy.world.calls[:]
    wrong: list[tuple[Shape, Shape, int, str]] = [
        (ONE, (257, 1, 1), 0, "257 threads; at most 256"),
        (ONE, (1, 1, 65), 0, "larger than"),
        ((1, 65536, 1), ONE, 0, "grid"),
        ((1 << 31, 1, 1), ONE, 0, "grid"),
        (ONE, ONE, 227 * 1024 - 8191, "8192 of them its own"),
    ]
    for grid, block, shared, says in wrong:
        with pytest.raises(LaunchTooLarge, match=says):
            device.launch(DEFAULT_STREAM, H1, grid, block, shared, (1,))
    with pytest.raises(InvalidArgument, match="shared_bytes"):
        device.launch(DEFAULT_STREAM, H1, ONE, ONE, -1, (1,))
    assert cupy.world.calls == []


def test_more_shared_memory_than_usual_is_asked_for_once(
    device: cuda.CudaDevice, cupy: FakeCupy
) -> None:
    load(device, b'extern "C" __global__ void big(unsigned *x) { x[0] += 1; }', "big")
    device.allocate(H1, 64)
    for shared in (0, 40 * 1024, 40 * 1024 + 1, 219 * 1024, 219 * 1024, 100 * 1024):
        device.launch(DEFAULT_STREAM, H1, ONE, ONE, shared, (1,))
    device.sync_all().wait()
    assert cupy.world.calls.count("funcSetAttribute") == 1
    # The driver has one number for a kernel, however many handles it has.
    device.get_kernel(H2, H1, "big")
    for kernel, shared in ((H2, 50 * 1024), (H1, 219 * 1024)):
        device.launch(DEFAULT_STREAM, kernel, ONE, ONE, shared, (1,))
    device.sync_all().wait()
    assert cupy.world.gpus[0].launches.count("big") == 8


def test_a_launch_that_the_driver_refuses_is_too_large(
    device: cuda.CudaDevice, cupy: FakeCupy
) -> None:
    load(device, MODULES["cuda-c"].code, "nothing")
    cupy.world.failing["launchKernel"] = [701]
    with pytest.raises(LaunchTooLarge, match="launching kernel nothing"):
        device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, ())
    device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, ())


def test_arguments_that_cuda_does_not_have(device: cuda.CudaDevice) -> None:
    load(device, MODULES["cuda-c"].code, "index")
    device.allocate(H1, 64)
    base = np.uint32(1).tobytes()
    with pytest.raises(KernelArgumentError, match=r"parameter out.*shared_bytes"):
        device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (LocalBytes(4), base))
    with pytest.raises(KernelArgumentError, match=r"offset 2 is no multiple of .* 4 bytes"):
        device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (BufferAt(1, 2), base))
    device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (BufferAt(1, 4), base))


def still_busy(_event: int) -> int:
    return cuda_driver.NOT_READY


def test_a_wait_with_an_end_ends(device: cuda.CudaDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    device.allocate(H1, 64)
    device.fill(DEFAULT_STREAM, H1, 0, 64, b"\1")
    pending = device.sync(DEFAULT_STREAM)
    with monkeypatch.context() as patched:
        patched.setattr(device._runtime, "eventQuery", still_busy)
        assert not pending.done()
        with pytest.raises(WaitTimeout):
            pending.wait(timeout_s=0.001)
    pending.wait(timeout_s=60.0)
    assert pending.done()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (2, OutOfMemory),
        (9, LaunchTooLarge),
        (35, DeviceError),
        (100, DeviceError),
        (209, CompileError),
        (701, LaunchTooLarge),
        (719, DeviceError),
        (9999, DeviceError),
    ],
)
def test_cudas_errors_are_ours(cupy: FakeCupy, status: int, error: type[GonError]) -> None:
    for kind in bind(cupy).errors[:2]:
        mapped = error_of(kind(status), "doing this")
        assert type(mapped) is error
        assert "doing this" in str(mapped)
