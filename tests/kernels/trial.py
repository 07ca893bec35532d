"""One run of one case: where it gets its sizes, its inputs and its launches, and how it compares.

A case runs in ROUNDS trials. The sizes of the first are the awkward ones (one element, one less
than a block, a block, one more), those of the last are random. Everything random comes from `rng`,
which the case's name and the round seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import gon

ROUNDS = 5
# The unit roundoff of float32 and of float64: the relative error of one rounding.
EPS = 2.0**-24
EPS64 = 2.0**-53

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I32: TypeAlias = NDArray[np.int32]
HostArray: TypeAlias = NDArray[np.generic]
Dims: TypeAlias = int | Sequence[int]


class Trial:
    """A device, a compiled source, and a source of randomness. `launched` names what has run."""

    def __init__(
        self, device: gon.Device, module: gon.Module, rng: np.random.Generator, number: int
    ) -> None:
        self.device = device
        self.rng = rng
        self.number = number
        self.launched: set[str] = set()
        self._module = module

    # Sizes --------------------
    def size(self, block: int, blocks_most: int = 5) -> int:
        """Return how many elements to work on: around one block, then up to `blocks_most`."""
        awkward = (1, max(1, block - 1), block, block + 1)
        if self.number < len(awkward):
            return awkward[self.number]
        return self.between(block + 2, blocks_most * block)

    def shape(self, block_x: int, block_y: int, blocks_most: int = 4) -> tuple[int, int]:
        """Return rows and columns: one element, odd shapes around one block, then random ones."""
        awkward = (
            (1, 1),
            (max(1, block_y - 1), block_x + 1),
            (block_y, block_x),
            (2 * block_y + 1, max(1, block_x - 1)),
        )
        if self.number < len(awkward):
            return awkward[self.number]
        rows = self.between(2, blocks_most * block_y)
        return rows, self.between(2, blocks_most * block_x)

    def between(self, low: int, high: int) -> int:
        """Return a random whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    # Inputs --------------------
    def floats(self, shape: Dims, low: float = -1.0, high: float = 1.0) -> F32:
        return self.rng.uniform(low, high, shape).astype(np.float32)

    def doubles(self, shape: Dims, low: float = -1.0, high: float = 1.0) -> F64:
        return np.asarray(self.rng.uniform(low, high, shape), np.float64)

    def ints(self, shape: Dims, low: int, high: int) -> I32:
        """Return int32 numbers from `low` to `high`, both included."""
        return self.rng.integers(low, high, shape, np.int32, endpoint=True)

    def words(self, shape: Dims) -> NDArray[np.uint32]:
        """Return uint32 numbers of random bits."""
        return self.rng.integers(0, 2**32 - 1, shape, np.uint32, endpoint=True)

    def bytes(self, shape: Dims) -> NDArray[np.uint8]:
        return self.rng.integers(0, 255, shape, np.uint8, endpoint=True)

    # The device --------------------
    def array(self, data: ArrayLike, dtype: DTypeLike | None = None) -> gon.DeviceArray:
        return self.device.asarray(data, dtype)

    def zeros(self, shape: Dims, dtype: DTypeLike = np.float32) -> gon.DeviceArray:
        return self.device.zeros(shape, dtype)

    def full(self, shape: Dims, value: float, dtype: DTypeLike = np.float32) -> gon.DeviceArray:
        return self.device.asarray(np.full(shape, value, dtype))

    def launch(
        self, kernel: str, grid: Dims, block: Dims, *args: object, shared_bytes: int = 0
    ) -> None:
        """Launch a kernel of the source on the default stream."""
        self.launched.add(kernel)
        config = gon.LaunchConfig(grid=grid, block=block, shared_bytes=shared_bytes)
        gon.launch(self.device.default_stream, config, self._module.get_kernel(kernel), *args)

    def put(self, variable: str, data: HostArray) -> None:
        """Set a variable of the module."""
        self._module.get_global(variable).copy_from(np.ascontiguousarray(data))

    def fetch(self, variable: str, shape: Dims, dtype: DTypeLike) -> HostArray:
        """Return what a variable of the module holds."""
        out = np.empty(shape, dtype)
        self._module.get_global(variable).copy_to(out)
        return out


def blocks(count: int, block: int) -> int:
    """Return how many blocks hold `count` elements."""
    return -(-count // block)


def blocks_2d(shape: tuple[int, int], block_x: int, block_y: int) -> tuple[int, int]:
    """Return the grid (x, y) for an array of `shape` (rows, columns)."""
    return blocks(shape[1], block_x), blocks(shape[0], block_y)


def host(array: gon.DeviceArray | ArrayLike) -> HostArray:
    return array.get() if isinstance(array, gon.DeviceArray) else np.asarray(array)


def reals(array: gon.DeviceArray | ArrayLike) -> F64:
    """Return what an array holds, to compute with."""
    return np.asarray(host(array), np.float64)


def whole(array: gon.DeviceArray | ArrayLike) -> NDArray[np.int64]:
    """Return what an array of whole numbers holds, to compute with."""
    return np.asarray(host(array)).astype(np.int64)


def same(got: gon.DeviceArray | ArrayLike, want: ArrayLike) -> None:
    """Assert that every element is the reference's."""
    np.testing.assert_array_equal(host(got), np.asarray(want), strict=False)


def near(
    got: gon.DeviceArray | ArrayLike, want: ArrayLike, *, rtol: float = 0.0, atol: ArrayLike = 0.0
) -> None:
    """Assert that |got - want| ≤ atol + rtol |want|, element by element.

    Where the reference is not finite the same is needed.
    """
    given = reals(got)
    wanted = np.asarray(want, np.float64)
    assert given.shape == wanted.shape, (given.shape, wanted.shape)
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(given[~finite], wanted[~finite])
    bound = np.broadcast_to(np.asarray(atol, np.float64), wanted.shape)[finite]
    bound = bound + rtol * np.abs(wanted[finite])
    error = np.abs(given[finite] - wanted[finite])
    wrong = ~(error <= bound)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        place = tuple(int(i) for i in np.argwhere(finite)[first])
        raise AssertionError(
            f"{int(wrong.sum())} of {wrong.size} elements are wrong; at {place} "
            f"{given[place]} is not {wanted[place]} within {bound[first]:.3g}"
        )


def sum_error(terms: ArrayLike, axis: int | None = None, *, eps: float = EPS) -> F64:
    """Return a bound for the rounding error of a sum of products, in whatever order they are added.

    The classic one, n·eps·Σ|terms| (Higham, Accuracy and Stability of Numerical Algorithms, 4.2),
    with one rounding for each product and one for the result.
    """
    values = np.abs(np.asarray(terms, np.float64))
    count = values.size if axis is None else values.shape[axis]
    return np.asarray((count + 2) * eps * values.sum(axis=axis), np.float64)
