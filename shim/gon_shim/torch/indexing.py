"""Elements by their places, and what puts tensors together.

Rules: places of which the host knows the bounds (gon_shim.torch.storage) are checked where the call
is, and cannot fail later; others fail where their elements are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gon.array_ops import Cumulate, Gather, Join, Pick, Put, Take, TakeAlong, Triangle
from gon_client.xp.array import Array, apply
from gon_client.xp.elementwise import where
from gon_client.xp.manipulation import concat, roll
from gon_client.xp.operators import Number
from gon_client.xp.storage import Operand
from gon_client.xp.views import (
    View,
    axis_of,
    broadcast,
    broadcast_shape,
    expanded,
    flipped,
    permuted,
)
from gon_shim.torch.dtypes import TYPES, numpy_of
from gon_shim.torch.errors import Mixed, OutOfRange, UnsupportedByDevice
from gon_shim.torch.kernels import kernel
from gon_shim.torch.noting import asked
from gon_shim.torch.storage import array_of, cast_to, counted, held, is_all_of_storage

_ONE = View(0, (), ())


def are_within(places: Tensor, size: int, *, negative: bool = False) -> bool:
    """Return whether places are known to lie within a size; False where only the unit knows. Raises
    OutOfRange where they are known not to.
    """
    return asked(places, partial(_are_within, size=size, negative=negative))


def _are_within(places: Tensor, size: int, negative: bool) -> bool:
    content = held(places)
    array, bounds = content.array, content.bounds
    # Of what is looked at as another type nothing is known.
    if bounds is None or not size or array is None or array.dtype != TYPES.get(places.dtype):
        return False
    low, high = bounds
    if low < (-size if negative else 0) or high >= size:
        if is_all_of_storage(places):
            raise OutOfRange(f"index out of range: {low} to {high}, of {size}")
        return False
    return True


@kernel("cat")
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Array:
    dtype = tensors[0].dtype
    for each in tensors[1:]:
        dtype = torch.promote_types(dtype, each.dtype)
    # PyTorch has always let vectors of nothing pass.
    parts = [each for each in tensors if each.shape != (0,)] or list(tensors[:1])
    return concat([cast_to(array_of(each), numpy_of(dtype)) for each in parts], axis=dim)


@kernel("constant_pad_nd")
def constant_pad(self: Tensor, pad: Sequence[int], value: Number = 0) -> Array:
    x = array_of(self)
    number = numpy_of(self.dtype).type(value)
    for place in range(len(pad) // 2):
        x = padded(x, x.ndim - 1 - place, pad[2 * place], pad[2 * place + 1], number)
    return x


def padded(x: Array, axis: int, before: int, behind: int, value: np.generic) -> Array:
    """Return an array with more of one value at both ends of an axis, or with less of its own."""
    key = (*(slice(None),) * axis, slice(max(0, -before), x.shape[axis] - max(0, -behind)))
    x = x[key] if before < 0 or behind < 0 else x
    parts: list[Operand] = [x.operand]
    for place, size in ((0, before), (2, behind)):
        if size > 0:
            shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
            parts.insert(place, (value, broadcast(_ONE, shape)))
    return x.make(Join(axis), parts) if len(parts) > 1 else x


@kernel("flip")
def flip(self: Tensor, dims: Sequence[int]) -> Array:
    x = array_of(self)
    axes = [axis_of(axis, x.ndim) for axis in dims] if x.ndim else []
    return x.seen(flipped(x.view, axes)).copied()


@kernel("roll")
def rolled(self: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Array:
    if not dims:
        return roll(array_of(self), int(shifts[0]))
    return roll(array_of(self), tuple(shifts), axis=tuple(dims))


@kernel("tril")
def tril(self: Tensor, diagonal: int = 0) -> Array:
    x = array_of(self)
    return x.make(Triangle(upper=False, diagonal=diagonal), [x.operand])


@kernel("triu")
def triu(self: Tensor, diagonal: int = 0) -> Array:
    x = array_of(self)
    return x.make(Triangle(upper=True, diagonal=diagonal), [x.operand])


@kernel("index_select")
def index_select(self: Tensor, dim: int, index: Tensor) -> Array:
    x = array_of(self)
    if not x.ndim:
        return x
    return _taken(x, axis_of(dim, x.ndim), index)


def _taken(x: Array, axis: int, places: Tensor) -> Array:
    known = are_within(places, x.shape[axis])
    operation = Pick(axis) if known else Take(axis)
    return x.make(operation, [x.operand, array_of(places).operand])


@kernel("embedding")
def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    del padding_idx, scale_grad_by_freq, sparse  # its gradient's
    return _taken(array_of(weight), 0, indices)


@kernel("embedding_dense_backward")
def embedding_backward(
    grad_output: Tensor,
    indices: Tensor,
    num_weights: int,
    padding_idx: int,
    scale_grad_by_freq: bool,
) -> Array:
    grad, places = array_of(grad_output), array_of(indices)
    width = grad.shape[-1]
    if padding_idx >= 0:
        is_padding = apply("equal", places, places.dtype.type(padding_idx))
        kept = is_padding.seen(expanded(is_padding.view, is_padding.ndim))
        grad = where(kept, grad.dtype.type(0), grad)
    if scale_grad_by_freq:
        raise UnsupportedByDevice("embeddings with scale_grad_by_freq, on gon")
    zero = (grad.dtype.type(0), broadcast(_ONE, (num_weights, width)))
    # The lookup before has found them all within.
    return grad.make(Put(adds=True, wraps=True), [zero, grad.operand, places.operand])


@kernel("gather")
def gather(self: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Array:
    del sparse_grad  # it is dense
    x, places = array_of(self), array_of(index)
    if not places.size:
        return cast_to(places, x.dtype)
    if not x.ndim or not places.ndim:
        return _flat_gather(x, places)
    axis = axis_of(dim, x.ndim)
    if places.ndim != x.ndim:
        raise Mixed("Index tensor must have the same number of dimensions as input tensor")
    key = tuple(
        slice(None) if place == axis else slice(size) for place, size in enumerate(places.shape)
    )
    part = x[key]
    return part.make(TakeAlong(axis), [part.operand, places.operand])


def _flat_gather(x: Array, places: Array) -> Array:
    flat, at = x.in_shape((x.size,)), places.in_shape((places.size,))
    return flat.make(Take(0), [flat.operand, at.operand]).in_shape(places.shape)


def put(x: Array, values: Array, places: Sequence[Array], *, adds: bool, wraps: bool) -> Array:
    """Return an array with values put, or added, at places along its first dimensions."""
    operands = [x.operand, values.operand, *[each.operand for each in places]]
    return x.make(Put(adds, wraps), operands)


def _scattered(self: Tensor, dim: int, index: Tensor, values: Array, *, adds: bool) -> Array:
    x, places = array_of(self), array_of(index)
    if not places.size:
        return x
    if not x.ndim:
        x = x.in_shape((1,))
        found = put(x, values.in_shape((1,)), [places.in_shape((1,))], adds=adds, wraps=False)
        return found.in_shape(())
    axis = axis_of(dim, x.ndim)
    shape = places.shape
    values = values[tuple(slice(size) for size in shape)] if values.ndim else values
    values = values.seen(broadcast(values.view, shape))
    grid = [places if place == axis else _along(place, shape, x) for place in range(len(shape))]
    known = are_within(index, x.shape[axis])
    return put(x, values, grid, adds=adds, wraps=known)


def _along(axis: int, shape: Sequence[int], beside: Array) -> Array:
    """Return the places along an axis, in a shape."""
    places = counted(shape[axis], beside)
    view = places.view
    for place in range(len(shape)):
        if place != axis:
            view = expanded(view, place)
    return places.seen(broadcast(view, tuple(shape)))


def _check_scattered(self: Tensor, dim: int, index: Tensor, src: Tensor) -> None:
    """Raise Mixed where there is no element, or no value, for each place."""
    if not index.numel():
        return
    shape, of_self, of_src = (tuple(each.shape) or (1,) for each in (index, self, src))
    fits = len(shape) == len(of_self) == len(of_src) and all(
        size <= there and (place == dim % len(shape) or size <= here)
        for place, (size, here, there) in enumerate(zip(shape, of_self, of_src, strict=True))
    )
    if not fits:
        raise Mixed(
            f"Expected index {list(index.shape)} to be no larger than self {list(self.shape)} "
            f"apart from dimension {dim} and to be no larger size than src {list(src.shape)}"
        )


@kernel("scatter.src")
def scatter(self: Tensor, dim: int, index: Tensor, src: Tensor) -> Array:
    _check_scattered(self, dim, index, src)
    return _scattered(self, dim, index, array_of(src), adds=False)


@kernel("scatter.value")
def scatter_value(self: Tensor, dim: int, index: Tensor, value: Number) -> Array:
    one = array_of(torch.full((), value, dtype=self.dtype, device=self.device))
    return _scattered(self, dim, index, one, adds=False)


@kernel("scatter_add")
def scatter_add(self: Tensor, dim: int, index: Tensor, src: Tensor) -> Array:
    _check_scattered(self, dim, index, src)
    return _scattered(self, dim, index, array_of(src), adds=True)


# x[i, j] -----------------
def _positions(self: Tensor, indices: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return an index with a mask as the places where it is true: that waits."""
    found: list[Tensor | None] = []
    for each in indices:
        if each is not None and each.dtype in (torch.bool, torch.uint8):
            if each.shape != self.shape[len(found) : len(found) + each.dim()]:
                raise OutOfRange(
                    f"The shape of the mask {list(each.shape)} at index 0 does not match the shape "
                    f"of the indexed tensor {list(self.shape)} at index 0"
                )
            found += each.nonzero().unbind(1)
        else:
            found.append(each)
    return found


