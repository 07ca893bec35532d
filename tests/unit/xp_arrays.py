"""Arrays to try, and what they are to be."""

from __future__ import annotations

from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

import gon

xp = gon.xp
Host: TypeAlias = NDArray[np.generic]


def same(found: xp.Array, wanted: Host | np.generic) -> None:
    """Assert that an array is NumPy's, to the bit."""
    here = found.numpy()
    assert here.dtype == wanted.dtype
    assert here.shape == wanted.shape
    assert np.array_equal(here, wanted, equal_nan=wanted.dtype.kind in "fc")


def numbers(*shape: int, dtype: str = "float32") -> NDArray[np.float32]:
    """Return numbers of a type, which is said to be float32 whatever it is."""
    size = int(np.prod(shape))
    return cast("NDArray[np.float32]", numbers_of(size).astype(dtype).reshape(shape))


def numbers_of(size: int) -> NDArray[np.int64]:
    return np.arange(size) * 37 % 101 - 50
