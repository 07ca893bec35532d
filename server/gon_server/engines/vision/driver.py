"""The edge to OpenCV: its errors as ours, images as it takes them, and the look that it has written
where it was told.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, TypeAlias, cast

import cv2
import numpy as np

from gon.errors import DeviceError, OutOfMemory
from gon.vision_stages import Interpolation
from gon_server.engines.base import Tensor

# An image as OpenCV takes it: (height, width, channels), of one channel (height, width).
Image: TypeAlias = cv2.typing.MatLike

INTERPOLATIONS: Final[dict[Interpolation, int]] = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}


def seen(image: Tensor) -> Image:
    """Return an image of (height, width, channels) as OpenCV takes it."""
    return cast("Image", image[:, :, 0] if image.shape[2] == 1 else image)


def check_place(found: object, target: Image) -> None:
    """Raise DeviceError unless what OpenCV gives lies where it was told to write."""
    if found is target:
        return
    if not isinstance(found, np.ndarray) or found.ctypes.data != target.ctypes.data:
        raise DeviceError("OpenCV has not written an image in its place")


@contextmanager
def errors_mapped(what: str) -> Generator[None]:
    """Have OpenCV's errors leave as ours, in its own words."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(f"{what}: {error}") from error
    except cv2.error as error:
        told = str(error.err or error)
        if error.code == cv2.Error.STS_NO_MEM or "bad_alloc" in told:
            raise OutOfMemory(f"{what}: {told}") from error
        raise DeviceError(f"{what}: {told} (in {error.func})") from error
