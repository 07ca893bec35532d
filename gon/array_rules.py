"""What an array operation gives: the type of its elements and its shape, by those of its operands.

Types are promoted as NumPy's functions promote them, which for all that the Array API standard
defines is as that says; a function has no result where NumPy has none, or one of elements that
arrays do not have. Pure; the values of operands are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from gon.array_limits import ARRAY_DIMS_MAX, ARRAY_ELEMENTS_MAX
from gon.array_ops import (
    ELEMENTS,
    FUNCTIONS,
    AnyOperation,
    Apply,
    Arange,
    Cast,
    Cumulate,
    Draw,
    Element,
    Erf,
    Eye,
    Gather,
    Join,
    Linspace,
    Moment,
    Nonzero,
    Part,
    Pick,
    Place,
    Product,
    Put,
    Reduce,
    Search,
    Select,
    Sort,
    Take,
    TakeAlong,
    Triangle,
    Unique,
    Where,
    name_of,
)
from gon.errors import InvalidArgument, LimitExceeded

Dtype: TypeAlias = np.dtype[np.generic]
Shape: TypeAlias = tuple[int, ...]

_INDEX: Dtype = np.dtype(np.int64)
_BOOL: Dtype = np.dtype(np.bool_)
_DTYPES: dict[Dtype, Element] = {np.dtype(name): name for name in ELEMENTS}


class Spec(NamedTuple):
    """What an array is, but for its values."""

    dtype: Dtype
    shape: Shape

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def element_of(dtype: Dtype) -> Element:
    """Return how programs name a type of elements. Raises InvalidArgument."""
    found = _DTYPES.get(dtype)
    if found is None:
        raise InvalidArgument(f"elements of {dtype}; arrays have {', '.join(ELEMENTS)}")
    return found


def result_of(operation: AnyOperation, given: Sequence[Spec]) -> Spec:
    """Return what an operation gives. Raises InvalidArgument for operands that it does not take,
    LimitExceeded for results that nobody may have.
    """
    try:
        found = _made(operation, given) if len(given) < 2 else _combined(operation, given)
    except InvalidArgument as error:
        told = ", ".join(map(str, given))
        raise InvalidArgument(f"{name_of(operation)}({told}): {error.message}") from None
    check_shape(found.shape)
    return found


def check_shape(shape: Shape) -> None:
    """Raise InvalidArgument or LimitExceeded for a shape that no array may have."""
    if len(shape) > ARRAY_DIMS_MAX:
        raise LimitExceeded(f"an array of {len(shape)} dimensions; at most {ARRAY_DIMS_MAX}")
    if min(shape, default=0) < 0:
        raise InvalidArgument(f"a shape of {list(shape)}")
    # NumPy, too, counts what a size of 0 is not to hide.
    if math.prod([max(size, 1) for size in shape]) > ARRAY_ELEMENTS_MAX:
        raise LimitExceeded(f"an array of {list(shape)}; at most {ARRAY_ELEMENTS_MAX} elements")


@lru_cache(maxsize=1024)
def promoted(function: str, *given: Dtype) -> Dtype:
    """Return what elements a function gives of these. Raises InvalidArgument."""
    ufunc = FUNCTIONS.get(function)
    if ufunc is None or ufunc.nin != len(given):
        raise InvalidArgument(f"there is no function {function!r} of {len(given)} operands")
    return _resolved(ufunc, *given)


def _resolved(ufunc: np.ufunc, *given: Dtype) -> Dtype:
    try:
        loop = ufunc.resolve_dtypes((*given, None))
    except TypeError as error:
        raise InvalidArgument(str(error)) from None
    found: Dtype = loop[-1]
    element_of(found)
    return found


@lru_cache(maxsize=256)
def _product_type(function: str, first: Dtype, second: Dtype) -> Dtype:
    return _resolved(np.matmul if function == "matmul" else np.vecdot, first, second)


def _made(operation: AnyOperation, given: Sequence[Spec]) -> Spec:  # noqa: C901 - a row each
    """Return the result of one operand, or of none."""
    match operation:
        case Eye(rows=rows, columns=columns, element=element):
            _count(given, 0)
            return Spec(np.dtype(element), (rows, columns))
        case Join():
            return _joined(operation.axis, given)
        case _:
            _count(given, 1)
    (x,) = given
    match operation:
        case Apply(function=function):
            return Spec(promoted(function, x.dtype), x.shape)
        case Cast(element=element):
            _check_real(x.dtype, np.dtype(element))
            return Spec(np.dtype(element), x.shape)
        case Part():
            if x.dtype.kind != "c":
                raise InvalidArgument("complex elements are needed")
            return Spec(np.dtype("float32" if x.dtype.itemsize == 8 else "float64"), x.shape)
        case Reduce():
            return _reduced(operation, x)
        case Moment(axes=axes):
            if x.dtype.kind == "b":
                raise InvalidArgument("numbers are needed")
            dtype = x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)
            if dtype.kind == "c":
                dtype = np.dtype("float32" if dtype.itemsize == 8 else "float64")
            return Spec(dtype, _without(x.shape, axes))
        case Cumulate(axis=axis, element=element):
            _axis(axis, x.shape)
            _check_real(x.dtype, np.dtype(element))
            return Spec(np.dtype(element), x.shape)
        case Triangle():
            if len(x.shape) < 2:
                raise InvalidArgument("matrices are needed")
            return x
        case Sort(axis=axis, places=places):
            _axis(axis, x.shape)
            return Spec(_INDEX if places else x.dtype, x.shape)
        case Unique(part=part):
            shape = {"count": (), "inverse": x.shape}.get(part, (math.prod(x.shape),))
            return Spec(x.dtype if part == "values" else _INDEX, shape)
        case Nonzero():
            return Spec(_INDEX, (len(x.shape), math.prod(x.shape)))
        case Erf():
            if x.dtype.kind != "f":
                raise InvalidArgument("floating-point elements are needed")
            return x
        case _:
            raise InvalidArgument("another number of operands is needed")


def _combined(operation: AnyOperation, given: Sequence[Spec]) -> Spec:  # noqa: C901 - a row each
    """Return the result of several operands."""
    x = given[0]
    dtypes = [each.dtype for each in given]
    match operation:
        case Apply(function=function):
            _same_shape(given)
            return Spec(promoted(function, *dtypes), x.shape)
        case Where():
            _count(given, 3)
            _same_shape(given)
            if x.dtype != _BOOL:
                raise InvalidArgument("a condition of bool is needed")
            return Spec(_together(dtypes[1:]), x.shape)
        case Product():
            _count(given, 2)
            return _product(operation, x, given[1])
        case Join(axis=axis):
            return _joined(axis, given)
        case Arange(count=count, element=element):
            _count(given, 3)
            _no_dimensions(given)
            return Spec(np.dtype(element), (count,))
        case Linspace(count=count, element=element):
            _count(given, 2)
            _no_dimensions(given)
            _check_real(_together(dtypes), np.dtype(element))
            return Spec(np.dtype(element), (count,))
        case Draw():
            return _drawn(operation, given)
        case Take(axis=axis) | Pick(axis=axis):
            _count(given, 2)
            _axis(axis, x.shape)
            _integers(dtypes[1:])
            if isinstance(operation, Pick):
                _somewhere(x.shape[axis : axis + 1], given[1].shape)
            return Spec(x.dtype, (*x.shape[:axis], *given[1].shape, *x.shape[axis + 1 :]))
        case TakeAlong(axis=axis):
            _count(given, 2)
            _integers(dtypes[1:])
            _along(axis, given)
            return Spec(x.dtype, given[1].shape)
        case Gather():
            _integers(dtypes[1:])
            _same_shape(given[1:])
            if len(given) - 1 > len(x.shape):
                raise InvalidArgument("more indices than dimensions")
            return Spec(x.dtype, (*given[1].shape, *x.shape[len(given) - 1 :]))
        case Put():
            return _put(operation, given)
        case Search():
            _count(given, 2)
            if len(x.shape) != 1:
                raise InvalidArgument("a vector to search in is needed")
            return Spec(_INDEX, given[1].shape)
        case Select():
            _count(given, 2)
            mask = _masked(given)
            return Spec(x.dtype, (math.prod(mask.shape), *x.shape[len(mask.shape) :]))
        case Place():
            _count(given, 3)
            _masked(given)
            if dtypes[2] != x.dtype:
                raise InvalidArgument("values of the array's own type are needed")
            return x
        case _:
            raise InvalidArgument("another number of operands is needed")


def _reduced(operation: Reduce, x: Spec) -> Spec:
    function, axes, element = operation.function, operation.axes, np.dtype(operation.element)
    shape = _without(x.shape, axes)
    empty = any(x.shape[axis] == 0 for axis in axes)
    if function in ("argmax", "argmin") and len(axes) != 1:
        raise InvalidArgument("one axis is needed")
    if function in ("argmax", "argmin", "max", "min") and empty:
        raise InvalidArgument("there is nothing along an axis of size 0")
    match function:
        case "all" | "any":
            return Spec(_BOOL, shape)
        case "argmax" | "argmin" | "count_nonzero":
            return Spec(_INDEX, shape)
        case "max" | "min":
            return Spec(x.dtype, shape)
        case "mean" | "prod" | "sum":
            _check_real(x.dtype, element)
            if element.kind == "b" or (function == "mean" and element.kind not in "fc"):
                raise InvalidArgument(f"no {function} is of {element}")
            return Spec(element, shape)


def _product(operation: Product, x: Spec, y: Spec) -> Spec:
    if operation.function == "vecdot":
        _same_shape((x, y))
        if not x.shape:
            raise InvalidArgument("vectors are needed")
        return Spec(_product_type(operation.function, x.dtype, y.dtype), x.shape[:-1])
    fits = len(x.shape) == len(y.shape) >= 2 and x.shape[:-2] == y.shape[:-2]
    if not fits or x.shape[-1] != y.shape[-2]:
        raise InvalidArgument("matrices that can be multiplied are needed")
    return Spec(_product_type(operation.function, x.dtype, y.dtype), (*x.shape[:-1], y.shape[-1]))


def _put(operation: Put, given: Sequence[Spec]) -> Spec:
    x, places = given[0], given[2:]
    if not places or len(places) > len(x.shape):
        raise InvalidArgument("as many indices as dimensions, or fewer, are needed")
    _integers([each.dtype for each in places])
    _same_shape(places)
    if given[1] != Spec(x.dtype, (*places[0].shape, *x.shape[len(places) :])):
        raise InvalidArgument("values of the array's own type, one for each place, are needed")
    if operation.wraps:
        _somewhere(x.shape[: len(places)], places[0].shape)
    return x


def _somewhere(sizes: Shape, places: Shape) -> None:
    """Raise InvalidArgument for places along an axis that has none."""
    if 0 in sizes and 0 not in places:
        raise InvalidArgument("there is nothing along an axis of size 0")


def _drawn(operation: Draw, given: Sequence[Spec]) -> Spec:
    _count(given, 2)
    _no_dimensions(given)
    if any(each.dtype != np.dtype(np.uint64) for each in given):
        raise InvalidArgument("a seed and a place of uint64 are needed")
    if operation.element not in ("float32", "float64"):
        raise InvalidArgument(f"random elements are of float32 or float64, not {operation.element}")
    return Spec(np.dtype(operation.element), (operation.count,))


def _joined(axis: int, given: Sequence[Spec]) -> Spec:
    if not given:
        raise InvalidArgument("nothing is given to be joined")
    x = given[0]
    _axis(axis, x.shape)
    _along(axis, given)
    size = sum(each.shape[axis] for each in given)
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    return Spec(_together([each.dtype for each in given]), shape)


def _together(dtypes: Sequence[Dtype]) -> Dtype:
    found: Dtype = np.result_type(*dtypes)
    element_of(found)
    return found


def _masked(given: Sequence[Spec]) -> Spec:
    """Return the mask, the second operand. Raises InvalidArgument."""
    x, mask = given[:2]
    if mask.dtype != _BOOL or x.shape[: len(mask.shape)] != mask.shape:
        raise InvalidArgument("a mask of bool, of the array's first dimensions, is needed")
    return mask


def _count(given: Sequence[Spec], needed: int) -> None:
    if len(given) != needed:
        raise InvalidArgument(f"{needed} operands are needed")


def _axis(axis: int, shape: Shape) -> None:
    if not 0 <= axis < len(shape):
        raise InvalidArgument(f"there is no axis {axis}")


def _along(axis: int, given: Sequence[Spec]) -> None:
    """Raise InvalidArgument unless all are of one shape but for an axis."""
    x = given[0]
    for each in given:
        _axis(axis, each.shape)
        if (
            each.shape[:axis] != x.shape[:axis] or each.shape[axis + 1 :] != x.shape[axis + 1 :]
        ):  # fmt: skip
            raise InvalidArgument(f"shapes that differ elsewhere than along axis {axis}")


def _without(shape: Shape, axes: Shape) -> Shape:
    for axis in axes:
        _axis(axis, shape)
    if len(set(axes)) != len(axes):
        raise InvalidArgument("an axis is given twice")
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _same_shape(given: Sequence[Spec]) -> None:
    if any(each.shape != given[0].shape for each in given):
        raise InvalidArgument("operands of one shape are needed")


def _no_dimensions(given: Sequence[Spec]) -> None:
    if any(each.shape for each in given):
        raise InvalidArgument("operands without dimensions are needed")


def _integers(dtypes: Sequence[Dtype]) -> None:
    if any(dtype.kind not in "iu" for dtype in dtypes):
        raise InvalidArgument("places are integers")


def _check_real(source: Dtype, target: Dtype) -> None:
    if source.kind == "c" and target.kind != "c":
        raise InvalidArgument(f"{source} does not become {target}: name its real or imaginary part")
