"""Images: made, described, and what formats they may have.

Memory of the program's own (CL_MEM_USE_HOST_PTR) is copied as a buffer's is: when the image is made
and where the program maps it, with the pitches that the program has said.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from _gon_opencl import ffi
from gon.images import ImageFormat, ImageKind, ImageShape, kind_of
from gon.model import Dim3, Param
from gon_client.buffer import Buffer
from gon_client.image import Image as Pixels
from gon_client.image import create_image, images_of
from gon_shim.opencl.answers import (
    POINTER_BYTES,
    Answers,
    answer,
    pointer,
    pointer_at,
    properties_of,
    uint,
    word,
    words_with_end,
)
from gon_shim.opencl.device import Device
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.image_rows import Rows
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.memory import Memory, check_flags
from gon_shim.opencl.scope import Scope

if TYPE_CHECKING:
    from _gon_opencl import CData, Numbers

_ACCESS: Final = (
    cl.CL_MEM_READ_WRITE, cl.CL_MEM_WRITE_ONLY, cl.CL_MEM_READ_ONLY,
    cl.CL_MEM_KERNEL_READ_AND_WRITE,
)  # fmt: skip
_DESCRIPTION: Final = struct.Struct("<I4xQQQQQQIIQ")


class Image(Memory):
    """An image; `rows` say how its pixels lie in the program's own memory, `over` what buffer it
    lies over.
    """

    # Programs have one kind of handle for both.
    _live = Memory._live  # noqa: SLF001

    def __init__(
        self,
        scope: Scope,
        flags: int,
        pixels: Pixels,
        rows: Rows,
        host: CData,
        told: bytes,
        over: Memory | None,
    ) -> None:
        super().__init__(scope, flags, pixels, pixels.size_bytes, host, told=told)
        self.pixels = pixels
        self.rows = rows
        self.over = over
        self.kind = int(pixels.shape.kind)
        if over is not None:
            self.hold(over)

    @property
    def beneath(self) -> Memory | None:
        return self.over

    def check_region(self, origin: Dim3, region: Dim3) -> None:
        """Raise ClError unless the region is in it, and not empty."""
        for first, size, most in zip(origin, region, self.pixels.shape.extent, strict=True):
            require(size > 0 and first + size <= most, cl.CL_INVALID_VALUE)


class Described(NamedTuple):
    """What a program says of an image that it wants."""

    shape: ImageShape
    row: int
    slice: int
    over: int


def _described(at: CData) -> Described:
    """Return what a cl_image_desc says. Raises ClError."""
    require(at, cl.CL_INVALID_IMAGE_DESCRIPTOR)
    given = _DESCRIPTION.unpack(bytes(ffi.buffer(at, _DESCRIPTION.size)))
    number, width, height, depth, layers, row, slice_, levels, samples, over = given
    try:
        kind = ImageKind(number)
    except ValueError as error:
        raise ClError(cl.CL_INVALID_IMAGE_DESCRIPTOR) from error
    require(not levels and not samples, cl.CL_INVALID_IMAGE_DESCRIPTOR)
    shape = ImageShape(
        kind,
        width,
        height if kind in _FLAT or kind is ImageKind.IMAGE3D else 1,
        depth if kind is ImageKind.IMAGE3D else 1,
        layers if kind in _ARRAYS else 1,
    )
    require(min(*shape.whole, shape.layers), cl.CL_INVALID_IMAGE_DESCRIPTOR)
    return Described(shape, row, slice_, over)


_FLAT: Final = (ImageKind.IMAGE2D, ImageKind.IMAGE2D_ARRAY)
_ARRAYS: Final = (ImageKind.IMAGE1D_ARRAY, ImageKind.IMAGE2D_ARRAY)


def _format_of(at: CData) -> ImageFormat:
    """Return a cl_image_format. Raises ClError for what no image has."""
    require(at, cl.CL_INVALID_IMAGE_FORMAT_DESCRIPTOR)
    order, channel = struct.unpack("<II", bytes(ffi.buffer(at, 8)))
    orders = cl.CL_R <= order <= cl.CL_ABGR
    channels = cl.CL_SNORM_INT8 <= channel <= cl.CL_UNORM_INT_101010_2
    require(orders and channels, cl.CL_INVALID_IMAGE_FORMAT_DESCRIPTOR)
    return ImageFormat(order, channel)


def _check_sizes(one: Device, shape: ImageShape) -> None:
    """Raise ClError for what is larger than the device's images."""
    most = {
        ImageKind.IMAGE3D: (
            cl.CL_DEVICE_IMAGE3D_MAX_WIDTH, cl.CL_DEVICE_IMAGE3D_MAX_HEIGHT,
            cl.CL_DEVICE_IMAGE3D_MAX_DEPTH,
        ),
        ImageKind.IMAGE1D_BUFFER: (cl.CL_DEVICE_IMAGE_MAX_BUFFER_SIZE,),
    }.get(
        shape.kind, (cl.CL_DEVICE_IMAGE2D_MAX_WIDTH, cl.CL_DEVICE_IMAGE2D_MAX_HEIGHT)
    )  # fmt: skip
    for size, limit in zip(shape.whole, most, strict=False):
        require(size <= one.number(limit), cl.CL_INVALID_IMAGE_SIZE)
    if shape.kind in _ARRAYS:
        layers = one.number(cl.CL_DEVICE_IMAGE_MAX_ARRAY_SIZE)
        require(shape.layers <= layers, cl.CL_INVALID_IMAGE_SIZE)


