"""Memory for images between two stages, kept from call to call: new pages cost as much as filters.

Rules: one run at a time has it. What is beyond SCRATCH_KEPT_BYTES_MAX is given back with the run.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from gon_server.engines.base import Tensor
from gon_server.engines.limits import SCRATCH_KEPT_BYTES_MAX


class Scratch:
    """Two pieces of memory in turn: one that a stage reads, one that it writes."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[np.uint8]] = [np.empty(0, np.uint8), np.empty(0, np.uint8)]
        self._turn = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Scratch({sum(piece.nbytes for piece in self._pieces)} bytes)"

    @contextmanager
    def held(self) -> Generator[Scratch]:
        """Have it alone."""
        with self._lock:
            try:
                yield self
            finally:
                for turn, piece in enumerate(self._pieces):
                    if piece.nbytes > SCRATCH_KEPT_BYTES_MAX:
                        self._pieces[turn] = np.empty(0, np.uint8)

    def take(self, shape: tuple[int, ...], element: str) -> Tensor:
        """Return memory for an image; what was taken before the last time is lost by that."""
        dtype = np.dtype(element)
        need = math.prod(shape) * dtype.itemsize
        self._turn = 1 - self._turn
        if self._pieces[self._turn].nbytes < need:
            self._pieces[self._turn] = np.empty(need, np.uint8)
        return self._pieces[self._turn][:need].view(dtype).reshape(shape)
