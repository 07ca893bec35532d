"""Images: made, described, and what formats they may have.

Memory of the program's own (CL_MEM_USE_HOST_PTR) is copied as a buffer's is: when the image is made
and where the program maps it, with the pitches that the program has said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from _gon_opencl import ffi
from gon.errors import DeviceError, InvalidArgument, Unsupported
from gon.images import ImageFormat, ImageKind, ImageShape, kind_of
from gon.model import Dim3, Param
from gon_client.image import Image as Pixels
from gon_client.image import create_image, images_of, view_image
from gon_shim.opencl.answers import (
    POINTER_BYTES,
    Answers,
    answer,
    pointer,
    pointer_at,
    told_properties,
    uint,
    word,
)
from gon_shim.opencl.described import ARRAYS, FLAT, Described, beneath, described, format_of
from gon_shim.opencl.device import Device
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.image_rows import Rows
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.memory import Memory, check_flags, inherited
from gon_shim.opencl.scope import Scope

if TYPE_CHECKING:
    from _gon_opencl import CData, Numbers

_ACCESS: Final = (
    cl.CL_MEM_READ_WRITE, cl.CL_MEM_WRITE_ONLY, cl.CL_MEM_READ_ONLY,
    cl.CL_MEM_KERNEL_READ_AND_WRITE,
)  # fmt: skip


class Image(Memory):
    """An image; `rows` say how its pixels lie in the program's own memory, `over` what memory
    it lies in.
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
    if shape.kind in ARRAYS:
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
    image_format, said = format_of(format_at), wanted()
    require(image_format.pixel_bytes, cl.CL_IMAGE_FORMAT_NOT_SUPPORTED)
    over = beneath(said, image_format, scope)
    if over is None:
        check_flags(flags)
        given = flags & (cl.CL_MEM_USE_HOST_PTR | cl.CL_MEM_COPY_HOST_PTR)
    else:
        flags, given = inherited(over.flags, flags), 0
    _check_sizes(scope.device, said.shape)
    known = image_format in _formats(scope.device, flags, said.shape.kind)
    require(known, cl.CL_IMAGE_FORMAT_NOT_SUPPORTED)
    require(bool(host) == bool(given), cl.CL_INVALID_HOST_PTR)
    if not flags & (cl.CL_MEM_READ_WRITE | cl.CL_MEM_WRITE_ONLY | cl.CL_MEM_READ_ONLY):
        flags |= cl.CL_MEM_READ_WRITE
    rows = said.rows(image_format.pixel_bytes, has_host=bool(host))
    pixels = _pixels(scope, image_format, said, rows, over)
    if host:
        pixels.write_first(rows.packed(host, said.shape.extent))
    kept = host if given & cl.CL_MEM_USE_HOST_PTR else ffi.NULL
    return Image(scope, flags, pixels, rows, kept, told, over).handle


def _pixels(
    scope: Scope, image_format: ImageFormat, said: Described, rows: Rows, over: Memory | None
) -> Pixels:
    """Return a new image of the device, one of the bytes of a buffer, or one of another's pixels.
    Raises ClError.
    """
    leased = scope.device.leased
    if over is None:
        return create_image(leased, image_format, said.shape)
    if isinstance(over.buffer, Pixels):
        try:
            return view_image(over.buffer, image_format)
        except (Unsupported, InvalidArgument, DeviceError) as error:
            if error.op not in ("", "ViewImage"):  # what has spoilt the image
                raise
            # The unit's runtime may not.
            raise ClError(cl.CL_IMAGE_FORMAT_NOT_SUPPORTED) from error
    require(over.size >= rows.size_bytes(said.shape.extent), cl.CL_INVALID_IMAGE_SIZE)
    return create_image(leased, image_format, said.shape, over.buffer, over.offset, said.row)


@entry("clCreateImage")
def create(context: CData, flags: int, format_at: CData, desc: CData, host: CData) -> CData:
    return _create(context, flags, format_at, lambda: described(desc), host)


@entry("clCreateImageWithProperties")
def create_with_properties(
    context: CData, properties: CData, flags: int, format_at: CData, desc: CData, host: CData
) -> CData:
    told = told_properties(properties)
    return _create(context, flags, format_at, lambda: described(desc), host, told)


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


def _buffer_beneath(image: Image) -> bytes:
    over = image.over
    if over is None or over.kind != cl.CL_MEM_OBJECT_BUFFER:
        return word(0)
    return pointer(over.handle)


_ANSWERS: Answers[Image] = {
    cl.CL_IMAGE_FORMAT: lambda image: (
        uint(image.pixels.format.order) + uint(image.pixels.format.channel)
    ),
    cl.CL_IMAGE_ELEMENT_SIZE: lambda image: word(image.pixels.format.pixel_bytes),
    cl.CL_IMAGE_ROW_PITCH: lambda image: word(image.rows.row),
    cl.CL_IMAGE_SLICE_PITCH: lambda image: word(image.rows.slice_told),
    cl.CL_IMAGE_WIDTH: lambda image: word(image.pixels.shape.width),
    cl.CL_IMAGE_HEIGHT: lambda image: word(
        image.pixels.shape.height if image.kind in (*FLAT, ImageKind.IMAGE3D) else 0
    ),
    cl.CL_IMAGE_DEPTH: lambda image: word(
        image.pixels.shape.depth if image.kind == ImageKind.IMAGE3D else 0
    ),
    cl.CL_IMAGE_ARRAY_SIZE: lambda image: word(
        image.pixels.shape.layers if image.kind in ARRAYS else 0
    ),
    cl.CL_IMAGE_BUFFER: _buffer_beneath,
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
