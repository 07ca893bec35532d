"""A CUDA device that is lost, or fails while bytes are on their way: what every later call says,
here and from afar, where the worker goes on. On a fake of CuPy.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gon.errors import DeviceError, OutOfMemory
from gon.limits import INLINE_BYTES_MAX
from gon.model import DEFAULT_STREAM, Handle, Program
from gon.testing.fake_cupy import FakeCupy
from gon.testing.fake_gpu import Shape
from gon_server.devices import cuda
from tests.fake_cuda import new_cupy, open_fake
from tests.inproc_worker import remote

ONE: Shape = (1, 1, 1)
H1, H2 = Handle(1), Handle(2)
SOURCE = b'extern "C" __global__ void wild(unsigned *x) { x[1 << 20] = 1; }'


@pytest.fixture
def cupy() -> FakeCupy:
    return new_cupy()


@pytest.fixture
def device(cupy: FakeCupy) -> Iterator[cuda.CudaDevice]:
    opened = open_fake(cupy=cupy)
    yield opened
    opened.close()


def test_an_illegal_address_loses_the_device(device: cuda.CudaDevice, cupy: FakeCupy) -> None:
    device.load(H1, Program(SOURCE, "cuda-c"))
    device.get_kernel(H1, H1, "wild")
    device.allocate(H1, 64)
    device.create_event(H1)
    device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (1,))
    with pytest.raises(DeviceError, match=r"lost to this lease.*IllegalAddress"):
        device.sync_all().wait()
    out = memoryview(bytearray(4))
    calls = (
        lambda: device.allocate(H2, 4),
        lambda: device.free(H1),
        lambda: device.write(DEFAULT_STREAM, H1, 0, out),
        lambda: device.read(DEFAULT_STREAM, H1, 0, out),
        lambda: device.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (1,)),
        lambda: device.load(H2, Program(SOURCE, "cuda-c")),
        lambda: device.get_kernel(H2, H1, "wild"),
        lambda: device.create_stream(H2),
        lambda: device.create_event(H2),
        lambda: device.record(DEFAULT_STREAM, H1),
        lambda: device.sync(DEFAULT_STREAM),
        lambda: device.sync_event(H1),
        lambda: device.sync_all(),
        lambda: device.host_window(DEFAULT_STREAM, H1, 0, 4, write=True),
    )
    for call in calls:
        with pytest.raises(DeviceError, match="the device is lost to this lease"):
            call()
    assert "lost" in repr(device)
    assert cupy.world.gpus[0].lost == 700


def test_a_lost_device_is_told_from_afar_by_every_wait() -> None:
    with remote(open_fake(cupy=new_cupy())) as far:
        far.load(H1, Program(SOURCE, "cuda-c"))
        far.get_kernel(H1, H1, "wild")
        far.allocate(H1, 64)
        far.launch(DEFAULT_STREAM, H1, ONE, ONE, 0, (1,))
        for _ in range(3):
            with pytest.raises(DeviceError, match="lost to this lease"):
                far.sync(DEFAULT_STREAM).wait()


@pytest.mark.parametrize("call", ["memcpyAsync", "eventSynchronize"])
def test_an_upload_that_loses_the_device_at_its_end_is_told_by_every_wait(call: str) -> None:
    cupy = new_cupy()
    size_bytes = 2 * INLINE_BYTES_MAX
    with remote(open_fake(cupy=cupy)) as far:
        far.allocate(H1, size_bytes)
        far.sync(DEFAULT_STREAM).wait()
        cupy.world.failing[call] = [719]
        far.write(DEFAULT_STREAM, H1, 0, memoryview(bytes(size_bytes)))
        for _ in range(2):
            with pytest.raises(DeviceError, match="lost to this lease"):
                far.sync(DEFAULT_STREAM).wait()


def test_an_upload_that_fails_at_its_end_has_failed() -> None:
    cupy = new_cupy()
    size_bytes = 2 * INLINE_BYTES_MAX
    with remote(open_fake(cupy=cupy)) as far:
        far.allocate(H1, size_bytes)
        far.sync(DEFAULT_STREAM).wait()
        cupy.world.failing["memcpyAsync"] = [2]
        far.write(DEFAULT_STREAM, H1, 0, memoryview(bytes(size_bytes)))
        with pytest.raises(OutOfMemory, match="copying") as told:
            far.sync(DEFAULT_STREAM).wait()
        assert told.value.op == "Write"
        far.write(DEFAULT_STREAM, H1, 0, memoryview(b"\1" * size_bytes))
        out = bytearray(size_bytes)
        far.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
        assert out == b"\1" * size_bytes


def test_a_download_whose_device_is_lost_meanwhile_is_answered() -> None:
    cupy = new_cupy()
    out = bytearray(2 * INLINE_BYTES_MAX)
    with remote(open_fake(cupy=cupy)) as far:
        far.allocate(H1, len(out))
        far.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
        cupy.world.gpus[0].lost = 719
        with pytest.raises(DeviceError, match="719"):
            far.read(DEFAULT_STREAM, H1, 0, memoryview(out)).wait()
        assert bytes(out) == bytes(len(out))
