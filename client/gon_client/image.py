"""Images: pixels on a device, and what moves them to and from host memory.

Bytes travel as a buffer's do, to one that is there for the transfer alone and no larger than
STAGING_BYTES_MAX; the device copies between it and the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gon.device import Pending, Waiting
from gon.errors import BadHandle, InvalidArgument, Unsupported
from gon.image_limits import STAGING_BYTES_MAX
from gon.images import (
    ImageFormat,
    Images,
    ImageShape,
    Imaging,
    Over,
    check_region,
    check_shape,
)
from gon.limits import INLINE_BYTES_MAX
from gon.model import Dim3, Handle
from gon.together import Together
from gon_client.staying import Stays

if TYPE_CHECKING:
    from gon_client.buffer import Buffer
    from gon_client.device import Device


class Image(Stays):
    """An image of a device. Made by `create_image`; freed when forgotten."""

    __slots__ = (
        "__weakref__",
        "_held_bytes",
        "_over",
        "closed",
        "device",
        "format",
        "handle",
        "shape",
        "size_bytes",
    )

    def __init__(
        self,
        device: Device,
        handle: Handle,
        image_format: ImageFormat,
        shape: ImageShape,
        held_bytes: int,
        over: Buffer | Image | None,
    ) -> None:
        """`held_bytes` of the lease's memory come back when the image is freed."""
        self._held_bytes = held_bytes
        self._over = over
        self.device = device
        self.handle = handle
        self.format = image_format
        self.shape = shape
        self.size_bytes = shape.pixels * image_format.pixel_bytes
        self.closed = False

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"Image({self.shape.kind.name} of {self.shape.extent} on {self.device.name}{state})"

    def write(self, stream: Handle, origin: Dim3, region: Dim3, data: memoryview) -> None:
        """Queue a write of a region, whose rows and slices touch in `data`, which may be changed as
        soon as this returns. Raises InvalidArgument, OutOfMemory.
        """
        self._check(origin, region, data)
        data = data.cast("B")
        contract, images = self.device.contract, images_of(self.device)
        staging = self._staging(data.nbytes)
        try:
            for at, size, first, part in self._pieces(origin, region):
                contract.write(stream, staging.handle, 0, data[at : at + size])
                images.from_buffer(stream, staging.handle, 0, self.handle, first, part)
        finally:
            staging.close()

    def write_first(self, data: memoryview) -> None:
        """Write the first contents, there for whatever is queued later, on whatever stream: theirs
        is over when it is closed.
        """
        stream = self.device.create_stream()
        try:
            self.write(stream.handle, (0, 0, 0), self.shape.extent, data)
        finally:
            stream.close()

    def read(
        self, stream: Handle, origin: Dim3, region: Dim3, out: memoryview, *, waits: bool = False
    ) -> Pending:
        """Queue a read of a region into `out`, whose bytes are there once waited for, or, with
        `waits`, when this returns. Raises as `write`.
        """
        self._check(origin, region, out)
        out = out.cast("B")
        contract, images = self.device.contract, images_of(self.device)
        staging = self._staging(out.nbytes)
        reads: list[Pending] = []
        try:
            for at, size, first, part in self._pieces(origin, region):
                images.to_buffer(stream, self.handle, first, part, staging.handle, 0)
                there = out[at : at + size]
                if waits and size > INLINE_BYTES_MAX and isinstance(contract, Waiting):
                    contract.read_now(stream, staging.handle, 0, there)
                else:
                    reads.append(contract.read(stream, staging.handle, 0, there))
        finally:
            staging.close()
        return Together(reads)

    def _staging(self, size_bytes: int) -> Buffer:
        return self.device.allocate(min(size_bytes, STAGING_BYTES_MAX))

    def _check(self, origin: Dim3, region: Dim3, data: memoryview) -> None:
        if self.closed:
            raise InvalidArgument("the image is closed")
        check_region(self.shape, origin, region)
        if data.nbytes != math.prod(region) * self.format.pixel_bytes:
            raise InvalidArgument(f"{data.nbytes} bytes are no region of {region}")

    def _pieces(self, origin: Dim3, region: Dim3) -> Iterator[tuple[int, int, Dim3, Dim3]]:
        """Yield where each piece begins in the region's bytes, its size, its origin and region."""
        pixel = self.format.pixel_bytes
        at = 0
        for (x, y, z), part in parts_of(region, STAGING_BYTES_MAX // pixel):
            size = math.prod(part) * pixel
            yield at, size, (origin[0] + x, origin[1] + y, origin[2] + z), part
            at += size

    def close(self) -> None:
        """Give the memory back once the work queued before is done; idempotent."""
        self.device.check_free("closing an image")
        if not self.closed:
            self.closed = True
            self.device.forget_buffer(self.handle, self._held_bytes)

    def __del__(self) -> None:
        if not self.closed:
            self.closed = True
            held_bytes, device = self._held_bytes, self.device
            device.drop(lambda image: device.forget_buffer(image, held_bytes), self.handle)


def parts_of(region: Dim3, most: int) -> Iterator[tuple[Dim3, Dim3]]:
    """Yield a region in parts of at most `most` pixels, in the order of its bytes: whole slices
    where they fit, else rows, else parts of rows.
    """
    width, height, depth = region
    if width * height <= most:
        step = most // (width * height)
        for z in range(0, depth, step):
            yield (0, 0, z), (width, height, min(step, depth - z))
        return
    if width <= most:
        step = most // width
        for z in range(depth):
            for y in range(0, height, step):
                yield (0, y, z), (width, min(step, height - y), 1)
        return
    for z in range(depth):
        for y in range(height):
            for x in range(0, width, most):
                yield (x, y, z), (min(most, width - x), 1, 1)


def has_images(device: Device) -> bool:
    """Return whether images can be asked for: an older host has none."""
    contract = device.contract
    return isinstance(contract, Imaging) and contract.images is not None


def images_of(device: Device) -> Images:
    """Return the images of a device. Raises Unsupported where it has none."""
    contract = device.contract
    images = contract.images if isinstance(contract, Imaging) else None
    if images is None:
        raise Unsupported("this device, or the host's gond, which is of an older version, has none")
    return images


def create_image(
    device: Device,
    image_format: ImageFormat,
    shape: ImageShape,
    over: Buffer | None = None,
    offset: int = 0,
    row_pitch: int = 0,
) -> Image:
    """Return a new image of zeros, or one of the bytes of a buffer from `offset` on.

    Raises InvalidArgument, Unsupported, OutOfMemory.
    """
    device.check_free("making an image")
    images = images_of(device)
    size_bytes = check_shape(shape, image_format) if over is None else 0
    if over is not None and (over.closed or over.device is not device):
        raise BadHandle(f"the image's buffer is closed, or another device's: {over!r}")
    beneath = None if over is None else Over(over.handle, offset, row_pitch)
    handle = device.hold(size_bytes, lambda new: images.create(new, image_format, shape, beneath))
    return Image(device, handle, image_format, shape, size_bytes, over)


def view_image(of: Image, seen: ImageFormat) -> Image:
    """Return an image that is another's pixels, `seen` in another format.

    Raises InvalidArgument, Unsupported.
    """
    device = of.device
    device.check_free("seeing an image in another format")
    if of.closed:
        raise BadHandle(f"the image is closed: {of!r}")
    images = images_of(device)
    handle = device.hold(0, lambda new: images.view(new, of.handle, seen))
    return Image(device, handle, seen, of.shape, 0, of)
