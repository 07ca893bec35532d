"""The engine of the format "vision": image graphs (gon.vision), by OpenCV. `opening` makes it."""

from __future__ import annotations

import cv2

from gon.model import Program
from gon.vision import VISION_FORMAT
from gon_server.devices.books import check_bare
from gon_server.engines.base import EngineProgram
from gon_server.engines.vision.program import VisionProgram
from gon_server.engines.vision.scratch import Scratch


class VisionEngine:
    """Loads image graphs. Stages run one after the other, each by as many threads as there are."""

    def __init__(self, threads: int) -> None:
        cv2.setNumThreads(threads)
        cv2.ocl.setUseOpenCL(False)
        self.format = VISION_FORMAT
        self.version = f"opencv {cv2.__version__}"
        self._scratch = Scratch()

    def __repr__(self) -> str:
        return f"VisionEngine({self.version})"

    def load(self, program: Program) -> EngineProgram:
        """Raises as gon.vision.decode, InvalidArgument for what no graph has beside its stages."""
        check_bare(program)
        return VisionProgram(program.code, self._scratch)
