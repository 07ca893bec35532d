"""Convolutions, of any number of dimensions, as products of matrices: of windows and weights.

    windows[group, batch·places, channels·offsets] @ weights[group, channels·offsets, outputs]

The gradient to what went in is a transposed convolution, and the other way round; that to the
weights is a product of the same windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from gon_client.xp.array import Array
from gon_client.xp.products import matmul
from gon_client.xp.views import expanded, flipped
from gon_shim.torch.kernels import kernel
from gon_shim.torch.reductions import reduced
from gon_shim.torch.storage import array_of
from gon_shim.torch.windows import Windows, moved, padded_all, spread, widened, windowed


class _Shape(NamedTuple):
    """What a convolution is but for its elements."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


@kernel("convolution_overrideable")
def convolution(
    input: Tensor,  # noqa: A002 - PyTorch's name
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Array:
    x, w = array_of(input), array_of(weight)
    shape = _shape(w.ndim - 2, stride, padding, dilation, groups)
    if transposed:
        found = _transposed(x, w, shape, spread(output_padding, w.ndim - 2))
    else:
        found = _convolved(x, w, shape)
    if bias is not None:
        found = found + _beside(array_of(bias), w.ndim - 2)
    return found


@kernel("convolution_backward_overrideable")
def convolution_backward(
    grad_output: Tensor,
    input: Tensor,  # noqa: A002 - PyTorch's name
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Array | None, Array | None, Array | None]:
    del output_padding  # what the result's shape says
    grad, x, w = array_of(grad_output), array_of(input), array_of(weight)
    count = w.ndim - 2
    shape = _shape(count, stride, padding, dilation, groups)
    of_input = of_weight = of_bias = None
    if output_mask[0]:
        of_input = (
            _convolved(grad, w, shape, x.shape[2:])
            if transposed
            else _transposed_to(grad, w, shape, x.shape[2:])
        )
    if output_mask[1]:
        small, large = (x, grad) if transposed else (grad, x)
        of_weight = _weights(small, large, w.shape[2:], shape)
    if output_mask[2]:
        of_bias = reduced(grad, "sum", (0, *range(2, grad.ndim)), keepdim=False)
    return of_input, of_weight, of_bias


def _shape(
    count: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> _Shape:
    return _Shape(spread(stride, count), spread(padding, count), spread(dilation, count), groups)


def _beside(bias: Array, count: int) -> Array:
    view = bias.view
    for _ in range(count):
        view = expanded(view, len(view.shape))
    return bias.seen(view)


def _matrix(
    x: Array, windows: Windows, groups: int, at: tuple[int, ...] | None = None
) -> tuple[Array, tuple[int, ...]]:
    """Return the windows of an array, or the first of them, as matrices
    [group, batch·places, channels·offsets], and the numbers of places.
    """
    count = len(windows.size)
    seen = windowed(x, windows, value=x.dtype.type(0))
    if at is not None:
        seen = seen[(slice(None), slice(None), *[slice(number) for number in at])]
    batch, channels = seen.shape[:2]
    places = seen.shape[2 : 2 + count]
    each = channels // groups
    base, shape, strides = seen.view
    grouped = seen.seen(
        type(seen.view)(
            base,
            (batch, groups, each, *shape[2:]),
            (strides[0], each * strides[1], strides[1], *strides[2:]),
        )
    )
    order = (1, 0, *range(3, 3 + count), 2, *range(3 + count, 3 + 2 * count))
    rows = batch * math.prod(places)
    return moved(grouped, order).in_shape((groups, rows, each * math.prod(windows.size))), places


def _convolved(x: Array, w: Array, shape: _Shape, at: tuple[int, ...] | None = None) -> Array:
    """Return the convolution of x[batch, channels, …] with w[outputs, channels a group, …], at all
    places or the first of them.
    """
    windows = Windows(w.shape[2:], shape.stride, shape.padding, shape.dilation)
    matrix, places = _matrix(x, windows, shape.groups, at)
    outputs = w.shape[0] // shape.groups
    weights = w.in_shape((shape.groups, outputs, matrix.shape[2]))
    product = matmul(matrix, moved(weights, (0, 2, 1)))
    return _as_channels(product, x.shape[0], places)


def _as_channels(product: Array, batch: int, places: tuple[int, ...]) -> Array:
    """Return [group, batch·places, outputs] as [batch, group·outputs, places …]."""
    groups, _, outputs = product.shape
    apart = product.in_shape((groups, batch, *places, outputs))
    last = apart.ndim - 1
    turned = moved(apart, (1, 0, last, *range(2, last)))
    return turned.in_shape((batch, groups * outputs, *places))


def _transposed(x: Array, w: Array, shape: _Shape, more: tuple[int, ...]) -> Array:
    sizes = tuple(
        (size - 1) * stride - 2 * padding + dilation * (width - 1) + 1 + extra
        for size, stride, padding, dilation, width, extra in zip(
            x.shape[2:], shape.stride, shape.padding, shape.dilation, w.shape[2:], more, strict=True
        )
    )
    return _transposed_to(x, w, shape, sizes)


def _transposed_to(x: Array, w: Array, shape: _Shape, sizes: Sequence[int]) -> Array:
    """Return the transposed convolution, so large, of x with w[channels, outputs a group, …]."""
    count = len(sizes)
    wide = widened(x, shape.stride)
    before = [
        dilation * (width - 1) - padding
        for dilation, width, padding in zip(shape.dilation, w.shape[2:], shape.padding, strict=True)
    ]
    reach = [
        dilation * (width - 1) for dilation, width in zip(shape.dilation, w.shape[2:], strict=True)
    ]
    behind = [
        sizes[axis] + reach[axis] - before[axis] - wide.shape[2 + axis] for axis in range(count)
    ]
    wide = padded_all(wide, before, behind, x.dtype.type(0))
    groups = shape.groups
    turned = w.seen(flipped(w.view, tuple(range(2, w.ndim))))
    each, outputs = w.shape[0] // groups, w.shape[1]
    apart = turned.in_shape((groups, each, outputs, *w.shape[2:]))
    weights = moved(apart, (0, 2, 1, *range(3, apart.ndim)))
    weights = weights.in_shape((groups * outputs, each, *w.shape[2:]))
    ones = (1,) * count
    return _convolved(wide, weights, _Shape(ones, (0,) * count, shape.dilation, groups))


def _weights(small: Array, large: Array, size: tuple[int, ...], shape: _Shape) -> Array:
    """Return the gradient to weights of this size: products of `large`'s windows and `small`, at
    whose places they are.
    """
    windows = Windows(size, shape.stride, shape.padding, shape.dilation)
    places = small.shape[2:]
    # What was padded behind a transposed convolution has room for windows that nothing came of.
    matrix, _ = _matrix(large, windows, shape.groups, places)
    groups = shape.groups
    batch, channels = small.shape[:2]
    each = channels // groups
    apart = small.in_shape((batch, groups, each, *small.shape[2:]))
    turned = moved(apart, (1, 2, 0, *range(3, apart.ndim)))
    rows = turned.in_shape((groups, each, batch * math.prod(places)))
    product = matmul(rows, matrix)
    return product.in_shape((channels, large.shape[1] // groups, *size))
