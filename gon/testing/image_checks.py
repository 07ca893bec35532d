"""The conformance suite's checks of images: what gon.images says, each sentence a function.

A device without images is held to none of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from gon.errors import GonError, InvalidArgument, KernelArgumentError, Unsupported
from gon.images import (
    CLAMP_TO_EDGE,
    LINEAR,
    NEAREST,
    ImageFormat,
    ImageKind,
    Images,
    ImageShape,
    Imaging,
    Over,
    SamplerTerms,
)
from gon.model import DEFAULT_STREAM, Dim3, Handle, Program
from gon.testing.device_trial import Trial, expect

_READ_WRITE, _READ_ONLY = 1, 4
_RGBA_BYTES: Final = ImageFormat(0x10B5, 0x10DA)
_RGBA_FLOATS: Final = ImageFormat(0x10B5, 0x10DE)
_RGBA_SHARES: Final = ImageFormat(0x10B5, 0x10D2)
_SRGBA_SHARES: Final = ImageFormat(0x10C1, 0x10D2)
_RED_INTS: Final = ImageFormat(0x10B0, 0x10D9)
_ORIGIN: Final = (0, 0, 0)
_KERNELS: Final = b"""
kernel void shift(read_only image2d_t from, sampler_t how, write_only image2d_t to, float by) {
    int2 at = (int2)(get_global_id(0), get_global_id(1));
    write_imagef(to, at, read_imagef(from, how, convert_float2(at) + (float2)(0.5f + by, 0.5f)));
}
kernel void seen(read_only image2d_t from, global float4 *to) {
    to[0] = read_imagef(from, (int2)(1, 1));
}
kernel void first(read_only image1d_buffer_t from, global int *to) {
    to[0] = read_imagei(from, 0).x;
}
"""


def _images(trial: Trial) -> Images | None:
    """Return the device's images, None where it has none."""
    device = trial.device
    images = device.images if isinstance(device, Imaging) else None
    try:
        has = images is not None and images.formats(_READ_WRITE, ImageKind.IMAGE2D)
    except Unsupported:
        return None
    return images if has else None


class _Made:
    """An image with the trial that it is of."""

    def __init__(
        self, trial: Trial, images: Images, image_format: ImageFormat, shape: ImageShape
    ) -> None:
        self.trial, self.images, self.shape = trial, images, shape
        self.handle = trial.handle()
        self.pixel_bytes = image_format.pixel_bytes
        images.create(self.handle, image_format, shape)

    def put(
        self, data: npt.NDArray[np.generic], origin: Dim3 = _ORIGIN, region: Dim3 | None = None
    ) -> None:
        staging = self.trial.holding(np.ascontiguousarray(data).reshape(-1).view(np.uint8))
        region = region or self.shape.extent
        self.images.from_buffer(DEFAULT_STREAM, staging, 0, self.handle, origin, region)
        self.trial.device.free(staging)

    def content(self) -> npt.NDArray[np.uint8]:
        size = self.shape.pixels * self.pixel_bytes
        staging = self.trial.buffer(size)
        extent = self.shape.extent
        self.images.to_buffer(DEFAULT_STREAM, self.handle, _ORIGIN, extent, staging, 0)
        content = self.trial.read(staging, np.uint8, size)
        self.trial.device.free(staging)
        width, height, depth = extent
        return content.reshape(depth, height, width, self.pixel_bytes)


def a_new_image_is_zeros(trial: Trial) -> None:
    images = _images(trial)
    if images is None:
        return
    for shape in (
        ImageShape(ImageKind.IMAGE1D, 7),
        ImageShape(ImageKind.IMAGE1D_ARRAY, 7, layers=3),
        ImageShape(ImageKind.IMAGE2D, 7, 5),
        ImageShape(ImageKind.IMAGE2D_ARRAY, 7, 5, layers=3),
        ImageShape(ImageKind.IMAGE3D, 7, 5, 3),
    ):
        expect(_RGBA_BYTES in images.formats(_READ_WRITE, shape.kind), "bytes are a format")
        made = _Made(trial, images, _RGBA_BYTES, shape)
        expect(not made.content().any(), f"a new image of {shape.kind.name} is not zeros")
        data = np.arange(made.content().size, dtype=np.uint8).reshape(made.content().shape)
        made.put(data)
        expect(np.array_equal(made.content(), data), f"{shape.kind.name} is not what was put")
        trial.device.free(made.handle)
        # Its handle is free again to name anything.
        trial.device.allocate(made.handle, 16)
        trial.device.free(made.handle)


