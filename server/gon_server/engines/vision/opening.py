"""Makes OpenCV ready: what it finds in its environment is ours, not whoever started the process's.

Rules: the library reads its environment when it is imported and when it first works, so nothing of
this package is imported before that is in order; afterwards it is again what it was. OpenCV
has the threads of the engine's share.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from gon.errors import Unsupported
from gon.vision_limits import VISION_PIXELS_MAX, VISION_SIDE_MAX
from gon_server.engines.base import Engine, Share
from gon_server.engines.limits import ENGINE_THREADS_MAX

INSTALL: Final = 'pip install "gon[vision]"'

_ENVIRONMENT: Final = {
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(VISION_PIXELS_MAX),
    "OPENCV_IO_MAX_IMAGE_WIDTH": str(VISION_SIDE_MAX),
    "OPENCV_IO_MAX_IMAGE_HEIGHT": str(VISION_SIDE_MAX),
    # What it would say of a damaged image is an error of ours.
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_OPENCL_RUNTIME": "disabled",
    # The library of linear algebra beside it starts its threads as it is loaded.
    "OPENBLAS_NUM_THREADS": "1",
}


def open_engine(share: Share) -> Engine:
    """Make the engine ready. Raises Unsupported where OpenCV cannot be loaded."""
    with _environment():
        try:
            from gon_server.engines.vision.engine import VisionEngine
        except ImportError as error:
            raise Unsupported(f"OpenCV cannot be loaded: {error}; {INSTALL}") from error
        return VisionEngine(max(1, min(share.threads, ENGINE_THREADS_MAX)))


@contextmanager
def _environment() -> Generator[None]:
    """Have our settings of OpenCV in the environment, and no others; then what was there before."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("OPENCV_"):
            del os.environ[name]
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
