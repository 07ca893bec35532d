"""Images and samplers of an OpenCL device: `gon.images.Images` over the driver's own.

An image lies in the driver's memory, for how it lies there is the driver's to say; one over a
buffer keeps that buffer's memory. A sampler is made once for each terms that a launch has named.

Rules: nothing reaches the driver unchecked: the format is one that the device tells of, the sizes
are within what it tells, a region lies in its image. An image is zeros when it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from gon.errors import BadHandle, InvalidArgument, KernelArgumentError, Unsupported
from gon.images import (
    COLOR_BYTES,
    ImageFormat,
    ImageKind,
    ImageShape,
    Over,
    SamplerTerms,
    check_region,
    check_shape,
    is_sampler,
    kind_of,
    overlap,
    sampler_of,
)
from gon.model import BufferAt, Dim3, Handle, LaunchArg, Param
from gon_server.devices import opencl_driver as driver
from gon_server.devices.books import Table, check_range
from gon_server.devices.limits import IMAGES_MAX
from gon_server.devices.opencl_driver import DriverError
from gon_server.devices.opencl_memory import BufferMemory, DeviceBuffer
from gon_server.devices.opencl_stream import Stream

READ_WRITE, WRITE_ONLY, READ_ONLY, KERNEL_READ_AND_WRITE = 1, 2, 4, 1 << 12
_ACCESS: Final = (READ_WRITE, READ_ONLY, WRITE_ONLY, KERNEL_READ_AND_WRITE)
_BLACK: Final = bytes(COLOR_BYTES)


class DeviceImage:
    """One image; `over` is the buffer, or the image, whose memory it is, if it has none of its
    own.
    """

    __slots__ = ("format", "memory", "over", "shape", "size_bytes")

    def __init__(
        self,
        memory: driver.Image,
        image_format: ImageFormat,
        shape: ImageShape,
        size_bytes: int,
        over: DeviceBuffer | DeviceImage | None,
    ) -> None:
        self.memory = memory
        self.format = image_format
        self.shape = shape
        self.size_bytes = size_bytes
        self.over = over

    def __repr__(self) -> str:
        return f"DeviceImage({self.shape.kind.name} of {self.shape.extent})"


class DeviceImages:
    """The images of one device, beside its streams, buffers and memory."""

    def __init__(
        self,
        context: driver.Context,
        unit: driver.Unit,
        service: driver.Queue,
        streams: Mapping[int, Stream],
        buffers: Table[DeviceBuffer],
        memory: BufferMemory,
    ) -> None:
        self._context = context
        self._unit = unit
        self._service = service
        self._streams = streams
        self._buffers = buffers
        self._memory = memory
        self._formats: dict[tuple[int, ImageKind], tuple[ImageFormat, ...]] = {}
        self._samplers: dict[SamplerTerms, driver.Sampler] = {}
        self.table: Table[DeviceImage] = Table("image", IMAGES_MAX)

    def __repr__(self) -> str:
        return f"DeviceImages({len(self.table)} images)"

    # The contract ---------------------------------------------------------------------------------
    def formats(self, access: int, kind: ImageKind) -> tuple[ImageFormat, ...]:
        if access not in _ACCESS:
            raise InvalidArgument(f"there is no access {access} to images")
        known = self._formats.get((access, kind))
        if known is None:
            try:
                told = driver.image_formats(self._context, access, kind)
            except DriverError as error:
                raise driver.error_of(error, "asking for formats of images") from error
            known = tuple(each for each in (ImageFormat(*one) for one in told) if each.pixel_bytes)
            self._formats[access, kind] = known
        return known

    def create(
        self, image: Handle, image_format: ImageFormat, shape: ImageShape, over: Over | None = None
    ) -> None:
        self._check_new(image)
        size_bytes = check_shape(shape, image_format)
        self._check_sizes(shape)
        if over is None and shape.kind is ImageKind.IMAGE1D_BUFFER:
            raise InvalidArgument("an image of IMAGE1D_BUFFER without a buffer")
        access = self._access_for(image_format, shape.kind)
        beneath = None
        try:
            if over is not None:
                beneath = self._beneath(shape, image_format, over)
                size_bytes = 0
            else:
                self._memory.take(size_bytes)
            pitch = 0 if over is None else over.row_pitch
            memory = driver.create_image(
                self._context, access, (image_format.order, image_format.channel), shape.kind,
                shape.whole, shape.layers, beneath.memory if beneath else None, pitch,
            )  # fmt: skip
            if over is None:
                whole = shape.extent
                driver.fill_image(self._service, memory, _BLACK, (0, 0, 0), whole).wait()
        except DriverError as error:
            if over is None:
                self._memory.taken_bytes -= size_bytes
            raise driver.error_of(error, f"making an image of {shape.extent}") from error
        self.table.add(image, DeviceImage(memory, image_format, shape, size_bytes, beneath))

    def view(self, image: Handle, of: Handle, seen: ImageFormat) -> None:
        self._check_new(image)
        base = self.table[of]
        if base.over is not None or base.shape.kind is not ImageKind.IMAGE2D:
            raise InvalidArgument(f"{base!r} is not seen in other formats")
        if not base.format.is_seen_as(seen):
            raise InvalidArgument(f"pixels of {base.format} are not seen as {seen}")
        # A runtime's word on flags that its format has not may be its end.
        access = self._access_for(seen, base.shape.kind)
        try:
            memory = driver.create_image(
                self._context, access, (seen.order, seen.channel), base.shape.kind,
                base.shape.whole, base.shape.layers, base.memory, 0,
            )  # fmt: skip
        except DriverError as error:
            raise driver.error_of(error, f"seeing an image as {seen}") from error
        self.table.add(image, DeviceImage(memory, seen, base.shape, 0, base))

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_origin: Dim3,
        target: Handle,
        target_origin: Dim3,
        region: Dim3,
    ) -> None:
        queue, origin, goal = self._streams[stream], self.table[source], self.table[target]
        check_region(origin.shape, source_origin, region)
        check_region(goal.shape, target_origin, region)
        if origin.format != goal.format:
            raise InvalidArgument(f"a copy from {origin.format} to {goal.format}")
        if source == target and overlap(source_origin, target_origin, region):
            raise InvalidArgument(f"the regions of a copy within image {source} overlap")
        self._queue(
            queue,
            "copying between images",
            lambda: driver.copy_image(
                queue.queue, origin.memory, goal.memory, source_origin, target_origin, region
            ),
        )

    def fill(self, stream: Handle, image: Handle, origin: Dim3, region: Dim3, color: bytes) -> None:
        queue, target = self._streams[stream], self.table[image]
        check_region(target.shape, origin, region)
        if len(color) != COLOR_BYTES:
            raise InvalidArgument(f"a color of {len(color)} bytes; it has {COLOR_BYTES}")
        self._queue(
            queue,
            "filling an image",
            lambda: driver.fill_image(queue.queue, target.memory, color, origin, region),
        )

    def from_buffer(
        self, stream: Handle, buffer: Handle, offset: int, image: Handle, origin: Dim3, region: Dim3
    ) -> None:
        queue, source, target = self._streams[stream], self._buffers[buffer], self.table[image]
        self._check(target, origin, region, buffer, source, offset)
        self._queue(
            queue,
            "copying to an image",
            lambda: driver.copy_buffer_to_image(
                queue.queue, source.memory, target.memory, offset, origin, region
            ),
        )

    def to_buffer(
        self, stream: Handle, image: Handle, origin: Dim3, region: Dim3, buffer: Handle, offset: int
    ) -> None:
        queue, source, target = self._streams[stream], self.table[image], self._buffers[buffer]
        self._check(source, origin, region, buffer, target, offset)
        self._queue(
            queue,
            "copying from an image",
            lambda: driver.copy_image_to_buffer(
                queue.queue, source.memory, target.memory, origin, region, offset
            ),
        )

    # For the device and its kernels ---------------------------------------------------------------
    def lies_over(self, buffer: DeviceBuffer) -> bool:
        """Return whether an image is that buffer's memory."""
        overs = [each.over for each in self.table.values() if isinstance(each.over, DeviceBuffer)]
        return any(buffer in (over, over.whole) for over in overs)

    def setter(
        self, param: Param, named: str, set_arg: Callable[[driver.Argument], None]
    ) -> ArgSetter | None:
        """Return what sets a parameter that takes an image or a sampler, None for any other; errors
        say that it is `named` so.
        """
        kind = kind_of(param)
        if kind is not None:
            is_depth = param.type_name.endswith("depth_t")
            return lambda arg: set_arg(self._image_for(named, kind, arg, is_depth=is_depth).memory)
        if is_sampler(param):
            return lambda arg: set_arg(self._sampler_for(named, arg))
        return None

    def _image_for(
        self, named: str, kind: ImageKind, arg: LaunchArg, *, is_depth: bool
    ) -> DeviceImage:
        handle = arg.buffer if isinstance(arg, BufferAt) and not arg.offset_bytes else arg
        if not isinstance(handle, int) or handle not in self.table:
            raise KernelArgumentError(f"{named} takes an image, and none is given")
        image = self.table[handle]
        if image.shape.kind is not kind or is_depth != image.format.is_depth:
            raise KernelArgumentError(f"{named} is given an {image!r}")
        return image

    def _sampler_for(self, named: str, arg: LaunchArg) -> driver.Sampler:
        if not isinstance(arg, bytes):
            raise KernelArgumentError(f"{named} takes a sampler, and none is given")
        try:
            terms = sampler_of(arg)
        except InvalidArgument as error:
            raise KernelArgumentError(f"{named}: {error.message}") from error
        known = self._samplers.get(terms)
        if known is None:  # there are few terms: each is kept
            made = driver.create_sampler(self._context, terms.normalized, *_numbers(terms))
            known = self._samplers[terms] = made
        return known

    # Steps ----------------------------------------------------------------------------------------
    def _queue(self, queue: Stream, doing: str, enqueue: Callable[[], driver.Event]) -> None:
        try:
            queue.last = enqueue()
        except DriverError as error:
            raise driver.error_of(error, doing) from error

    def _check(
        self,
        image: DeviceImage,
        origin: Dim3,
        region: Dim3,
        buffer: Handle,
        there: DeviceBuffer,
        offset: int,
    ) -> None:
        check_region(image.shape, origin, region)
        size = math.prod(region) * image.format.pixel_bytes
        check_range(buffer, offset, size, there.size_bytes)

    def _check_new(self, image: Handle) -> None:
        self.table.check_new(image)
        if image in self._buffers:
            raise BadHandle(f"buffer {image} is there already")

    def _check_sizes(self, shape: ImageShape) -> None:
        """Raise InvalidArgument for what is larger than the device's images are."""
        unit = self._unit
        flat = (unit.image2d_max_width, unit.image2d_max_height, 1)
        most = {
            ImageKind.IMAGE3D: (
                unit.image3d_max_width, unit.image3d_max_height, unit.image3d_max_depth
            ),
            ImageKind.IMAGE1D_BUFFER: (unit.image_max_buffer_size, 1, 1),
        }.get(shape.kind, flat)  # fmt: skip
        fits = all(size <= limit for size, limit in zip(shape.whole, most, strict=True))
        if not fits or shape.layers > max(unit.image_max_array_size, 1):
            raise InvalidArgument(f"an image of {shape.extent}: the device takes {most}")

    def _access_for(self, image_format: ImageFormat, kind: ImageKind) -> int:
        """Return how kernels can access images of a format. Raises Unsupported."""
        for access in (READ_WRITE, READ_ONLY, WRITE_ONLY):
            if image_format in self.formats(access, kind):
                return access
        raise Unsupported(f"{image_format}: the device has no such images of {kind.name}")

    def _beneath(self, shape: ImageShape, image_format: ImageFormat, over: Over) -> DeviceBuffer:
        """Return the memory of an image over a buffer. Raises InvalidArgument, DriverError."""
        if shape.kind not in (ImageKind.IMAGE1D_BUFFER, ImageKind.IMAGE2D):
            raise InvalidArgument(f"an image of {shape.kind.name} over a buffer")
        whole = self._buffers[over.buffer]
        row = shape.width * image_format.pixel_bytes
        pitch = over.row_pitch or row
        if pitch < row:
            raise InvalidArgument(f"rows of {row} bytes, {pitch} bytes apart")
        size = (shape.height - 1) * pitch + row
        check_range(over.buffer, over.offset, size, whole.size_bytes)
        if not over.offset:
            return whole
        # Drivers ask for whole rows where the buffer has them.
        return whole.part(over.offset, min(pitch * shape.height, whole.size_bytes - over.offset))


ArgSetter = Callable[[LaunchArg], None]


def _numbers(terms: SamplerTerms) -> tuple[int, int]:
    return (terms.addressing, terms.filtering)
