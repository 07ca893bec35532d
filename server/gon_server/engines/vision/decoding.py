"""Encoded images to images of the size that a graph says.

    bytes ─▶ header: its form, its size ─▶ OpenCV, in memory ─▶ fitted to where it shall lie

Rules: nothing is given to a decoder whose header is not one of the three forms, or promises more
than may be. OpenCV's other forms have decoders that were written for one's own files: they are
never reached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from gon.errors import CorruptData, InvalidArgument, LimitExceeded
from gon.image_header import read_header
from gon.vision_limits import (
    VISION_ENCODED_BYTES_MAX,
    VISION_PIXELS_MAX,
    VISION_SIDE_MAX,
)
from gon.vision_stages import Decode
from gon_server.engines.vision.driver import INTERPOLATIONS, Image, check_place

_FLAGS: Final = {
    "rgb": cv2.IMREAD_COLOR_RGB,
    "bgr": cv2.IMREAD_COLOR_BGR,
    "gray": cv2.IMREAD_GRAYSCALE,
}


def parts_of(data: NDArray[np.uint8], sizes: NDArray[np.uint64]) -> list[NDArray[np.uint8]]:
    """Return the encoded images that lie one behind the other, from the beginning on.

    Raises InvalidArgument for sizes that are not theirs, LimitExceeded.
    """
    numbers = [int(size) for size in sizes]
    if min(numbers, default=0) < 1 or sum(numbers) > len(data):
        raise InvalidArgument(f"images of {sum(numbers)} bytes in all, in {len(data)} bytes")
    if max(numbers) > VISION_ENCODED_BYTES_MAX:
        raise LimitExceeded(f"an image of {max(numbers)} bytes; at most {VISION_ENCODED_BYTES_MAX}")
    ends = np.cumsum(numbers)
    return [data[end - size : end] for size, end in zip(numbers, ends, strict=True)]


def decoding(stage: Decode) -> Callable[[NDArray[np.uint8], Image], None]:
    """Return what writes an encoded image, decoded and fitted, to a target."""
    flags = _FLAGS[stage.colour] | cv2.IMREAD_IGNORE_ORIENTATION
    how = INTERPOLATIONS[stage.interpolation]

    def write(part: NDArray[np.uint8], target: Image) -> None:
        found = _decoded(part, flags)
        height, width = found.shape[:2]
        if (height, width) == (stage.height, stage.width):
            np.copyto(target, found)
            return
        if stage.fit == "exact":
            raise CorruptData(
                f"an image of {height} × {width} pixels, not {stage.height} × {stage.width}"
            )
        if stage.fit == "cover":
            found = found[_middle((height, width), (stage.height, stage.width))]
        elif stage.fit == "contain":
            target[:] = 0
            target = target[_middle((stage.height, stage.width), (height, width))]
        size = (target.shape[1], target.shape[0])
        check_place(cv2.resize(found, size, dst=target, interpolation=how), target)

    return write


def _decoded(part: NDArray[np.uint8], flags: int) -> Image:
    """Return an encoded image as it is, in memory of OpenCV's.

    Raises CorruptData, Unsupported for what is no image of the forms taken, LimitExceeded.
    """
    header = read_header(part.data)
    told = f"a {header.form} of {header.height} × {header.width} pixels"
    if (
        max(header.height, header.width) > VISION_SIDE_MAX
        or header.height * header.width > VISION_PIXELS_MAX
    ):
        raise LimitExceeded(
            f"{told}; at most {VISION_PIXELS_MAX} pixels, {VISION_SIDE_MAX} along a side"
        )
    found = cv2.imdecode(part, flags)
    if found is None or found.shape[:2] != (header.height, header.width):
        raise CorruptData(f"{told} that is damaged or cut short")
    return found


def _middle(whole: tuple[int, int], other: tuple[int, int]) -> tuple[slice, slice]:
    """Return the part in the middle of `whole` that is the largest with the proportions of
    `other`.
    """
    height, width = whole
    high, wide = other
    if height * wide <= width * high:
        cut = (height, max(1, round(wide * height / high)))
    else:
        cut = (max(1, round(high * width / wide)), width)
    top, left = (height - cut[0]) // 2, (width - cut[1]) // 2
    return slice(top, top + cut[0]), slice(left, left + cut[1])
