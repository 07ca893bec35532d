"""What a device may give besides: OpenCL's images and samplers.

An image is to handles, quota, poison and `free` what a buffer is: it has a handle of theirs, and
may stand where a launch takes an image. Its pixels come and go by way of buffers, in whose bytes a
region lies row by row and slice by slice without gaps.

    write(stream, staging, …) ─▶ from_buffer ─▶ image ─▶ launch ─▶ to_buffer ─▶ read(stream, …)

A sampler is a value: its terms, coded. In signatures an image is a BUFFER and a sampler a VALUE,
each known by its type's name, and by having qualifiers, as types of OpenCL have. Numbers are those
that OpenCL has for them.

Rules: what can be checked without a device is checked here, on both sides. An origin and a region
are three numbers, in pixels; in an array the layer is the one behind those of a single image. Must
not know: wires, sockets, leases.
"""

from __future__ import annotations

import math
import struct
from enum import IntEnum
from typing import Final, Protocol, runtime_checkable

import msgspec

from gon.errors import InvalidArgument, Unsupported
from gon.model import Dim3, Handle, Param

COLOR_BYTES: Final = 16
SAMPLER_TYPE: Final = "sampler_t"
SAMPLER_BYTES: Final = 12
_SIZE_MAX: Final = 1 << 32
_BYTES_MAX: Final = 1 << 62


class ImageKind(IntEnum):
    """What an image is, by OpenCL's numbers of memory objects."""

    IMAGE2D = 0x10F1
    IMAGE3D = 0x10F2
    IMAGE2D_ARRAY = 0x10F3
    IMAGE1D = 0x10F4
    IMAGE1D_ARRAY = 0x10F5
    IMAGE1D_BUFFER = 0x10F6


# The types of parameters that take an image, and of what kind.
TYPES: Final = {
    "image1d_t": ImageKind.IMAGE1D,
    "image1d_buffer_t": ImageKind.IMAGE1D_BUFFER,
    "image1d_array_t": ImageKind.IMAGE1D_ARRAY,
    "image2d_t": ImageKind.IMAGE2D,
    "image2d_depth_t": ImageKind.IMAGE2D,
    "image2d_array_t": ImageKind.IMAGE2D_ARRAY,
    "image2d_array_depth_t": ImageKind.IMAGE2D_ARRAY,
    "image3d_t": ImageKind.IMAGE3D,
}

# Which orders of channels there are, and how many each has. Those with padding are left out: what
# lies there nobody says.
_CHANNELS: Final = {
    0x10B0: 1, 0x10B1: 1, 0x10B2: 2, 0x10B3: 2, 0x10B5: 4, 0x10B6: 4, 0x10B7: 4, 0x10B8: 1,
    0x10B9: 1, 0x10BD: 1, 0x10C1: 4, 0x10C2: 4, 0x10C3: 4,
}  # fmt: skip
DEPTH: Final = 0x10BD
# Which types of channels there are, and the bytes of one.
_CHANNEL_BYTES: Final = {
    0x10D0: 1, 0x10D1: 2, 0x10D2: 1, 0x10D3: 2, 0x10D7: 1, 0x10D8: 2, 0x10D9: 4, 0x10DA: 1,
    0x10DB: 2, 0x10DC: 4, 0x10DD: 2, 0x10DE: 4,
}  # fmt: skip
# Pixels that are packed into one number: RGB in 16 or 32 bits, RGBA in 32.
_PACKED: Final = {
    (0x10B4, 0x10D4): 2, (0x10B4, 0x10D5): 2, (0x10B4, 0x10D6): 4, (0x10B5, 0x10E0): 4,
}  # fmt: skip
# Orders of channels by which the same pixels may be seen: RGBA, BGRA, RGB and RGBx with what is
# sRGB of each, R and DEPTH.
_ALIKE: Final = tuple(
    {0x10B5: 0x10C1, 0x10B6: 0x10C2, 0x10B4: 0x10BF, 0x10BC: 0x10C0, 0x10B0: 0x10BD}.items()
)


class ImageFormat(msgspec.Struct, frozen=True):
    """What a pixel is: the order of its channels, and their type."""

    order: int
    channel: int

    @property
    def is_depth(self) -> bool:
        """Whether a pixel is a depth: kernels have types of their own for it."""
        return self.order == DEPTH

    @property
    def pixel_bytes(self) -> int:
        """The bytes of a pixel; 0 for what is not known here."""
        packed = _PACKED.get((self.order, self.channel))
        if packed is not None:
            return packed
        return _CHANNELS.get(self.order, 0) * _CHANNEL_BYTES.get(self.channel, 0)

    def is_seen_as(self, other: ImageFormat) -> bool:
        """Whether pixels of this format may be seen in the other."""
        orders = (self.order, other.order)
        return self.channel == other.channel and (orders in _ALIKE or orders[::-1] in _ALIKE)


class ImageShape(msgspec.Struct, frozen=True):
    """How large an image is, in pixels; what its kind has not is 1."""

    kind: ImageKind
    width: int
    height: int = 1
    depth: int = 1
    layers: int = 1

    @property
    def extent(self) -> Dim3:
        """The size in the three numbers that origins and regions have."""
        match self.kind:
            case ImageKind.IMAGE1D_ARRAY:
                return (self.width, self.layers, 1)
            case ImageKind.IMAGE2D_ARRAY:
                return (self.width, self.height, self.layers)
            case _:
                return (self.width, self.height, self.depth)

    @property
    def whole(self) -> Dim3:
        """The size of an image, or of one of an array."""
        return (self.width, self.height, self.depth)

    @property
    def pixels(self) -> int:
        return math.prod(self.extent)


