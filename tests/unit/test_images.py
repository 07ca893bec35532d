"""Images beyond what the conformance suite says: quota, poison, older hosts, transfers in parts."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gon
from gon.errors import Code, InvalidArgument, KernelArgumentError, Unsupported
from gon.images import CLAMP, NEAREST, ImageFormat, ImageKind, ImageShape, SamplerTerms
from gon.model import DEFAULT_STREAM, Dim3, Handle
from gon.wire import image_ops, ops
from gon.wire.batch import Batch, Reply, decode
from gon.wire.ops import AnyOp
from gon_client.device import Device
from gon_client.image import create_image, has_images, parts_of
from gon_client.remote import RemoteDevice
from gon_server.devices.opencl import open_device
from gon_server.devices.sim import SimDevice
from gon_server.executor import Executor
from tests.inproc_worker import QUOTA_BYTES, InprocWorker, open_session, remote

QUOTA = 1 << 16
RGBA = ImageFormat(0x10B5, 0x10DA)
WHOLE = ((0, 0, 0), (8, 4, 1))
SIZE = 4 * 8 * 4


class Session:
    """An executor on the software-defined unit."""

    def __init__(self) -> None:
        self.executor = Executor(open_device(""), QUOTA)
        self.number = 1

    def answer(self, *some: AnyOp) -> Reply:
        """Run ops and return the last one's answer."""
        batch = Batch(self.number, list(some))
        self.number += len(some)
        return self.executor.run(batch)[-1]

    def code(self, *some: AnyOp) -> int:
        """Return the code of the last one's failure, 0 for none."""
        failure = self.answer(*some).failure
        return failure.code if failure else 0


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


def created(image: int, width: int = 8, height: int = 4, buffer: int = 0) -> image_ops.CreateImage:
    size = (width, height, 1, 1)
    return image_ops.CreateImage(image, 0x10F1, 0x10B5, 0x10DA, *size, buffer, 0, 0)


