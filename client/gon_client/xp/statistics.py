"""The standard's functions that make one element of many, or of all up to each."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import DTypeLike

from gon.array_ops import Cumulate, Moment, Reduce, Reduction
from gon.array_rules import Dtype, element_of
from gon.errors import InvalidArgument
from gon_client.xp.array import Array, apply
from gon_client.xp.creation import full
from gon_client.xp.dtypes import dtype_of
from gon_client.xp.manipulation import concat
from gon_client.xp.views import Axes, axes_of, axis_of, expanded, indexed, whole

_INTEGER: Dtype = np.dtype(np.int64)
_UNSIGNED: Dtype = np.dtype(np.uint64)
_FLOAT: Dtype = np.dtype(np.float64)


def _kept(array: Array, axes: tuple[int, ...], *, keepdims: bool) -> Array:
    """Return a reduction's result, with axes of size 1 in the place of those that are gone."""
    view = array.view
    for axis in sorted(axes) if keepdims else ():
        view = expanded(view, axis)
    return array.seen(view) if keepdims else array


def _reduce(
    name: Reduction, x: Array, axis: Axes, *, keepdims: bool, dtype: Dtype | None = None
) -> Array:
    axes = axes_of(axis, x.ndim)
    found = x.make(Reduce(name, axes, element_of(dtype or x.dtype)), [x.operand])
    return _kept(found, axes, keepdims=keepdims)


def _summed(dtype: DTypeLike | None, x: Array) -> Dtype:
    """Return the type that sums and products have: whole numbers are widened."""
    if dtype is not None:
        return dtype_of(dtype)
    if x.dtype.kind in "bi":
        return _INTEGER
    return _UNSIGNED if x.dtype.kind == "u" else x.dtype


def all(x: Array, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Return whether all elements along axes are true."""
    return _reduce("all", x, axis, keepdims=keepdims)


def any(x: Array, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Return whether some element along axes is true."""
    return _reduce("any", x, axis, keepdims=keepdims)


def count_nonzero(x: Array, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Return how many elements along axes are not zero."""
    return _reduce("count_nonzero", x, axis, keepdims=keepdims)


def max(x: Array, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Return the largest element along axes."""
    return _reduce("max", x, axis, keepdims=keepdims)


def min(x: Array, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Return the smallest element along axes."""
    return _reduce("min", x, axis, keepdims=keepdims)


def sum(
    x: Array, /, *, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False
) -> Array:
    """Return the sum of the elements along axes."""
    return _reduce("sum", x, axis, keepdims=keepdims, dtype=_summed(dtype, x))


def prod(
    x: Array, /, *, axis: Axes = None, dtype: DTypeLike | None = None, keepdims: bool = False
) -> Array:
    """Return the product of the elements along axes."""
    return _reduce("prod", x, axis, keepdims=keepdims, dtype=_summed(dtype, x))


def mean(x: Array, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Return the mean of the elements along axes."""
    dtype = x.dtype if x.dtype.kind in "fc" else _FLOAT
    return _reduce("mean", x, axis, keepdims=keepdims, dtype=dtype)


def std(
    x: Array, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False
) -> Array:
    """Return the standard deviation of the elements along axes."""
    axes = axes_of(axis, x.ndim)
    found = x.make(Moment("std", axes, float(correction)), [x.operand])
    return _kept(found, axes, keepdims=keepdims)


def var(
    x: Array, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False
) -> Array:
    """Return the variance of the elements along axes."""
    axes = axes_of(axis, x.ndim)
    found = x.make(Moment("var", axes, float(correction)), [x.operand])
    return _kept(found, axes, keepdims=keepdims)


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return where the first largest element along an axis is."""
    return _place("argmax", x, axis, keepdims=keepdims)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return where the first smallest element along an axis is."""
    return _place("argmin", x, axis, keepdims=keepdims)


def _place(name: Reduction, x: Array, axis: int | None, *, keepdims: bool) -> Array:
    if axis is not None:
        return _reduce(name, x, axis, keepdims=keepdims)
    found = _reduce(name, x.in_shape((x.size,)), 0, keepdims=False)
    return found.seen(whole((1,) * x.ndim)) if keepdims else found


def cumulative_sum(
    x: Array,
    /,
    *,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Array:
    """Return the sums of all elements up to each along an axis."""
    return _cumulated("sum", x, axis, dtype, include_initial=include_initial)


def cumulative_prod(
    x: Array,
    /,
    *,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Array:
    """Return the products of all elements up to each along an axis."""
    return _cumulated("prod", x, axis, dtype, include_initial=include_initial)


def _cumulated(
    name: str, x: Array, axis: int | None, dtype: DTypeLike | None, *, include_initial: bool
) -> Array:
    if axis is None and x.ndim != 1:
        raise InvalidArgument(f"an axis of {x.ndim} dimensions must be named")
    along = axis_of(0 if axis is None else axis, x.ndim)
    element = element_of(_summed(dtype, x))
    found = x.make(Cumulate("sum" if name == "sum" else "prod", along, element), [x.operand])
    if not include_initial:
        return found
    shape = (*x.shape[:along], 1, *x.shape[along + 1 :])
    initial = full(shape, int(name == "prod"), dtype=element, device=x.device)
    return concat([initial, found], axis=along)


def diff(
    x: Array,
    /,
    *,
    axis: int = -1,
    n: int = 1,
    prepend: Array | None = None,
    append: Array | None = None,
) -> Array:
    """Return the differences of neighbours along an axis, `n` times over."""
    along = axis_of(axis, x.ndim)
    parts = [each for each in (prepend, x, append) if each is not None]
    found = concat(parts, axis=along) if len(parts) > 1 else x
    times = operator.index(n)
    if times < 0:
        raise InvalidArgument(f"diff {times} times over")
    for _ in range(times):
        rest: list[object] = [slice(None)] * along
        later = found.seen(indexed(found.view, [*rest, slice(1, None), *_whole(found, along)]))
        earlier = found.seen(indexed(found.view, [*rest, slice(-1), *_whole(found, along)]))
        found = apply("not_equal" if found.dtype.kind == "b" else "subtract", later, earlier)
    return found


def _whole(x: Array, axis: int) -> list[object]:
    return [slice(None)] * (x.ndim - axis - 1)
