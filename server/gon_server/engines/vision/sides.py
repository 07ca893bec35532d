"""Stages that look at an image and write something else: encoded bytes, corners, key points.

Rules: nothing is written but a stage's own outputs, of the image's own row; rows beyond what was
found are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

import cv2
import numpy as np

from gon.errors import DeviceError, LimitExceeded
from gon.vision_stages import Corners, Encode, Orb, Stage
from gon_server.engines.base import Tensor
from gon_server.engines.vision.driver import Image
from gon_server.engines.vision.pixels import colour_code

# Looks at an image; the number is its place among those of the call.
Look: TypeAlias = Callable[[Image, int], None]

_SUFFIXES: Final = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


def look_of(stage: Stage, place: int, tensors: Mapping[str, Tensor]) -> Look | None:
    """Return what a stage, at this place, writes beside the image; None if it does nothing such."""
    match stage:
        case Encode():
            return _encoding(stage, tensors[f"encoded_{place}"], tensors[f"lengths_{place}"])
        case Corners():
            return _corners(stage, tensors[f"corners_{place}"], tensors[f"found_{place}"])
        case Orb():
            outputs = (tensors[f"{name}_{place}"] for name in ("points", "descriptors", "found"))
            return _key_points(stage, *outputs)
        case _:
            return None


def _encoding(stage: Encode, rooms: Tensor, lengths: Tensor) -> Look:
    params = {
        "png": [],
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, stage.quality],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, stage.quality],
    }[stage.form]

    def encode(image: Image, number: int) -> None:
        # OpenCV's own order is blue, green, red.
        if stage.colour == "rgb" and image.ndim == 3:
            code = colour_code("rgb", "bgr") if image.shape[2] == 3 else colour_code("rgba", "bgra")
            image = cv2.cvtColor(image, code)
        done, found = cv2.imencode(_SUFFIXES[stage.form], image, params)
        if not done:
            raise DeviceError(f"OpenCV encodes no {stage.form} of this image")
        if len(found) > rooms.shape[1]:
            raise LimitExceeded(f"{len(found)} bytes of {stage.form}; room for {rooms.shape[1]}")
        rooms[number, : len(found)] = found
        lengths[number] = len(found)

    return encode


def _corners(stage: Corners, places: Tensor, counts: Tensor) -> Look:
    def look(image: Image, number: int) -> None:
        # Where there is none it gives None, whatever its types say.
        found = cast(
            "Image | None",
            cv2.goodFeaturesToTrack(image, stage.count_max, stage.quality, stage.distance),
        )
        count = 0 if found is None else len(found)
        if found is not None:
            places[number, :count] = found.reshape(-1, 2)
        places[number, count:] = 0
        counts[number] = count

    return look


def _key_points(stage: Orb, points: Tensor, descriptors: Tensor, counts: Tensor) -> Look:
    orb = cv2.ORB.create(stage.count_max, stage.scale, stage.levels)

    def look(image: Image, number: int) -> None:
        found, described = orb.detectAndCompute(image, None)
        rows = np.array(
            [(*each.pt, each.size, each.angle, each.response, each.octave) for each in found],
            np.float32,
        ).reshape(-1, points.shape[2])
        # The strongest first; those that are as strong as the last may be more than were asked for.
        order = np.argsort(-rows[:, 4], kind="stable")[: stage.count_max]
        count = len(order)
        points[number, :count] = rows[order]
        points[number, count:] = 0
        if count:
            descriptors[number, :count] = described[order]
        descriptors[number, count:] = 0
        counts[number] = count

    return look
