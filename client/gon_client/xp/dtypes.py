"""Types of elements: NumPy's dtypes, and the standard's functions about them; what the namespace
says of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from gon.array_limits import ARRAY_DIMS_MAX
from gon.array_ops import ELEMENTS
from gon.array_rules import Dtype, element_of
from gon.errors import InvalidArgument
from gon_client.xp.array import Array
from gon_client.xp.default import DEFAULT
from gon_client.xp.operators import Number

if TYPE_CHECKING:
    from gon_client.device import Device

_HALF: Final = "float16"
# The standard's types by name; arrays of other engines may have float16 besides.
DTYPES: Final[dict[str, Dtype]] = {name: np.dtype(name) for name in ELEMENTS if name != _HALF}
_KINDS: Final = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}
# A kind, several of them, or a type.
Kind: TypeAlias = "str | Dtype | tuple[str | Dtype, ...]"


class FloatInfo(NamedTuple):
    """What `finfo` tells of a floating type."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Dtype


class IntegerInfo(NamedTuple):
    """What `iinfo` tells of an integer type."""

    bits: int
    max: int
    min: int
    dtype: Dtype


def dtype_of(given: DTypeLike | Array) -> Dtype:
    """Return a type of elements. Raises InvalidArgument for one that arrays do not have."""
    dtype: Dtype = given.dtype if isinstance(given, Array) else np.dtype(given)
    element_of(dtype)
    return dtype


def can_cast(from_: DTypeLike | Array, to: DTypeLike, /) -> bool:
    """Return whether elements of one type are of another by promotion."""
    return bool(np.can_cast(dtype_of(from_), dtype_of(to)))


def finfo(type: DTypeLike | Array, /) -> FloatInfo:
    """Return the limits of a floating type; of a complex one, those of its parts."""
    dtype = dtype_of(type)
    if dtype.kind not in "fc":
        raise TypeError(f"{dtype} is no floating type")
    found = np.finfo(dtype)  # type: ignore[type-var]
    return FloatInfo(
        found.bits,
        float(found.eps),
        float(found.max),
        float(found.min),
        float(found.smallest_normal),
        np.dtype(found.dtype),
    )


def iinfo(type: DTypeLike | Array, /) -> IntegerInfo:
    """Return the limits of an integer type."""
    dtype = dtype_of(type)
    if dtype.kind not in "iu":
        raise TypeError(f"{dtype} is no integer type")
    found = np.iinfo(dtype)  # type: ignore[type-var]
    return IntegerInfo(found.bits, found.max, found.min, dtype)


def isdtype(dtype: DTypeLike, kind: Kind) -> bool:
    """Return whether a type is of a kind, of one of several, or that type."""
    given = np.dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(given, each) for each in kind)
    if isinstance(kind, str):
        kinds = _KINDS.get(kind)
        if kinds is None:
            raise InvalidArgument(f"kind {kind!r}; there are {', '.join(_KINDS)}")
        return given.kind in kinds
    return bool(given == np.dtype(kind))


def result_type(*given: DTypeLike | Array | Number) -> Dtype:
    """Return the type that these are promoted to, numbers of Python as far as kinds go."""
    parts = [each.dtype if isinstance(each, Array) else each for each in given]
    if not parts:
        raise InvalidArgument("result_type of nothing")
    dtype: Dtype = np.result_type(*parts)
    element_of(dtype)
    return dtype


class NamespaceInfo:
    """What `__array_namespace_info__` gives."""

    def capabilities(self) -> dict[str, bool | int]:
        """Return what this namespace can do, by the standard's names."""
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": ARRAY_DIMS_MAX,
        }

    def default_device(self) -> Device:
        """Return the device that arrays are made on where nobody names one."""
        return DEFAULT.device

    def devices(self) -> list[Device]:
        """Return what devices there are: the default one; others are named as they are leased."""
        return [DEFAULT.device]

    def default_dtypes(self, *, device: Device | None = None) -> dict[str, Dtype]:
        """Return the types that elements have where nobody says."""
        del device
        return {
            "real floating": DTYPES["float64"],
            "complex floating": DTYPES["complex128"],
            "integral": DTYPES["int64"],
            "indexing": DTYPES["int64"],
        }

    def dtypes(
        self, *, device: Device | None = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, Dtype]:
        """Return the types that elements may have, those of a kind if one is given."""
        del device
        return {
            name: dtype for name, dtype in DTYPES.items() if kind is None or isdtype(dtype, kind)
        }


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807 - the standard's name
    """Return what this namespace says of itself."""
    return NamespaceInfo()