def test_an_image_counts_as_a_buffer_of_its_pixels(session: Session) -> None:
    most = created(1, QUOTA // 16, 4)
    assert session.code(most, ops.SyncAll(9)) == 0
    assert session.code(ops.Allocate(2, 1), ops.SyncAll(9)) == Code.OUT_OF_MEMORY
    assert session.code(ops.Free(2), ops.Free(1), ops.SyncAll(9)) == 0
    assert session.code(created(1, QUOTA // 16, 5), ops.SyncAll(9)) == Code.OUT_OF_MEMORY
    assert session.code(ops.Free(1), ops.Allocate(3, QUOTA), ops.SyncAll(9)) == 0
    # One over a buffer takes nothing, and keeps the buffer's memory when that is freed.
    over = created(4, 64, buffer=3)
    assert session.code(over, created(5, 32, buffer=3), ops.SyncAll(9)) == 0
    assert session.code(ops.Free(3), ops.Allocate(3, 1), ops.SyncAll(9)) == Code.OUT_OF_MEMORY
    assert session.code(ops.Free(3), ops.Free(4), ops.SyncAll(9)) == 0
    assert session.code(ops.Allocate(3, 1), ops.SyncAll(9)) == Code.OUT_OF_MEMORY
    assert session.code(ops.Free(3), ops.Free(5), ops.SyncAll(9)) == 0
    assert session.code(ops.Allocate(3, QUOTA), ops.Free(3), ops.SyncAll(9)) == 0


def test_an_image_of_anothers_pixels_takes_nothing_and_keeps_them(session: Session) -> None:
    base = image_ops.CreateImage(1, 0x10F1, 0x10B5, 0x10D2, QUOTA // 16, 4, 1, 1, 0, 0, 0)
    view = image_ops.ViewImage(2, 1, 0x10C1, 0x10D2, 9)
    assert session.code(base, view) == 0
    assert session.code(image_ops.ViewImage(3, 2, 0x10B5, 0x10D2, 9)) == Code.INVALID_ARGUMENT
    assert session.code(image_ops.ViewImage(3, 7, 0x10B5, 0x10D2, 9)) == Code.BAD_HANDLE
    # What failed so was answered: nothing is left of it.
    assert session.code(ops.Free(1), ops.Allocate(4, 1), ops.SyncAll(9)) == Code.OUT_OF_MEMORY
    assert session.code(ops.Free(4), ops.Free(2), ops.SyncAll(9)) == 0
    assert session.code(ops.Allocate(4, QUOTA), ops.Free(4), ops.SyncAll(9)) == 0


def test_rows_over_a_part_of_a_buffer_may_be_apart(session: Session) -> None:
    over = image_ops.CreateImage(2, 0x10F1, 0x10B5, 0x10DA, 64, 4, 1, 1, 1, 4096, 512)
    assert session.code(ops.Allocate(1, 4096 + 512 * 4), over, ops.SyncAll(9)) == 0
    assert session.code(ops.Free(2), ops.Free(1), ops.SyncAll(9)) == 0


@pytest.mark.parametrize("made_good", ["overwritten", "freed"])
def test_a_poisoned_image_stays_so_until_it_is_overwritten_or_freed(
    session: Session, made_good: str
) -> None:
    assert session.code(ops.Allocate(1, SIZE), created(2), ops.SyncAll(9)) == 0
    failing = image_ops.BufferToImage(0, 1, 4, 2, *WHOLE)
    back = image_ops.ImageToBuffer(0, 2, *WHOLE, 1, 0)
    assert session.code(failing, ops.Sync(0, 9)) == Code.INVALID_ARGUMENT
    half = image_ops.FillImage(0, 2, (0, 0, 0), (8, 2, 1), bytes(16))
    assert session.code(half, back, ops.Sync(0, 9)) == Code.INVALID_ARGUMENT
    heals: list[AnyOp] = [image_ops.FillImage(0, 2, *WHOLE, b"\7\0\0\0" * 4)]
    if made_good == "freed":
        heals = [ops.Free(2), created(2), *heals]
    assert session.code(*heals, ops.Sync(0, 9)) == 0
    # The buffer was written by a copy that was skipped.
    clean = ops.Write(0, 1, 0, SIZE, bytes(SIZE))
    answer = session.answer(clean, back, ops.Read(0, 1, 0, SIZE, 9))
    assert answer.data == b"\7" * SIZE
    assert session.code(ops.Free(1), ops.Free(2), ops.SyncAll(9)) == 0


def test_what_an_op_says_of_an_image_is_checked(session: Session) -> None:
    assert session.code(image_ops.ImageFormats(1, 7, 9)) == Code.INVALID_ARGUMENT
    assert session.code(image_ops.ImageFormats(3, 0x10F1, 9)) == Code.INVALID_ARGUMENT
    told = session.answer(image_ops.ImageFormats(1, 0x10F1, 9)).data
    assert told is not None
    assert (0x10B5, 0x10DA) in decode(tuple[tuple[int, int], ...], told)
    huge = image_ops.CreateImage(5, 0x10F1, 0x10B5, 0x10DA, 1 << 63, 1 << 63, 1, 1, 0, 0, 0)
    assert session.code(huge, ops.SyncAll(9)) == Code.INVALID_ARGUMENT
    assert session.code(ops.Free(5), ops.SyncAll(9)) == 0


def test_of_an_older_host_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_client.dial.VERSION_MAX", 13)
    with remote(open_device("")) as far:
        assert far.images is None


def test_of_a_unit_without_them_each_op_says_so() -> None:
    with remote(SimDevice()) as far:
        assert far.images is not None
        with pytest.raises(Unsupported):
            far.images.formats(1, ImageKind.IMAGE2D)


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    with gon.local("opencl:") as opened:
        yield opened


@pytest.mark.parametrize("most", [1 << 20, 300, 40])
def test_a_region_goes_and_comes_in_parts(
    device: Device, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("gon_client.image.STAGING_BYTES_MAX", most)
    assert has_images(device)
    shape = ImageShape(ImageKind.IMAGE2D_ARRAY, 11, 5, layers=3)
    image = create_image(device, RGBA, shape)
    content = np.random.default_rng(most).integers(0, 255, (3, 5, 11, 4), np.uint8)
    image.write_first(content.reshape(-1).data)
    part = content[1:, 2:, 1:].copy()
    out = np.empty_like(part)
    image.read(DEFAULT_STREAM, (1, 2, 1), (10, 3, 2), out.reshape(-1).data).wait()
    assert np.array_equal(out, part)
    with pytest.raises(InvalidArgument, match="bytes are no region"):
        image.write(DEFAULT_STREAM, (0, 0, 0), (1, 1, 1), memoryview(bytes(5)))
    image.close()
    with pytest.raises(InvalidArgument, match="closed"):
        image.read(DEFAULT_STREAM, (0, 0, 0), (1, 1, 1), memoryview(bytearray(4)))


DIM = st.integers(1, 12)


@given(region=st.tuples(DIM, DIM, DIM), most=st.integers(1, 200))
def test_parts_are_the_region_in_order(region: Dim3, most: int) -> None:
    numbers = np.arange(math.prod(region)).reshape(region[::-1])
    seen: list[int] = []
    for (x, y, z), (width, height, depth) in parts_of(region, most):
        assert width * height * depth <= most
        seen += numbers[z : z + depth, y : y + height, x : x + width].reshape(-1).tolist()
    assert seen == numbers.reshape(-1).tolist()


SOURCE = """
kernel void copy(read_only image2d_t from, sampler_t how, write_only image2d_t to) {
    int2 at = (int2)(get_global_id(0), get_global_id(1));
    write_imageui(to, at, read_imageui(from, how, at));
}
"""


@contextmanager
def afar() -> Generator[Device]:
    """Give the software-defined unit from afar, with the quick way where that is built."""
    worker = InprocWorker(open_device(""))
    try:
        link = open_session(worker)
        far = RemoteDevice(link)
        with Device(
            far,
            where="afar",
            memory_bytes=QUOTA_BYTES,
            counts=far.counts,
            on_close=lambda: None,
            express=link.express,
        ) as device:
            yield device
    finally:
        worker.close()


@pytest.mark.parametrize("where", ["here", "afar"])
def test_a_launch_takes_images_and_samplers(where: str) -> None:
    with ExitStack() as stack:
        if where == "here":
            device = stack.enter_context(gon.local("opencl:"))
        else:
            device = stack.enter_context(afar())
        copy = device.compile(SOURCE).get_kernel("copy")
        source, target = (
            create_image(device, RGBA, ImageShape(ImageKind.IMAGE2D, 8, 4)) for _ in range(2)
        )
        deep = create_image(device, RGBA, ImageShape(ImageKind.IMAGE3D, 8, 4, 2))
        content = np.arange(SIZE, dtype=np.uint8)
        source.write_first(content.data)
        how = SamplerTerms(normalized=False, addressing=CLAMP, filtering=NEAREST)
        stream, config = device.default_stream, gon.LaunchConfig((8, 4))
        gon.launch(stream, config, copy, source, how, target)
        out = np.zeros_like(content)
        target.read(DEFAULT_STREAM, *WHOLE, out.data).wait()
        assert np.array_equal(out, content)
        array = device.zeros(SIZE, np.uint8)
        for args in ((array, how, target), (deep, how, target), (source, how.coded, target)):
            with pytest.raises(KernelArgumentError, match="is needed"):
                gon.launch(stream, config, copy, *args)
        with pytest.raises(InvalidArgument, match="image"), device.capture():
            gon.launch(stream, config, copy, source, how, target)


def test_a_handle_is_of_one_thing(device: Device) -> None:
    image = create_image(device, RGBA, ImageShape(ImageKind.IMAGE2D, 4, 4))
    with pytest.raises(InvalidArgument):
        device.contract.allocate(image.handle, 16)
    assert isinstance(image.handle, int)
    with pytest.raises(InvalidArgument):
        device.contract.free(Handle(1 << 50))
