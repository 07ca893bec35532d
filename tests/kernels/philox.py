"""Philox4x32-10 in NumPy, written after the paper (Salmon et al., SC 2011), not after the kernel.

Known answers of the authors' test suite hold it, in tests/unit/test_cuda_collection.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)


def philox(
    c0: ArrayLike, c1: ArrayLike, c2: ArrayLike, c3: ArrayLike, k0: int, k1: int
) -> NDArray[np.uint32]:
    """Return four words for each counter: shape (counters, 4)."""
    x0, x1, x2, x3 = (
        np.atleast_1d(each) for each in np.broadcast_arrays(*map(_words, (c0, c1, c2, c3)))
    )
    for number in range(10):
        p0, p1 = x0 * np.uint64(MULTIPLIERS[0]), x2 * np.uint64(MULTIPLIERS[1])
        key0 = np.uint64((k0 + number * WEYL[0]) & 0xFFFFFFFF)
        key1 = np.uint64((k1 + number * WEYL[1]) & 0xFFFFFFFF)
        x0, x1, x2, x3 = (p1 >> _HIGH) ^ x1 ^ key0, p1 & _LOW, (p0 >> _HIGH) ^ x3 ^ key1, p0 & _LOW
    return np.stack([x0, x1, x2, x3], axis=-1).astype(np.uint32)


def uniform01(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return numbers in [0, 1) of 24 bits."""
    return (words >> 8).astype(np.float32) * np.float32(2.0**-24)


def _words(values: ArrayLike) -> NDArray[np.uint64]:
    return np.asarray(values).astype(np.uint64)
