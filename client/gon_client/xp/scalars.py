"""Numbers as elements: of a type that is named, or that arrays beside them have. Pure.

Rules: a number of Python that a type cannot have is refused, as NumPy does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from gon.array_rules import Dtype
from gon.errors import InvalidArgument


def scalar(given: object, dtype: Dtype | None = None) -> np.generic:
    """Return a number as one of NumPy's, of a type if one is given. Raises TypeError for what is no
    number, OverflowError or InvalidArgument for one that the type cannot have.
    """
    if not isinstance(given, bool | int | float | complex | np.generic):
        raise TypeError(f"a number is needed, not a {type(given).__name__}")
    found = np.asarray(given)
    if dtype is None:
        return cast("np.generic", found[()])
    if found.dtype.kind == "c" and dtype.kind != "c":
        raise InvalidArgument(f"{given!r} does not become {dtype}")
    if isinstance(given, np.generic):
        return cast("np.generic", found.astype(dtype)[()])
    try:
        return dtype.type(given)
    except ValueError as error:
        raise InvalidArgument(str(error)) from None


def scalar_beside(given: object, dtypes: Sequence[Dtype], *, strict: bool) -> np.generic:
    """Return a number of Python in the type that it has beside these. Raises TypeError, and
    OverflowError unless it is not `strict`: then it is of whatever type it fits, or infinite.
    """
    if not isinstance(given, bool | int | float | complex):
        raise TypeError(f"an array or a number is needed, not a {type(given).__name__}")
    dtype: Dtype = np.result_type(*dtypes, given)
    try:
        return dtype.type(given)
    except OverflowError:
        if strict:
            raise
    found = np.asarray(given)
    if found.dtype.hasobject:
        # An int that no type has: what it is compared with is less, or more.
        return np.float64(math.inf if cast("int", given) > 0 else -math.inf)
    return cast("np.generic", found[()])