def regions_of_images_are_copied_and_filled_alone(trial: Trial) -> None:
    images = _images(trial)
    if images is None:
        return
    shape = ImageShape(ImageKind.IMAGE3D, 6, 4, 3)
    one, other = (_Made(trial, images, _RGBA_BYTES, shape) for _ in range(2))
    data = np.random.default_rng(1).integers(0, 255, (3, 4, 6, 4), np.uint8)
    one.put(data)
    part = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    one.put(part, (2, 1, 1), (4, 3, 2))
    data[1:, 1:, 2:] = part
    expect(np.array_equal(one.content(), data), "a region was not put where it belongs")
    region = (3, 2, 2)
    images.copy(DEFAULT_STREAM, one.handle, (1, 1, 1), other.handle, (3, 2, 0), region)
    wanted = np.zeros_like(data)
    wanted[:2, 2:, 3:] = data[1:, 1:3, 1:4]
    expect(np.array_equal(other.content(), wanted), "a region was not copied to its place")
    color = struct.pack("<4I", 1, 2, 3, 4)
    images.fill(DEFAULT_STREAM, other.handle, (0, 0, 2), (2, 3, 1), color)
    wanted[2, :3, :2] = (1, 2, 3, 4)
    expect(np.array_equal(other.content(), wanted), "a region was not filled alone")


def a_kernel_reads_an_image_by_a_sampler_and_writes_one(trial: Trial) -> None:
    images = _images(trial)
    if images is None or "opencl-c" not in trial.device.info.formats:
        return
    shift = _kernel(trial, "shift")
    shape = ImageShape(ImageKind.IMAGE2D, 9, 4)
    source, target = (_Made(trial, images, _RGBA_FLOATS, shape) for _ in range(2))
    data = np.random.default_rng(2).random((1, 4, 9, 4), np.float32)
    source.put(data)
    edged = np.concatenate([data, data[:, :, -1:]], axis=2)
    for filtering, by in ((LINEAR, 1.0), (NEAREST, 0.25), (LINEAR, 1.0), (LINEAR, 0.25)):
        how = SamplerTerms(normalized=False, addressing=CLAMP_TO_EDGE, filtering=filtering)
        args = (source.handle, how.coded, target.handle, struct.pack("<f", by))
        trial.device.launch(DEFAULT_STREAM, shift, (9, 4, 1), (1, 1, 1), 0, args)
        got = target.content().view(np.float32)
        share = by if filtering == LINEAR else 0.0
        wanted = (1 - share) * edged[:, :, :-1] + share * edged[:, :, 1:]
        # Places between pixels have eight bits at least.
        expect(np.allclose(got, wanted, atol=1e-2), f"read by {how} at {by}: {got} is wrong")


def an_image_over_a_buffer_is_its_bytes(trial: Trial) -> None:
    images = _images(trial)
    if images is None or "opencl-c" not in trial.device.info.formats:
        return
    if _RED_INTS not in images.formats(_READ_WRITE, ImageKind.IMAGE1D_BUFFER):
        return
    first = _kernel(trial, "first")
    buffer, out = trial.holding(np.arange(41, 57, dtype=np.int32)), trial.buffer(4)
    image = trial.handle()
    shape = ImageShape(ImageKind.IMAGE1D_BUFFER, 16)
    images.create(image, _RED_INTS, shape, Over(buffer))
    for number in (41, 5):
        trial.device.launch(DEFAULT_STREAM, first, (1, 1, 1), (1, 1, 1), 0, (image, out))
        trial.expect_content(out, np.array([number], np.int32), "the image is not the buffer's")
        trial.device.fill(DEFAULT_STREAM, buffer, 0, 64, struct.pack("<i", 5))
    # The buffer lives as long as the image does.
    trial.device.free(buffer)
    again = trial.holding(np.zeros(16, np.int32))
    trial.device.launch(DEFAULT_STREAM, first, (1, 1, 1), (1, 1, 1), 0, (image, out))
    trial.expect_content(out, np.array([5], np.int32), "the image has lost its buffer's memory")
    for each in (image, again, out):
        trial.device.free(each)


def an_image_is_seen_in_another_format(trial: Trial) -> None:
    images = _images(trial)
    if images is None or "opencl-c" not in trial.device.info.formats:
        return
    if _SRGBA_SHARES not in images.formats(_READ_ONLY, ImageKind.IMAGE2D):
        return
    shape = ImageShape(ImageKind.IMAGE2D, 4, 4)
    base, view, out = _Made(trial, images, _RGBA_SHARES, shape), trial.handle(), trial.buffer(16)
    images.view(view, base.handle, _SRGBA_SHARES)
    base.put(np.full((1, 4, 4, 4), 128, np.uint8))
    # It lives as long as either is there.
    trial.device.free(base.handle)
    seen = _kernel(trial, "seen")
    trial.device.launch(DEFAULT_STREAM, seen, (1, 1, 1), (1, 1, 1), 0, (view, out))
    got = trial.read(out, np.float32, 4)
    wanted = np.array([0.2158, 0.2158, 0.2158, 128 / 255], np.float32)
    expect(np.allclose(got, wanted, atol=1e-2), f"half of all colors is seen as {got}")
    for each in (view, out):
        trial.device.free(each)