def _indexed(
    self: Tensor, indices: Sequence[Tensor | None]
) -> tuple[Array, list[Array], list[int], bool]:
    """Return an array with its indexed dimensions first, places for these, its dimensions in that
    order, and whether all places are known to be within.
    """
    positions = _positions(self, indices)
    if len(positions) > self.dim():
        raise OutOfRange(f"too many indices for tensor of dimension {self.dim()}")
    x = array_of(self)
    axes = [axis for axis, each in enumerate(positions) if each is not None]
    known = True
    places: list[Array] = []
    for axis in axes:
        each = positions[axis]
        assert each is not None
        if each.device.type == "cpu":
            each = each.to("gon")
        known &= are_within(each, x.shape[axis], negative=True)
        places.append(array_of(each))
    shape = broadcast_shape(*[each.shape for each in places])
    places = [each.seen(broadcast(each.view, shape)) for each in places]
    order = [*axes, *[axis for axis in range(x.ndim) if axis not in axes]]
    return x.seen(permuted(x.view, tuple(order))), places, order, known


@kernel("index.Tensor", "_unsafe_index.Tensor")
def index(self: Tensor, indices: Sequence[Tensor | None]) -> Array:
    x, places, order, known = _indexed(self, indices)
    if not places:
        return x
    axes = order[: len(places)]
    if len(places) == 1 and known:
        found = x.make(Pick(0), [x.operand, places[0].operand])
    else:
        found = x.make(Gather(), [x.operand, *[each.operand for each in places]])
    if axes != list(range(axes[0], axes[0] + len(axes))):
        return found
    ndim = places[0].ndim
    moved = [*range(ndim, ndim + axes[0]), *range(ndim), *range(ndim + axes[0], found.ndim)]
    return found.seen(permuted(found.view, tuple(moved)))


