"""`Normalise`: of uint8 by a table of what each value becomes, of others by arithmetic in place.

Rules: both compute in float32, so that a value becomes the same on both ways.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from gon.vision_shape import Images
from gon.vision_stages import Normalise
from gon_server.engines.vision.driver import Image, check_place


def normalising(stage: Normalise, before: Images) -> Callable[[Image, Image], None]:
    """Return what writes an image, normalised, to a target."""
    mean, deviation = (
        np.broadcast_to(np.array(numbers, np.float32), before.channels)
        for numbers in (stage.mean, stage.deviation)
    )
    if before.element == "uint8":
        return _by_table(stage, mean, deviation)

    # A row at a time: channels repeated, so that each step is one over many elements.
    means, deviations = (np.tile(numbers, before.width) for numbers in (mean, deviation))

    def write(source: Image, target: Image) -> None:
        rows = source.reshape(before.height, -1)
        written = target.reshape(before.height, -1)
        if stage.element == "float32":
            _compute(rows, means, deviations, written)
            return
        for row, place in zip(rows, written, strict=True):
            _saturate(_compute(row, means, deviations, np.empty(row.shape, np.float32)), place)

    return write


def _by_table(
    stage: Normalise, mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> Callable[[Image, Image], None]:
    values = np.repeat(np.arange(256, dtype=np.float32)[:, None], len(mean), axis=1)
    _compute(values, mean, deviation, values)
    table: Image = values
    if stage.element != "float32":
        table = np.empty(values.shape, stage.element)
        _saturate(values, table)
    table = table.reshape(256, 1, len(mean))

    def write(source: Image, target: Image) -> None:
        check_place(cv2.LUT(source, table, dst=target), target)

    return write


def _compute(
    values: Image, mean: NDArray[np.float32], deviation: NDArray[np.float32], target: Image
) -> Image:
    # What is beyond float32 becomes infinite, as in every other stage.
    with np.errstate(all="ignore"):
        np.subtract(values, mean, out=target, dtype=np.float32)
        return np.divide(target, deviation, out=target, dtype=np.float32)


def _saturate(values: Image, target: Image) -> None:
    """Write the nearest whole numbers that the target can hold; what is none becomes 0."""
    most = 0xFF if target.dtype == np.uint8 else 0xFFFF
    np.rint(values, out=values)
    np.nan_to_num(values, copy=False, nan=0.0, posinf=most, neginf=0.0)
    np.copyto(target, np.clip(values, 0, most, out=values), casting="unsafe")
