"""How pixels lie in the program's memory: rows and slices with pitches.

They travel without gaps: what has some is packed before it goes, and unpacked where it arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from _gon_opencl import ffi
from gon.images import ImageKind
from gon.model import Dim3
from gon_shim.opencl.errors import require

if TYPE_CHECKING:
    from _gon_opencl import CData

# What has slices; of an array of rows each row is one.
_SLICED = (ImageKind.IMAGE3D, ImageKind.IMAGE2D_ARRAY, ImageKind.IMAGE1D_ARRAY)


@dataclass(frozen=True, slots=True)
class Rows:
    """Bytes from row to row and from slice to slice, of pixels of `pixel` bytes; `slice_told` is
    what a program is told of the latter.
    """

    pixel: int
    row: int
    slice: int
    slice_told: int

    @classmethod
    def of(
        cls, kind: ImageKind, region: Dim3, pixel: int, row: int, slice_: int, wrong: int
    ) -> Rows:
        """Return rows with the pitches that a program has given, 0 for those that touch.

        Raises ClError with the code `wrong`.
        """
        width, height, _depth = region
        least = width * pixel
        sliced = kind in _SLICED
        require(not row or row >= least, wrong)
        row = row or least
        if kind is ImageKind.IMAGE1D_ARRAY:
            # Its slices are its rows.
            require(not slice_ or slice_ >= row, wrong)
            row = slice_ or row
            return cls(pixel, row, row * height, row)
        require(sliced or not slice_ or slice_ == row * height, wrong)
        require(not slice_ or slice_ >= row * height, wrong)
        slice_ = slice_ or row * height
        return cls(pixel, row, slice_, slice_ if sliced else 0)

    def touch(self, region: Dim3) -> bool:
        """Return whether a region lies without gaps."""
        width, height, depth = region
        rows = height * depth == 1 or self.row == width * self.pixel
        return rows and (depth == 1 or self.slice == self.row * height)

    def size_bytes(self, region: Dim3) -> int:
        """Return the bytes from the first pixel of a region to the end of its last."""
        width, height, depth = region
        return (depth - 1) * self.slice + (height - 1) * self.row + width * self.pixel

    def place(self, origin: Dim3) -> int:
        """Return where a pixel lies."""
        return origin[2] * self.slice + origin[1] * self.row + origin[0] * self.pixel

    def seen(self, at: CData, region: Dim3) -> npt.NDArray[np.uint8]:
        """Return a region's bytes in place, of three dimensions."""
        width, height, depth = region
        memory = memoryview(ffi.buffer(at, self.size_bytes(region)))
        shape = (depth, height, width * self.pixel)
        return np.ndarray(shape, np.uint8, memory, strides=(self.slice, self.row, 1))

    def packed(self, at: CData, region: Dim3) -> memoryview:
        """Return a region's bytes without gaps, in place where there are none."""
        if self.touch(region):
            return memoryview(ffi.buffer(at, self.size_bytes(region)))
        return np.ascontiguousarray(self.seen(at, region)).reshape(-1).data