@kernel("index_put", "_unsafe_index_put")
def index_put(
    self: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Array:
    if self.dtype != values.dtype:
        raise Mixed(
            "Index put requires the source and destination dtypes match, got "
            f"{self.dtype} for the destination and {values.dtype} for the source."
        )
    x, places, order, known = _indexed(self, indices)
    axes = order[: len(places)]
    ndim = places[0].ndim
    first = axes[0] if axes == list(range(axes[0], axes[0] + len(axes))) else 0
    rest = x.shape[len(places) :]
    # Values come as `x[indices]` is laid out: what is indexed stands where it stood.
    laid = (*rest[:first], *places[0].shape, *rest[first:])
    given = array_of(values) if values.device.type != "cpu" else array_of(values.to("gon"))
    given = given.seen(broadcast(given.view, laid))
    moved = [*range(first, first + ndim), *range(first), *range(first + ndim, len(laid))]
    given = given.seen(permuted(given.view, tuple(moved)))
    found = put(x, given, places, adds=accumulate, wraps=known)
    back = [order.index(axis) for axis in range(len(order))]
    return found.seen(permuted(found.view, tuple(back)))


@kernel("_index_put_impl")
def index_put_impl(
    self: Tensor,
    indices: Sequence[Tensor | None],
    values: Tensor,
    accumulate: bool = False,
    unsafe: bool = False,
) -> Array:
    del unsafe
    return index_put(self, indices, values, accumulate)


@kernel("masked_scatter")
def masked_scatter(self: Tensor, mask: Tensor, source: Tensor) -> Array:
    """Return the array with what is under the mask replaced by the source's elements, in order."""
    x, under, given = array_of(self), array_of(mask), array_of(source)
    shape = broadcast_shape(x.shape, under.shape)
    x, under = (each.seen(broadcast(each.view, shape)) for each in (x, under))
    flat, values = under.in_shape((under.size,)), given.in_shape((given.size,))
    if not values.size:
        return x
    sums = x.make(Cumulate("sum", 0, "int64"), [flat.operand])
    # Before the first that is true, and so unread, the place is -1: modulo the size it is one.
    taken = x.make(Pick(0), [values.operand, (sums - 1).operand])
    return where(under, taken.in_shape(shape), x)