_FORMATS: Final[dict[tuple[int, ImageKind], tuple[ImageFormat, ...]]] = {}


def _formats(one: Device, flags: int, kind: ImageKind) -> tuple[ImageFormat, ...]:
    """Return what formats images of a kind may have for a program's flags; asked for once."""
    if not one.has_images:
        return ()
    access = next((each for each in _ACCESS if flags & each), cl.CL_MEM_READ_WRITE)
    known = _FORMATS.get((access, kind))
    if known is None:
        known = _FORMATS[access, kind] = images_of(one.leased).formats(access, kind)
    return known


def _create(
    context: CData, flags: int, format_at: CData, wanted: Callable[[], Described], host: CData,
    told: bytes = b"",
) -> CData:  # fmt: skip
    scope = Scope.of(context)
    require(scope.device.has_images, cl.CL_INVALID_OPERATION)
    image_format, described = _format_of(format_at), wanted()
    shape = described.shape
    over = None if not described.over else _beneath(described, scope, image_format.pixel_bytes)
    if over is not None:
        flags = _inherited(over.flags, flags)
    check_flags(flags)
    _check_sizes(scope.device, shape)
    known = image_format in _formats(scope.device, flags, shape.kind)
    require(known, cl.CL_IMAGE_FORMAT_NOT_SUPPORTED)
    given = flags & (cl.CL_MEM_USE_HOST_PTR | cl.CL_MEM_COPY_HOST_PTR) and over is None
    require(bool(host) == bool(given), cl.CL_INVALID_HOST_PTR)
    if not flags & (cl.CL_MEM_READ_WRITE | cl.CL_MEM_WRITE_ONLY | cl.CL_MEM_READ_ONLY):
        flags |= cl.CL_MEM_READ_WRITE
    pixel = image_format.pixel_bytes
    if not host and over is None:
        require(not described.row and not described.slice, cl.CL_INVALID_IMAGE_DESCRIPTOR)
    bad = cl.CL_INVALID_IMAGE_DESCRIPTOR
    rows = Rows.of(shape.kind, shape.extent, pixel, described.row, described.slice, bad)
    if over is None:
        pixels = create_image(scope.device.leased, image_format, shape)
    else:
        row = described.row if shape.kind is ImageKind.IMAGE2D else 0
        require(over.size >= rows.size_bytes(shape.extent), cl.CL_INVALID_IMAGE_SIZE)
        buffer = over.buffer
        assert isinstance(buffer, Buffer)
        pixels = create_image(scope.device.leased, image_format, shape, buffer, over.offset, row)
    if host:
        pixels.write_first(rows.packed(host, shape.extent))
    kept = host if flags & cl.CL_MEM_USE_HOST_PTR and over is None else ffi.NULL
    return Image(scope, flags, pixels, rows, kept, told, over).handle


def _check_alignment(described: Described, over: Memory, pixel: int, one: Device) -> None:
    """Raise ClError for rows over a buffer that begin where the device's must not: its alignments
    are in pixels.
    """
    alignment = one.number(cl.CL_DEVICE_IMAGE_PITCH_ALIGNMENT)
    require(alignment, cl.CL_INVALID_OPERATION)
    row = described.row or described.shape.width * pixel
    begins = one.number(cl.CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT) or 1
    fits = row % (alignment * pixel) == 0 and over.offset % (begins * pixel) == 0
    require(fits, cl.CL_INVALID_IMAGE_DESCRIPTOR)


def _beneath(described: Described, scope: Scope, pixel: int) -> Memory:
    """Return the buffer that an image is to lie over. Raises ClError."""
    kind = described.shape.kind
    require(kind in (ImageKind.IMAGE1D_BUFFER, ImageKind.IMAGE2D), cl.CL_INVALID_IMAGE_DESCRIPTOR)
    over = Memory.find(ffi.cast("void *", described.over))
    if over is None or over.scope is not scope:
        raise ClError(cl.CL_INVALID_IMAGE_DESCRIPTOR)
    require(over.kind == cl.CL_MEM_OBJECT_BUFFER, cl.CL_INVALID_OPERATION)
    if kind is ImageKind.IMAGE2D:
        _check_alignment(described, over, pixel, scope.device)
    return over


def _inherited(whole: int, flags: int) -> int:
    """Return an image's flags, with those of its buffer where it says none."""
    access = cl.CL_MEM_READ_WRITE | cl.CL_MEM_WRITE_ONLY | cl.CL_MEM_READ_ONLY
    hosts = cl.CL_MEM_HOST_WRITE_ONLY | cl.CL_MEM_HOST_READ_ONLY | cl.CL_MEM_HOST_NO_ACCESS
    for alike in (access, hosts):
        if not flags & alike:
            flags |= whole & alike
    return flags


