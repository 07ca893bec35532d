"""What stages of image graphs may say, whatever images they are given. Pure.

Rules: whoever passes this, and gon.vision_shape for the images of a call, is computed by OpenCV
without complaint, in bounded time and memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gon.errors import InvalidArgument, LimitExceeded
from gon.vision_limits import (
    VISION_ENCODED_BYTES_MAX,
    VISION_KERNEL_LONG_MAX,
    VISION_KERNEL_MAX,
    VISION_PIXELS_MAX,
    VISION_POINTS_MAX,
    VISION_SIDE_MAX,
    VISION_TILES_MAX,
)
from gon.vision_stages import (
    Bilateral,
    Canny,
    Colour,
    Corners,
    Crop,
    Decode,
    Encode,
    Equalise,
    Filter,
    Gaussian,
    Median,
    Normalise,
    Orb,
    Resize,
    Separable,
    Sobel,
    Stage,
    Threshold,
    Warp,
)


def check_stage(stage: Stage) -> None:  # noqa: C901 - a row for each stage
    """Raise InvalidArgument or LimitExceeded for what no image could go through."""
    match stage:
        case Decode(height=height, width=width) | Resize(height=height, width=width):
            _check_size(height, width)
        case Crop(top=top, left=left, height=height, width=width):
            _check_size(height, width)
            _within(top, 0, VISION_SIDE_MAX, "top")
            _within(left, 0, VISION_SIDE_MAX, "left")
        case Warp(matrix=matrix, height=height, width=width):
            _check_size(height, width)
            if len(matrix) not in (6, 9):
                raise InvalidArgument(f"a matrix of {len(matrix)} numbers; 6 or 9 are needed")
            _finite(matrix, "matrix")
            if not _determinant(matrix):
                raise InvalidArgument("a matrix that takes the image to a line")
        case Colour(source=source, target=target):
            plain = {"rgb", "bgr"}
            linear = plain | {"rgba", "bgra", "gray"}
            if source == target or not (
                {source, target} <= linear or source in plain or target in plain
            ):
                raise InvalidArgument(f"no way from {source} to {target}")
        case Gaussian(size=size, sigma=sigma):
            _odd(size, VISION_KERNEL_LONG_MAX)
            _between(sigma, 0.0, VISION_KERNEL_LONG_MAX, "sigma")
        case Median(size=size):
            _odd(size, VISION_KERNEL_LONG_MAX)
        case Bilateral(diameter=diameter, sigma_colour=colour, sigma_space=space):
            _within(diameter, 1, VISION_KERNEL_MAX, "diameter")
            _between(colour, 1e-3, 1e6, "sigma_colour")
            _between(space, 1e-3, 1e6, "sigma_space")
        case Filter(kernel=kernel):
            _odd(len(kernel), VISION_KERNEL_MAX, "rows of the kernel")
            for row in kernel:
                _odd(len(row), VISION_KERNEL_MAX, "columns of the kernel")
                _finite(row, "kernel")
            if len({len(row) for row in kernel}) != 1:
                raise InvalidArgument("a kernel with rows of different lengths")
        case Separable(across=across, down=down):
            for name, numbers in (("across", across), ("down", down)):
                _odd(len(numbers), VISION_KERNEL_LONG_MAX, f"numbers of {name}")
                _finite(numbers, name)
        case _:
            _check_reading(stage)


def _check_reading(stage: Stage) -> None:
    """The rest of `check_stage`: stages that look at an image's content."""
    match stage:
        case Sobel(across=across, down=down, size=size):
            _within(across, 0, size - 1, "across")
            _within(down, 0, size - 1, "down")
            if not across + down:
                raise InvalidArgument("a derivative of no order")
        case Canny(low=low, high=high):
            _between(high, 0.0, 1e6, "high")
            _between(low, 0.0, high, "low")
        case Threshold(level=level, high=high):
            _finite((level, high), "level and high")
        case Equalise(clip=clip, tiles=tiles):
            _between(clip, 0.0, 1e6, "clip")
            _within(tiles, 1, VISION_TILES_MAX, "tiles")
        case Normalise(mean=mean, deviation=deviation):
            for name, numbers in (("mean", mean), ("deviation", deviation)):
                if len(numbers) not in (1, 3, 4):
                    raise InvalidArgument(f"{name} of {len(numbers)} numbers; 1, 3 or 4")
                _finite(numbers, name)
            if not all(deviation):
                raise InvalidArgument("a deviation of 0")
        case Corners(count_max=count, quality=quality, distance=distance):
            _within(count, 1, VISION_POINTS_MAX, "count_max")
            _between(quality, 1e-9, 1.0, "quality")
            _between(distance, 0.0, VISION_SIDE_MAX, "distance")
        case Orb(count_max=count, levels=levels, scale=scale):
            _within(count, 1, VISION_POINTS_MAX, "count_max")
            _within(levels, 1, 16, "levels")
            _between(scale, 1.05, 4.0, "scale")
        case Encode(quality=quality, room_bytes=room):
            _within(quality, 1, 101 if stage.form == "webp" else 100, "quality")
            _within(room, 0, VISION_ENCODED_BYTES_MAX, "room_bytes")
        case _:
            pass


def _check_size(height: int, width: int) -> None:
    _within(height, 1, VISION_SIDE_MAX, "height")
    _within(width, 1, VISION_SIDE_MAX, "width")
    at_most(height * width, VISION_PIXELS_MAX, "pixels")


def _determinant(matrix: Sequence[float]) -> float:
    a, b, c, d, e, f, *last = matrix
    g, h, i = last or (0.0, 0.0, 1.0)
    found = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return found if math.isfinite(found) else 0.0


def _finite(numbers: Sequence[float], what: str) -> None:
    """Raise unless float32, which images are computed in, has these numbers."""
    if not all(abs(number) <= 1e30 for number in numbers):
        raise InvalidArgument(f"{what}: a number that is none, or beyond 1e30")


def _between(number: float, least: float, most: float, what: str) -> None:
    if not least <= number <= most:
        raise InvalidArgument(f"{what} of {number}; from {least:g} to {most:g}")


def _odd(size: int, most: int, what: str = "size") -> None:
    _within(size, 1, most, what)
    if size % 2 == 0:
        raise InvalidArgument(f"{what}: {size} is even; a middle is needed")


def at_most(value: int, most: int, what: str) -> None:
    if value > most:
        raise LimitExceeded(f"{value} {what}; at most {most}")


def _within(value: int, least: int, most: int, what: str) -> None:
    if value < least:
        raise InvalidArgument(f"{what} of {value}; from {least} to {most}")
    if value > most:
        raise LimitExceeded(f"{what} of {value}; from {least} to {most}")
