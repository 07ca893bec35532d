"""Operations along dimensions: sums, extremes, moments, places, running sums, order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor

from gon.array_ops import Cumulate, Moment, Reduce, Reduction, Sort
from gon.array_rules import element_of
from gon_client.xp.array import Array, apply
from gon_client.xp.elementwise import where
from gon_client.xp.operators import Number
from gon_client.xp.views import axes_of, expanded
from gon_shim.torch.dtypes import floating, numpy_of, summed
from gon_shim.torch.errors import UnsupportedByDevice
from gon_shim.torch.kernels import kernel
from gon_shim.torch.storage import array_of, cast_to

_OF_REALS: Final = frozenset(("max", "min", "argmax", "argmin"))
Dims: TypeAlias = int | Sequence[int] | None


def reduced(
    x: Array, function: Reduction, dims: Dims, keepdim: bool, dtype: torch.dtype | None = None
) -> Array:
    """Return a reduction along dimensions, all of them for none; `dtype` is that of sums."""
    if x.dtype.kind == "c" and function in _OF_REALS:
        raise UnsupportedByDevice(f"{function} of complex elements, on gon")
    axes = _axes(dims, x.ndim)
    element = element_of(x.dtype if dtype is None else numpy_of(dtype))
    return _kept(x.make(Reduce(function, axes, element), [x.operand]), axes, keepdim)


def _axes(dims: Dims, ndim: int) -> tuple[int, ...]:
    """Return axes; a tensor without dimensions takes 0 and -1 for all of its none."""
    if dims is None or (not isinstance(dims, int) and not len(dims)):
        return tuple(range(ndim))
    if not ndim:
        axes_of(dims, 1)
        return ()
    return axes_of(dims, ndim)


def _kept(found: Array, axes: Sequence[int], keepdim: bool) -> Array:
    view = found.view
    for axis in sorted(axes) if keepdim else ():
        view = expanded(view, axis)
    return found.seen(view)


@kernel("sum.dim_IntList", "sum")
def sum_(
    self: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Array:
    return reduced(array_of(self), "sum", dim, keepdim, summed(self.dtype, dtype))


@kernel("mean.dim", "mean")
def mean(
    self: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Array:
    return reduced(array_of(self), "mean", dim, keepdim, dtype or self.dtype)


@kernel("prod.dim_int", "prod")
def prod(
    self: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Array:
    return reduced(array_of(self), "prod", dim, keepdim, summed(self.dtype, dtype))


@kernel("amax")
def amax(self: Tensor, dim: Dims = (), keepdim: bool = False) -> Array:
    return reduced(array_of(self), "max", dim, keepdim)


@kernel("amin")
def amin(self: Tensor, dim: Dims = (), keepdim: bool = False) -> Array:
    return reduced(array_of(self), "min", dim, keepdim)


@kernel("max")
def max_(self: Tensor) -> Array:
    return reduced(array_of(self), "max", None, keepdim=False)


@kernel("min")
def min_(self: Tensor) -> Array:
    return reduced(array_of(self), "min", None, keepdim=False)


@kernel("max.dim")
def max_dim(self: Tensor, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
    return amax(self, dim, keepdim), argmax(self, dim, keepdim)


@kernel("min.dim")
def min_dim(self: Tensor, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
    return amin(self, dim, keepdim), argmin(self, dim, keepdim)


@kernel("argmax")
def argmax(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Array:
    return _place(self, "argmax", dim, keepdim)


@kernel("argmin")
def argmin(self: Tensor, dim: int | None = None, keepdim: bool = False) -> Array:
    return _place(self, "argmin", dim, keepdim)


def _place(self: Tensor, function: Reduction, dim: int | None, keepdim: bool) -> Array:
    x = array_of(self)
    if dim is None or not x.ndim:
        found = reduced(x.in_shape((x.size,)), function, 0, keepdim=False)
        return found.in_shape((1,) * x.ndim) if keepdim else found
    return reduced(x, function, dim, keepdim)


@kernel("any", "any.dim", "any.dims")
def any_(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Array:
    return _truth(self, "any", dim, keepdim)


@kernel("all", "all.dim", "all.dims")
def all_(self: Tensor, dim: Dims = None, keepdim: bool = False) -> Array:
    return _truth(self, "all", dim, keepdim)


def _truth(self: Tensor, function: Reduction, dim: Dims, keepdim: bool) -> Array:
    found = reduced(array_of(self), function, dim, keepdim)
    # PyTorch has kept this of when it had no bools.
    return cast_to(found, numpy_of(torch.uint8)) if self.dtype == torch.uint8 else found


def moment(
    self: Tensor, function: str, dim: Dims, correction: Number | None, keepdim: bool
) -> Array:
    x = array_of(self)
    axes = _axes(dim, x.ndim)
    less = 1.0 if correction is None else float(correction)  # type: ignore[arg-type]
    operation = Moment("std" if function == "std" else "var", axes, less)
    return _kept(x.make(operation, [x.operand]), axes, keepdim)


@kernel("var.correction")
def var(
    self: Tensor, dim: Dims = None, *, correction: Number | None = None, keepdim: bool = False
) -> Array:
    return moment(self, "var", dim, correction, keepdim)


@kernel("std.correction")
def std(
    self: Tensor, dim: Dims = None, *, correction: Number | None = None, keepdim: bool = False
) -> Array:
    return moment(self, "std", dim, correction, keepdim)


@kernel("var_mean.correction")
def var_mean(
    self: Tensor, dim: Dims = None, *, correction: Number | None = None, keepdim: bool = False
) -> tuple[Array, Array]:
    return moment(self, "var", dim, correction, keepdim), mean(self, dim, keepdim)


@kernel("linalg_vector_norm")
def vector_norm(
    self: Tensor,
    ord: Number = 2,  # noqa: A002 - PyTorch's name
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Array:
    wanted = dtype or self.dtype
    # Squares of float16 are soon beyond it.
    wide = torch.float32 if wanted == torch.float16 else wanted
    x = apply("abs", cast_to(array_of(self), numpy_of(wide)))
    found = _norm(x, float(ord), dim, keepdim)  # type: ignore[arg-type]
    return cast_to(found, numpy_of(torch.float16)) if wide != wanted else found


def _norm(x: Array, order: float, dim: Dims, keepdim: bool) -> Array:
    if math.isinf(order):
        return reduced(x, "max" if order > 0 else "min", dim, keepdim)
    if order == 0:
        return reduced(cast_to(x != 0, x.dtype), "sum", dim, keepdim)
    if order == 1:
        return reduced(x, "sum", dim, keepdim)
    if order == 2:
        return apply("sqrt", reduced(apply("square", x), "sum", dim, keepdim))
    return reduced(x**order, "sum", dim, keepdim) ** (1 / order)


@kernel("logsumexp")
def logsumexp(self: Tensor, dim: Dims, keepdim: bool = False) -> Array:
    x = cast_to(array_of(self), numpy_of(floating(self.dtype)))
    if not x.size:
        # Nothing has no largest.
        return apply("log", reduced(x, "sum", dim, keepdim))
    most = reduced(x, "max", dim, keepdim=True)
    finite = where(apply("isinf", most), most.dtype.type(0), most)
    total = apply("log", reduced(apply("exp", x - finite), "sum", dim, keepdim=True)) + finite
    kept = total.shape if keepdim else reduced(x, "max", dim, keepdim=False).shape
    return total.in_shape(kept)


@kernel("cumsum")
def cumsum(self: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Array:
    return _running(self, "sum", dim, dtype)


@kernel("cumprod")
def cumprod(self: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Array:
    return _running(self, "prod", dim, dtype)


def _running(
    self: Tensor, function: Literal["sum", "prod"], dim: int, dtype: torch.dtype | None
) -> Array:
    x = array_of(self)
    wanted = summed(self.dtype, dtype)
    axes = _axes(dim, x.ndim)
    if not axes:
        return cast_to(x, numpy_of(wanted))
    return x.make(Cumulate(function, axes[0], element_of(numpy_of(wanted))), [x.operand])


@kernel("sort", "sort.stable")
def sort(
    self: Tensor,
    dim: int = -1,
    descending: bool = False,
    *,
    stable: bool | None = None,
) -> tuple[Array, Array]:
    del stable  # equals stay as they were, whoever asks
    x = array_of(self)
    if x.dtype.kind == "c":
        raise UnsupportedByDevice("the order of complex elements, on gon")
    axes = _axes(dim, x.ndim)
    if not axes:
        return x, reduced(x.in_shape((1,)), "argmax", 0, keepdim=False)
    values, places = (
        x.make(Sort(axes[0], descending, stable=True, places=which), [x.operand])
        for which in (False, True)
    )
    return values, places


@kernel("topk")
def topk(
    self: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,  # noqa: A002 - PyTorch's name
) -> tuple[Array, Array]:
    del sorted  # they are
    values, places = sort(self, dim, largest)
    if not values.ndim:
        return values, places
    (axis,) = _axes(dim, values.ndim)
    if not 0 <= k <= values.shape[axis]:
        raise ValueError("selected index k out of range")
    key = (*(slice(None),) * axis, slice(k))
    return values[key], places[key]
