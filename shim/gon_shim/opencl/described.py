"""What a program says of an image that it wants: its format, its shape, and whether it lies over
a buffer; checked by the rules of clCreateImage.

Must not know: queues, how pixels travel.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from _gon_opencl import ffi
from gon.images import ImageFormat, ImageKind, ImageShape
from gon_client.image import Image as Pixels
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.image_rows import Rows
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.memory import Memory
from gon_shim.opencl.scope import Scope

if TYPE_CHECKING:
    from _gon_opencl import CData

FLAT: Final = (ImageKind.IMAGE2D, ImageKind.IMAGE2D_ARRAY)
ARRAYS: Final = (ImageKind.IMAGE1D_ARRAY, ImageKind.IMAGE2D_ARRAY)
# What may lie in the memory of another.
_OVER: Final = (ImageKind.IMAGE1D_BUFFER, ImageKind.IMAGE2D)
_DESCRIPTION: Final = struct.Struct("<I4xQQQQQQIIQ")


class Described(NamedTuple):
    """What a program says of an image; 0 where it says nothing. `over` is a memory object."""

    shape: ImageShape
    row: int = 0
    slice: int = 0
    over: int = 0

    def rows(self, pixel: int, *, has_host: bool) -> Rows:
        """Return how it lies in the program's memory, or over a buffer. Raises ClError."""
        wrong, kind = cl.CL_INVALID_IMAGE_DESCRIPTOR, self.shape.kind
        if not has_host:
            require(not self.slice, wrong)
            require(not self.row or (self.over and kind is ImageKind.IMAGE2D), wrong)
        row = self.row or self.shape.width * pixel
        require(row % pixel == 0 and self.slice % row == 0, wrong)
        return Rows.of(kind, self.shape.extent, pixel, self.row, self.slice, wrong)


def described(at: CData) -> Described:
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
        height if kind in FLAT or kind is ImageKind.IMAGE3D else 1,
        depth if kind is ImageKind.IMAGE3D else 1,
        layers if kind in ARRAYS else 1,
    )
    require(min(*shape.whole, shape.layers), cl.CL_INVALID_IMAGE_DESCRIPTOR)
    return Described(shape, row, slice_, over)


def format_of(at: CData) -> ImageFormat:
    """Return a cl_image_format. Raises ClError for what no image has."""
    require(at, cl.CL_INVALID_IMAGE_FORMAT_DESCRIPTOR)
    order, channel = struct.unpack("<II", bytes(ffi.buffer(at, 8)))
    orders = cl.CL_R <= order <= cl.CL_ABGR
    channels = cl.CL_SNORM_INT8 <= channel <= cl.CL_UNORM_INT_101010_2
    require(orders and channels, cl.CL_INVALID_IMAGE_FORMAT_DESCRIPTOR)
    return ImageFormat(order, channel)


def beneath(said: Described, image_format: ImageFormat, scope: Scope) -> Memory | None:
    """Return the buffer that an image is to lie over, or the image whose pixels it is to be.
    Raises ClError.
    """
    kind = said.shape.kind
    wrong = cl.CL_INVALID_IMAGE_DESCRIPTOR
    if not said.over:
        require(kind is not ImageKind.IMAGE1D_BUFFER, wrong)
        return None
    require(kind in _OVER, wrong)
    over = Memory.find(ffi.cast("void *", said.over))
    if over is None or over.scope is not scope:
        raise ClError(wrong)
    if isinstance(over.buffer, Pixels):
        require(kind is ImageKind.IMAGE2D, wrong)
        _check_alike(over.buffer, said, image_format)
        # What lies over a buffer is no more than that.
        require(over.beneath is None, cl.CL_IMAGE_FORMAT_NOT_SUPPORTED)
        return over
    if kind is ImageKind.IMAGE2D:
        _check_alignment(said, over, image_format.pixel_bytes, scope)
    return over


def _check_alike(pixels: Pixels, said: Described, wanted: ImageFormat) -> None:
    """Raise ClError unless an image is one that another's pixels can be seen as."""
    same = pixels.shape == said.shape and not said.row and not said.slice
    is_alike = pixels.format.is_seen_as(wanted)
    require(is_alike and same, cl.CL_INVALID_IMAGE_FORMAT_DESCRIPTOR)


def _check_alignment(said: Described, over: Memory, pixel: int, scope: Scope) -> None:
    """Raise ClError for rows over a buffer that begin where the device's must not: its alignments
    are in pixels.
    """
    one = scope.device
    alignment = one.number(cl.CL_DEVICE_IMAGE_PITCH_ALIGNMENT)
    require(alignment, cl.CL_INVALID_OPERATION)
    row = said.row or said.shape.width * pixel
    begins = one.number(cl.CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT) or 1
    fits = row % (alignment * pixel) == 0 and over.offset % (begins * pixel) == 0
    require(fits, cl.CL_INVALID_IMAGE_FORMAT_DESCRIPTOR)
