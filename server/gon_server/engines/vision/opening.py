"""Makes OpenCV ready: what it finds in its environment is ours, not whoever started gond's.

Rules: the library reads its environment when it is imported, so nothing of this package is imported
before that is in order. It may read and write no file, take no backend of others, and has the
threads of the engine's share.
"""

from __future__ import annotations

import os
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
    "OPENCV_LOG_LEVEL": "SILENT",
    # No library of others' is looked for.
    "OPENCV_PARALLEL_PRIORITY_LIST": "",
    "OPENCV_OPENCL_RUNTIME": "disabled",
    # The library beside it that solves equations starts its threads as it is loaded.
    "OPENBLAS_NUM_THREADS": "1",
}


def open_engine(share: Share) -> Engine:
    """Make the engine ready. Raises Unsupported where OpenCV cannot be loaded."""
    for name in [each for each in os.environ if each.startswith("OPENCV_")]:
        del os.environ[name]
    os.environ.update(_ENVIRONMENT)
    try:
        from gon_server.engines.vision.engine import VisionEngine
    except ImportError as error:
        raise Unsupported(f"OpenCV cannot be loaded: {error}; {INSTALL}") from error
    return VisionEngine(max(1, min(share.threads, ENGINE_THREADS_MAX)))
