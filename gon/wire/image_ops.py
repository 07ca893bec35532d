"""The ops of images; gon.wire.ops has them in its table, and says what an op is."""

from __future__ import annotations

from gon.wire.op import Op


class MakeImage(Op, frozen=True):
    """Base of what makes an image."""

    image: int

    @property
    def beneath(self) -> int:
        """Whose memory it is, 0 for its own."""
        raise NotImplementedError


class CreateImage(MakeImage, frozen=True, tag=66):
    """Make an image: its handle is a buffer's. Numbers are OpenCL's; sizes that the kind has not
    are 1. With a `buffer`, not 0, its pixels are that buffer's bytes from `offset` on, rows
    `row_pitch` bytes apart (0: they touch), and it takes no memory.

    The ops of images are for hosts of version 14 or later.
    """

    kind: int
    order: int
    channel: int
    width: int
    height: int
    depth: int
    layers: int
    buffer: int
    offset: int
    row_pitch: int

    @property
    def beneath(self) -> int:
        return self.buffer


class ViewImage(MakeImage, frozen=True, tag=82):
    """Make an image that is another's pixels, seen in a format of another order of channels; it
    takes no memory. Answered once it is there: what can be seen so the runtime says.

    For hosts of version 18 or later.
    """

    of: int
    order: int
    channel: int
    reply: int

    @property
    def beneath(self) -> int:
        return self.of


class ImageWork(Op, frozen=True):
    """Base of what a stream does with images."""

    stream: int


class CopyImage(ImageWork, frozen=True, tag=67):
    source: int
    source_origin: tuple[int, int, int]
    target: int
    target_origin: tuple[int, int, int]
    region: tuple[int, int, int]


class FillImage(ImageWork, frozen=True, tag=68):
    """`color` is four numbers of 32 bits: floats, or whole ones, as the image's format has it."""

    image: int
    origin: tuple[int, int, int]
    region: tuple[int, int, int]
    color: bytes


class BufferToImage(ImageWork, frozen=True, tag=69):
    """Copy a region's pixels out of a buffer, in which its rows and slices touch."""

    buffer: int
    offset: int
    image: int
    origin: tuple[int, int, int]
    region: tuple[int, int, int]


class ImageToBuffer(ImageWork, frozen=True, tag=70):
    image: int
    origin: tuple[int, int, int]
    region: tuple[int, int, int]
    buffer: int
    offset: int


class ImageFormats(Op, frozen=True, tag=71):
    """Say what formats images of a kind may have, for OpenCL's flags of access."""

    access: int
    kind: int
    reply: int
