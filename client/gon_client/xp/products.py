"""Products of matrices and vectors. Vectors are matrices of one row or column: views of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gon.array_ops import Product
from gon.errors import InvalidArgument
from gon_client.xp.views import (
    View,
    axis_of,
    broadcast,
    broadcast_shape,
    expanded,
    permuted,
    squeezed,
)

if TYPE_CHECKING:
    from gon_client.xp.array import Array


def matmul(x1: Array, x2: Array, /) -> Array:
    """Return the product of matrices, or of stacks of them; vectors are rows of `x1` or columns of
    `x2`.
    """
    first, second = x1.view, x2.view
    if not first.shape or not second.shape:
        raise InvalidArgument("matmul of an array without dimensions")
    is_row, is_column = len(first.shape) == 1, len(second.shape) == 1
    first = expanded(first, 0) if is_row else first
    second = expanded(second, 1) if is_column else second
    stack = broadcast_shape(first.shape[:-2], second.shape[:-2])
    product = x1.make(
        Product("matmul"),
        [
            (x1.storage, broadcast(first, (*stack, *first.shape[-2:]))),
            (x2.storage, broadcast(second, (*stack, *second.shape[-2:]))),
        ],
    )
    ndim = product.ndim
    gone = [ndim - 2] * is_row + [ndim - 1] * is_column
    return product.seen(squeezed(product.view, gone)) if gone else product


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Return the sums of conj(x1) × x2 along an axis, which both have as one of their last."""
    if axis >= 0:
        raise InvalidArgument("vecdot counts its axis from the last: axis < 0")
    places = [axis_of(axis, each.ndim) for each in (x1, x2)]
    if x1.shape[places[0]] != x2.shape[places[1]]:
        raise InvalidArgument(f"vecdot of {list(x1.shape)} and {list(x2.shape)}")
    shape = broadcast_shape(x1.shape, x2.shape)
    operands = [
        (each.storage, _last(broadcast(each.view, shape), axis % len(shape))) for each in (x1, x2)
    ]
    return x1.make(Product("vecdot"), operands)


def _last(view: View, axis: int) -> View:
    """Return the view with an axis behind all others."""
    order = [each for each in range(len(view.shape)) if each != axis]
    return permuted(view, (*order, axis))


def tensordot(
    x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2
) -> Array:
    """Return the sums of products over axes: as many as `axes` says, the last of `x1` and the
    first of `x2`; or those named for each.
    """
    if isinstance(axes, int):
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise InvalidArgument(f"tensordot over {axes} axes")
        of_first, of_second = list(range(x1.ndim - axes, x1.ndim)), list(range(axes))
    else:
        of_first = [axis_of(axis, x1.ndim) for axis in axes[0]]
        of_second = [axis_of(axis, x2.ndim) for axis in axes[1]]
    if [x1.shape[axis] for axis in of_first] != [x2.shape[axis] for axis in of_second]:
        raise InvalidArgument(
            f"tensordot of {list(x1.shape)} and {list(x2.shape)} over {of_first} and {of_second}"
        )
    left = [axis for axis in range(x1.ndim) if axis not in of_first]
    right = [axis for axis in range(x2.ndim) if axis not in of_second]
    summed = math.prod(x1.shape[axis] for axis in of_first)
    rows = x1.seen(permuted(x1.view, (*left, *of_first)))
    columns = x2.seen(permuted(x2.view, (*of_second, *right)))
    shape = (*(x1.shape[axis] for axis in left), *(x2.shape[axis] for axis in right))
    m = math.prod(x1.shape[axis] for axis in left)
    n = math.prod(x2.shape[axis] for axis in right)
    product = matmul(rows.in_shape((m, summed)), columns.in_shape((summed, n)))
    return product.in_shape(shape)