@entry("clCreateImage")
def create(context: CData, flags: int, format_at: CData, desc: CData, host: CData) -> CData:
    return _create(context, flags, format_at, lambda: _described(desc), host)


@entry("clCreateImageWithProperties")
def create_with_properties(
    context: CData, properties: CData, flags: int, format_at: CData, desc: CData, host: CData
) -> CData:
    found = properties_of(properties)
    require(not found, cl.CL_INVALID_PROPERTY)
    told = words_with_end(found)
    return _create(context, flags, format_at, lambda: _described(desc), host, told)


@entry("clCreateImage2D")
def create_2d(
    context: CData, flags: int, format_at: CData, width: int, height: int, row: int, host: CData
) -> CData:
    require(width and height, cl.CL_INVALID_IMAGE_SIZE)
    shape = ImageShape(ImageKind.IMAGE2D, width, height)
    return _create(context, flags, format_at, lambda: Described(shape, row, 0, 0), host)


@entry("clCreateImage3D")
def create_3d(
    context: CData, flags: int, format_at: CData, width: int, height: int, depth: int, row: int,
    slice_: int, host: CData,
) -> CData:  # fmt: skip
    require(width and height and depth, cl.CL_INVALID_IMAGE_SIZE)
    shape = ImageShape(ImageKind.IMAGE3D, width, height, depth)
    return _create(context, flags, format_at, lambda: Described(shape, row, slice_, 0), host)


@entry("clGetSupportedImageFormats")
def get_formats(
    context: CData, flags: int, number: int, room: int, formats: CData, count: Numbers
) -> None:
    scope = Scope.of(context)
    try:
        kind = ImageKind(number)
    except ValueError as error:
        raise ClError(cl.CL_INVALID_VALUE) from error
    check_flags(flags & ~cl.CL_MEM_KERNEL_READ_AND_WRITE)
    require(room or not formats, cl.CL_INVALID_VALUE)
    found = _formats(scope.device, flags, kind)
    if formats:
        told = b"".join(uint(each.order) + uint(each.channel) for each in found[:room])
        ffi.memmove(formats, told, len(told))
    if count:
        count[0] = len(found)


_ANSWERS: Answers[Image] = {
    cl.CL_IMAGE_FORMAT: lambda image: (
        uint(image.pixels.format.order) + uint(image.pixels.format.channel)
    ),
    cl.CL_IMAGE_ELEMENT_SIZE: lambda image: word(image.pixels.format.pixel_bytes),
    cl.CL_IMAGE_ROW_PITCH: lambda image: word(image.rows.row),
    cl.CL_IMAGE_SLICE_PITCH: lambda image: word(image.rows.slice_told),
    cl.CL_IMAGE_WIDTH: lambda image: word(image.pixels.shape.width),
    cl.CL_IMAGE_HEIGHT: lambda image: word(
        image.pixels.shape.height if image.kind in (*_FLAT, ImageKind.IMAGE3D) else 0
    ),
    cl.CL_IMAGE_DEPTH: lambda image: word(
        image.pixels.shape.depth if image.kind == ImageKind.IMAGE3D else 0
    ),
    cl.CL_IMAGE_ARRAY_SIZE: lambda image: word(
        image.pixels.shape.layers if image.kind in _ARRAYS else 0
    ),
    cl.CL_IMAGE_BUFFER: lambda image: word(0) if image.over is None else pointer(image.over.handle),
    cl.CL_IMAGE_NUM_MIP_LEVELS: lambda _: uint(0),
    cl.CL_IMAGE_NUM_SAMPLES: lambda _: uint(0),
}


@entry("clGetImageInfo")
def get_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    answer(_ANSWERS, image_of(handle), what, room, at, size_at)


def image_of(handle: CData) -> Image:
    """Return the image of a handle. Raises ClError for none, and for a buffer."""
    found = Memory.of(handle)
    if not isinstance(found, Image):
        raise ClError(cl.CL_INVALID_MEM_OBJECT)
    return found


def image_argument(scope: Scope, param: Param, size: int, at: CData) -> Image:
    """Return the image that a kernel's argument names. Raises ClError."""
    require(size == POINTER_BYTES, cl.CL_INVALID_ARG_SIZE)
    require(at and pointer_at(at), cl.CL_INVALID_ARG_VALUE)
    image = image_of(pointer_at(at))
    require(image.scope is scope, cl.CL_INVALID_MEM_OBJECT)
    depth = param.type_name.endswith("depth_t")
    fits = image.kind == kind_of(param) and depth == image.pixels.format.is_depth
    require(fits, cl.CL_INVALID_ARG_VALUE)
    access = (param.qualifiers or (0, 0, 0))[1]
    reads = access != cl.CL_KERNEL_ARG_ACCESS_WRITE_ONLY
    denied = (cl.CL_MEM_WRITE_ONLY if reads else 0) | (
        cl.CL_MEM_READ_ONLY if access != cl.CL_KERNEL_ARG_ACCESS_READ_ONLY else 0
    )
    require(not image.flags & denied, cl.CL_INVALID_ARG_VALUE)
    return image
