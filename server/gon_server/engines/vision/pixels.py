"""Stages from an image to an image, each as what writes its result to where it shall lie.

Rules: what can be made beforehand is made once. Nothing is written but the target; a `Crop` writes
nothing, it is a view, and not here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from gon.vision_shape import Images
from gon.vision_stages import (
    Bilateral,
    Canny,
    Colour,
    Equalise,
    Filter,
    Flip,
    Gaussian,
    Median,
    Normalise,
    Planar,
    Resize,
    Rotate,
    Separable,
    Sobel,
    Space,
    Stage,
    Threshold,
    Warp,
)
from gon_server.engines.vision.driver import INTERPOLATIONS, Image, check_place
from gon_server.engines.vision.normalising import normalising

# Reads the first, writes the second.
Pixels: TypeAlias = Callable[[Image, Image], None]
# The same, but tells where OpenCV has written.
_Call: TypeAlias = Callable[[Image, Image], object]

_FLIPS = {"vertical": 0, "horizontal": 1, "both": -1}
_TURNS = {
    1: cv2.ROTATE_90_CLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_BORDERS = {"zero": cv2.BORDER_CONSTANT, "edge": cv2.BORDER_REPLICATE}
_SPELLED: dict[Space, str] = {
    "rgb": "RGB", "bgr": "BGR", "rgba": "RGBA", "bgra": "BGRA", "gray": "GRAY", "hsv": "HSV",
    "lab": "Lab", "ycrcb": "YCrCb",
}  # fmt: skip


def pixels_of(stage: Stage, before: Images) -> Pixels:
    """Return what a stage does to such images. Raises AssertionError for a stage that is none."""
    if isinstance(stage, Normalise):
        return normalising(stage, before)
    if isinstance(stage, Planar):
        return _planar
    call = _geometry(stage) or _filtering(stage) or _levels(stage)
    assert call is not None, stage

    def write(source: Image, target: Image) -> None:
        check_place(call(source, target), target)

    return write


def colour_code(source: Space, target: Space) -> int:
    """Return OpenCV's number of a way from one space to another."""
    return int(getattr(cv2, f"COLOR_{_SPELLED[source]}2{_SPELLED[target]}"))


def _geometry(stage: Stage) -> _Call | None:
    match stage:
        case Resize(height=height, width=width, interpolation=name):
            size, how = (width, height), INTERPOLATIONS[name]
            return lambda source, target: cv2.resize(source, size, dst=target, interpolation=how)
        case Flip(axis=axis):
            code = _FLIPS[axis]
            return lambda source, target: cv2.flip(source, code, dst=target)
        case Rotate(quarters=quarters):
            code = _TURNS[quarters]
            return lambda source, target: cv2.rotate(source, code, dst=target)
        case Warp():
            return _warping(stage)
        case Colour(source=first, target=last):
            code = colour_code(first, last)
            return lambda source, target: cv2.cvtColor(source, code, dst=target)
        case _:
            return None


def _warping(stage: Warp) -> _Call:
    matrix = np.array(stage.matrix, np.float64).reshape(-1, 3)
    warp = cv2.warpAffine if len(matrix) == 2 else cv2.warpPerspective
    size, border = (stage.width, stage.height), _BORDERS[stage.border]
    how = INTERPOLATIONS[stage.interpolation]
    return lambda source, target: warp(
        source, matrix, size, dst=target, flags=how, borderMode=border
    )


def _filtering(stage: Stage) -> _Call | None:
    match stage:
        case Gaussian(size=size, sigma=sigma):
            return lambda source, target: cv2.GaussianBlur(source, (size, size), sigma, dst=target)
        case Median(size=size):
            return lambda source, target: cv2.medianBlur(source, size, dst=target)
        case Bilateral(diameter=diameter, sigma_colour=colour, sigma_space=space):
            return lambda source, target: cv2.bilateralFilter(
                source, diameter, colour, space, dst=target
            )
        case Filter(kernel=rows):
            kernel = np.array(rows, np.float32)
            return lambda source, target: cv2.filter2D(source, -1, kernel, dst=target)
        case Separable():
            along_x = np.array(stage.across, np.float32)
            along_y = np.array(stage.down, np.float32)
            return lambda source, target: cv2.sepFilter2D(source, -1, along_x, along_y, dst=target)
        case Sobel(across=right, down=below, size=size):
            return lambda source, target: cv2.Sobel(
                source, cv2.CV_32F, right, below, dst=target, ksize=size
            )
        case Canny(low=low, high=high, size=size):
            return lambda source, target: cv2.Canny(
                source, low, high, edges=target, apertureSize=size
            )
        case _:
            return None


def _levels(stage: Stage) -> _Call | None:
    match stage:
        case Threshold(level=level, high=high):
            kind = cv2.THRESH_BINARY_INV if stage.inverse else cv2.THRESH_BINARY
            kind |= cv2.THRESH_OTSU if stage.otsu else 0
            return lambda source, target: cv2.threshold(source, level, high, kind, dst=target)[1]
        case Equalise(clip=0):
            return lambda source, target: cv2.equalizeHist(source, dst=target)
        case Equalise(clip=clip, tiles=tiles):
            spread = cv2.createCLAHE(clip, (tiles, tiles))
            return lambda source, target: spread.apply(source, target)
        case _:
            return None


def _planar(source: Image, target: Image) -> None:
    if source.ndim == 2:
        np.copyto(target[0], source)
        return
    planes = list(target)
    for found, plane in zip(cv2.split(source, planes), planes, strict=True):
        check_place(found, plane)