def what_no_image_can_be_is_refused(trial: Trial) -> None:
    images = _images(trial)
    if images is None:
        return
    flat = ImageShape(ImageKind.IMAGE2D, 4, 4)
    made = _Made(trial, images, _RGBA_BYTES, flat)
    buffer = trial.buffer(64)
    stream = trial.stream
    wrong: tuple[tuple[type[GonError], str, Callable[[], object]], ...] = (
        (InvalidArgument, "a used handle",
         lambda: images.create(made.handle, _RGBA_BYTES, flat)),
        (InvalidArgument, "a buffer's handle", lambda: images.create(buffer, _RGBA_BYTES, flat)),
        (InvalidArgument, "a size of 0",
         lambda: images.create(trial.handle(), _RGBA_BYTES, ImageShape(ImageKind.IMAGE2D, 4, 0))),
        (InvalidArgument, "a depth of two dimensions",
         lambda: images.create(
             trial.handle(), _RGBA_BYTES, ImageShape(ImageKind.IMAGE2D, 4, 4, 2))),
        (InvalidArgument, "too large",
         lambda: images.create(
             trial.handle(), _RGBA_BYTES, ImageShape(ImageKind.IMAGE2D, 1 << 20))),
        (Unsupported, "an unknown format",
         lambda: images.create(trial.handle(), ImageFormat(0x10B5, 0x1234), flat)),
        (InvalidArgument, "over a buffer that is too small",
         lambda: images.create(trial.handle(), _RED_INTS,
                               ImageShape(ImageKind.IMAGE1D_BUFFER, 17), Over(buffer))),
        (InvalidArgument, "seen with channels of another type",
         lambda: images.view(trial.handle(), made.handle, _RGBA_FLOATS)),
        (InvalidArgument, "a buffer seen",
         lambda: images.view(trial.handle(), buffer, _RGBA_BYTES)),
        (InvalidArgument, "a region outside",
         lambda: images.fill(stream(), made.handle, (1, 0, 0), (4, 4, 1), bytes(16))),
        (InvalidArgument, "an empty region",
         lambda: images.fill(stream(), made.handle, _ORIGIN, (4, 0, 1), bytes(16))),
        (InvalidArgument, "a color of 4 bytes",
         lambda: images.fill(stream(), made.handle, _ORIGIN, (4, 4, 1), bytes(4))),
        (InvalidArgument, "a buffer that is too small",
         lambda: images.from_buffer(stream(), buffer, 4, made.handle, _ORIGIN, (4, 4, 1))),
        (InvalidArgument, "no image", lambda: images.fill(
            stream(), Handle(1 << 40), _ORIGIN, (1, 1, 1), bytes(16))),
        (InvalidArgument, "an overlap", lambda: images.copy(
            stream(), made.handle, _ORIGIN, made.handle, (1, 1, 0), (2, 2, 1))),
        (InvalidArgument, "a write to it as a buffer", lambda: trial.device.write(
            stream(), made.handle, 0, memoryview(bytes(4)))),
    )  # fmt: skip
    for error, says, call in wrong:
        trial.refused(error, says, call)


def arguments_that_are_no_images_and_samplers_are_refused(trial: Trial) -> None:
    images = _images(trial)
    if images is None or "opencl-c" not in trial.device.info.formats:
        return
    shift = _kernel(trial, "shift")
    plain = ImageShape(ImageKind.IMAGE2D, 4, 4)
    flat, other = (_Made(trial, images, _RGBA_FLOATS, plain) for _ in range(2))
    deep = _Made(trial, images, _RGBA_FLOATS, ImageShape(ImageKind.IMAGE3D, 4, 4, 2))
    buffer = trial.buffer(256)
    how = SamplerTerms(normalized=False, addressing=CLAMP_TO_EDGE, filtering=LINEAR).coded
    good = (flat.handle, how, other.handle, struct.pack("<f", 0))
    device, once = trial.device, ((4, 4, 1), (1, 1, 1), 0)
    flat.put(np.ones((4, 4, 4), np.float32))
    for index, given in (
        (0, buffer), (0, deep.handle), (0, 0), (0, how), (1, buffer), (1, how[:8]), (1, bytes(12)),
        (1, b"\xff" * 12), (2, buffer), (2, deep.handle), (3, flat.handle),
    ):  # fmt: skip
        device.launch(DEFAULT_STREAM, shift, *once, good)
        other.content()
        args = (*good[:index], given, *good[index + 1 :])
        says = f"argument {index} is {given!r}"
        trial.refused(KernelArgumentError, says, device.launch, trial.stream(), shift, *once, args)
        # What it should have written is poisoned.
        device.free(other.handle)
        other = _Made(trial, images, _RGBA_FLOATS, plain)
        good = (*good[:2], other.handle, good[3])
    device.launch(DEFAULT_STREAM, shift, *once, good)
    written = other.content().view(np.float32)
    expect(bool((written == 1).all()), "a refused launch spoils the next one")


def _kernel(trial: Trial, name: str) -> Handle:
    module, kernel = trial.handle(), trial.handle()
    trial.device.load(module, Program(_KERNELS, "opencl-c"))
    trial.device.get_kernel(kernel, module, name)
    return kernel


WITH_CONTENT: Final = (
    a_new_image_is_zeros,
    regions_of_images_are_copied_and_filled_alone,
    a_kernel_reads_an_image_by_a_sampler_and_writes_one,
    an_image_over_a_buffer_is_its_bytes,
    an_image_is_seen_in_another_format,
    what_no_image_can_be_is_refused,
    arguments_that_are_no_images_and_samplers_are_refused,
)
