"""What `gon bench` compares calls of StableHLO programs with: IREE's own call in one process, on
arrays that are there.

Registered as `stablehlo_call` in the entry point group `gon.baselines`. Rules: the program is built
as the engine builds it, so that the calls are compared; nothing else of the engine is on the way.
"""

from __future__ import annotations

import numpy as np

from gon.model import Program
from gon_server.engines.base import Share
from gon_server.engines.iree_runtime import ALIGNMENT_BYTES, Call
from gon_server.engines.stablehlo import open_stablehlo
from gon_server.engines.stablehlo_build import STABLEHLO


class StableHloCalls:
    """Calls of a program of one input and one output of as many bytes, floats both."""

    def __init__(self, code: bytes, size_bytes: int) -> None:
        engine = open_stablehlo(Share(1))
        self.name = engine.version
        self._program = engine.load(Program(code, STABLEHLO))
        info = self._program.functions[0]
        side = int((size_bytes // 4) ** 0.5)
        self._arrays = [_square(side) for _ in info.params]
        bound = self._program.bind(info.name, self._arrays, {})
        assert isinstance(bound, Call), "IREE's"
        self.call = bound.invoke


def _square(side: int) -> np.ndarray:
    """Return a square of floats where IREE takes them."""
    room = np.zeros(side * side * 4 + ALIGNMENT_BYTES, np.uint8)
    start = -room.ctypes.data % ALIGNMENT_BYTES
    square = room[start : start + side * side * 4].view(np.float32).reshape(side, side)
    square[:] = 1 / side
    return square


def open_baseline(code: bytes, size_bytes: int) -> StableHloCalls:
    """Make calls of a program ready. Raises Unsupported without IREE, CompileError."""
    return StableHloCalls(code, size_bytes)