class Over(msgspec.Struct, frozen=True):
    """The buffer whose memory an image is: from `offset` on, rows `row_pitch` bytes apart, 0 for
    rows that touch.
    """

    buffer: Handle
    offset: int = 0
    row_pitch: int = 0


class SamplerTerms(msgspec.Struct, frozen=True):
    """How a kernel reads an image: whether places are from 0 to 1, what lies outside, and what
    between pixels.
    """

    normalized: bool
    addressing: int
    filtering: int

    @property
    def coded(self) -> bytes:
        """The value that a launch takes for the sampler."""
        return struct.pack("<III", self.normalized, self.addressing, self.filtering)


NEAREST, LINEAR = 0x1140, 0x1141
NONE, CLAMP_TO_EDGE, CLAMP, REPEAT, MIRRORED_REPEAT = range(0x1130, 0x1135)


def sampler_of(coded: bytes) -> SamplerTerms:
    """Return the terms of a sampler. Raises InvalidArgument."""
    if len(coded) != SAMPLER_BYTES:
        raise InvalidArgument(f"a sampler of {len(coded)} bytes; it has {SAMPLER_BYTES}")
    normalized, addressing, filtering = struct.unpack("<III", coded)
    terms = SamplerTerms(normalized == 1, addressing, filtering)
    known = NONE <= addressing <= MIRRORED_REPEAT and filtering in (NEAREST, LINEAR)
    repeats = addressing in (REPEAT, MIRRORED_REPEAT)
    if normalized > 1 or not known or (repeats and not normalized):
        raise InvalidArgument(f"there is no such sampler: {terms}")
    return terms


def kind_of(param: Param) -> ImageKind | None:
    """Return the kind of image that a parameter takes, None for one that takes none."""
    return None if param.qualifiers is None else TYPES.get(param.type_name)


def is_sampler(param: Param) -> bool:
    """Return whether a parameter takes a sampler."""
    return param.qualifiers is not None and param.type_name == SAMPLER_TYPE


def check_shape(shape: ImageShape, image_format: ImageFormat) -> int:
    """Return how many bytes the pixels have. Raises InvalidArgument, Unsupported."""
    of = {
        ImageKind.IMAGE1D: (1,), ImageKind.IMAGE1D_BUFFER: (1,), ImageKind.IMAGE1D_ARRAY: (1, 4),
        ImageKind.IMAGE2D: (1, 2), ImageKind.IMAGE2D_ARRAY: (1, 2, 4),
        ImageKind.IMAGE3D: (1, 2, 3),
    }[shape.kind]  # fmt: skip
    sizes = (shape.width, shape.height, shape.depth, shape.layers)
    for number, size in enumerate(sizes, 1):
        if not 1 <= size < _SIZE_MAX or (size > 1 and number not in of):
            raise InvalidArgument(f"there is no such image: {shape}")
    if not image_format.pixel_bytes:
        raise Unsupported(f"pixels of {image_format} are not known")
    size_bytes = shape.pixels * image_format.pixel_bytes
    if size_bytes >= _BYTES_MAX:
        raise InvalidArgument(f"an image of {size_bytes} bytes")
    return size_bytes


def check_region(shape: ImageShape, origin: Dim3, region: Dim3) -> None:
    """Raise InvalidArgument unless the region lies in the image, and is not empty."""
    for first, size, most in zip(origin, region, shape.extent, strict=True):
        if first < 0 or size < 1 or first + size > most:
            raise InvalidArgument(
                f"a region of {region} from {origin} on is outside an image of {shape.extent}"
            )


def overlap(one: Dim3, other: Dim3, region: Dim3) -> bool:
    """Return whether two regions of one image have a pixel in common."""
    return all(abs(a - b) < size for a, b, size in zip(one, other, region, strict=True))


class Images(Protocol):
    """The images of a device. Calls raise, early or late, as those of `gon.device.Device` do."""

    def formats(self, access: int, kind: ImageKind) -> tuple[ImageFormat, ...]:
        """Return what formats images of a kind may have; `access` are OpenCL's flags of memory."""
        ...

    def create(
        self, image: Handle, image_format: ImageFormat, shape: ImageShape, over: Over | None = None
    ) -> None:
        """Make an image of zeros, or one `over` a buffer, which then lives as long.

        Raises OutOfMemory, InvalidArgument, Unsupported for a format that the device has not.
        """
        ...

    def view(self, image: Handle, of: Handle, seen: ImageFormat) -> None:
        """Make an image that is another's pixels, which then live as long, `seen` in a format that
        those may be seen in. It is there when this returns.

        Raises InvalidArgument, also for one that is another's pixels or a buffer's bytes itself,
        Unsupported.
        """
        ...

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_origin: Dim3,
        target: Handle,
        target_origin: Dim3,
        region: Dim3,
    ) -> None:
        """Copy a region between images of one format; regions of one image must not overlap."""
        ...

    def fill(self, stream: Handle, image: Handle, origin: Dim3, region: Dim3, color: bytes) -> None:
        """Set a region to a color: four numbers of 32 bits, of the format's kind."""
        ...

    def from_buffer(
        self, stream: Handle, buffer: Handle, offset: int, image: Handle, origin: Dim3, region: Dim3
    ) -> None:
        """Copy a region's pixels out of a buffer."""
        ...

    def to_buffer(
        self, stream: Handle, image: Handle, origin: Dim3, region: Dim3, buffer: Handle, offset: int
    ) -> None:
        """Copy a region's pixels into a buffer."""
        ...


@runtime_checkable
class Imaging(Protocol):
    """A device that may have images."""

    @property
    def images(self) -> Images | None:
        """What does the work; None where the device has none."""
        ...
