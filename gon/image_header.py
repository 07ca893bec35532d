"""What an encoded image says of itself, before anything is decoded: its form and its size.

Rules: pure; whatever the bytes are, reading ends soon, with an answer or with an error. Stricter
than decoders are: what this reads is what they will find.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gon.errors import CorruptData, Unsupported
from gon.vision_limits import VISION_SCANS_MAX, VISION_SEGMENTS_MAX

Form: TypeAlias = Literal["png", "jpeg", "webp"]

_PNG = b"\x89PNG\r\n\x1a\n"
# Frames of JPEG; the numbers between them are tables and an extension.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_MARKER = 0xFF
_START_OF_SCAN = 0xDA
# Among coded pixels a marker's first byte is followed by a zero, or by a mark to resume at.
_BEHIND_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END_OF_IMAGE = 0xD9


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """An encoded image's form and size."""

    form: Form
    height: int
    width: int


def read_header(data: bytes | memoryview) -> ImageHeader:
    """Return what an encoded image says of itself.

    Raises Unsupported for a form that is none of the three, CorruptData for a header that is cut
    short or makes no sense.
    """
    start = bytes(data[:30])
    form: Form
    try:
        if start.startswith(_PNG):
            form, (height, width) = "png", _png(start)
        elif start.startswith(b"\xff\xd8\xff"):
            form, (height, width) = "jpeg", _jpeg(data)
        elif start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            form, (height, width) = "webp", _webp(start)
        else:
            raise Unsupported("an image that is neither PNG nor JPEG nor WebP")
    except (struct.error, IndexError) as error:
        raise CorruptData("an image whose header is cut short") from error
    if not height or not width:
        raise CorruptData(f"a {form} of {height} × {width} pixels")
    return ImageHeader(form, height, width)


def _png(start: bytes) -> tuple[int, int]:
    length, kind, width, height = struct.unpack(">I4sII", start[8:24])
    if (length, kind) != (13, b"IHDR"):
        raise CorruptData("a png that does not begin with its header")
    return height, width


def _jpeg(data: bytes | memoryview) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    scans = 0
    try:
        for marker, at in _segments(data):
            if marker in _FRAMES and size is None:
                height, width = struct.unpack(">HH", data[at + 1 : at + 5])
                size = (height, width)
            scans += marker == _START_OF_SCAN
            if scans and size is None:
                break
            if scans > VISION_SCANS_MAX:
                raise CorruptData(f"a jpeg of more than {VISION_SCANS_MAX} scans")
    except (struct.error, IndexError):
        # Where its end is missing its decoder will say so.
        if size is None:
            raise
    if size is None:
        raise CorruptData("a jpeg with no frame before its first scan")
    return size


def _segments(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Give the marker of each segment and where its content begins, to the image's end."""
    at = 2
    for _ in range(VISION_SEGMENTS_MAX):
        if data[at] != _MARKER:
            raise CorruptData(f"a jpeg with no marker at byte {at}")
        marker = data[at + 1]
        if marker == _MARKER or marker in _BARE:
            at += 1 if marker == _MARKER else 2
            continue
        if marker in (0x00, 0xD8):
            raise CorruptData(f"a jpeg with no segment at byte {at}")
        if marker == _END_OF_IMAGE:
            return
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        yield marker, at + 4
        at += 2 + max(2, length)
        if marker == _START_OF_SCAN:
            behind = _BEHIND_SCAN.search(data, at)
            if behind is None:
                return
            at = behind.start()
    raise CorruptData(f"a jpeg of more than {VISION_SEGMENTS_MAX} segments")


def _webp(start: bytes) -> tuple[int, int]:
    kind = start[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(start[at : at + 3], "little") + 1 for at in (24, 27))
        if len(start) < 30:
            raise CorruptData("a webp whose header is cut short")
        return height, width
    if kind == b"VP8L":
        signature, bits = struct.unpack("<BI", start[20:25])
        if signature == 0x2F:
            return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    elif kind == b"VP8 ":
        code, width, height = struct.unpack("<3sHH", start[23:30])
        if code == b"\x9d\x01\x2a":
            return height & 0x3FFF, width & 0x3FFF
    raise CorruptData("a webp that does not begin with its header")
