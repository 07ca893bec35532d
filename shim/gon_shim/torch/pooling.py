"""Pooling: the largest and the mean of windows, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from gon.array_rules import Dtype
from gon_client.xp.array import Array, apply
from gon_client.xp.creation import arange, full
from gon_client.xp.views import View, broadcast, expanded
from gon_shim.torch.indexing import put
from gon_shim.torch.kernels import kernel
from gon_shim.torch.reductions import reduced
from gon_shim.torch.storage import array_of, device
from gon_shim.torch.windows import Windows, padded_all, spread, widened, windowed

_ONE = View(0, (), ())


def _windows(
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1,),
    count: int = 2,
) -> Windows:
    return Windows(
        spread(size, count),
        spread(stride or size, count),
        spread(padding, count),
        spread(dilation, count),
    )


def _least(dtype: Dtype) -> np.generic:
    if dtype.kind == "f":
        return dtype.type(-math.inf)
    return dtype.type(np.iinfo(dtype).min)


@kernel("max_pool2d_with_indices")
def max_pool(
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    x = array_of(self)
    windows = _windows(kernel_size, stride, padding, dilation)
    seen = windowed(x, windows, ceil=ceil_mode, value=_least(x.dtype))
    shape = seen.shape[:-2]
    flat = seen.in_shape((*shape, math.prod(windows.size)))
    which = reduced(flat, "argmax", -1, keepdim=False)
    # Where in the plane that is, not in the window.
    row = apply("floor_divide", which, np.int64(windows.size[1]))
    column = which - row * windows.size[1]
    place = _origin(shape, -2, windows, 0) + row * windows.dilation[0]
    place = place * x.shape[-1] + (_origin(shape, -1, windows, 1) + column * windows.dilation[1])
    return reduced(flat, "max", -1, keepdim=False), place


def _origin(shape: Sequence[int], axis: int, windows: Windows, place: int) -> Array:
    """Return where windows begin along an axis, to be added to what has that shape."""
    begins = arange(shape[axis], device=device()) * windows.stride[place] - windows.padding[place]
    return begins.seen(expanded(begins.view, 1)) if axis == -2 else begins


@kernel("max_pool2d_with_indices_backward")
def max_pool_backward(
    grad_output: Tensor,
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Array:
    del kernel_size, stride, padding, dilation, ceil_mode  # what the places say
    grad, places = array_of(grad_output), array_of(indices)
    planes, size = math.prod(self.shape[:-2]), math.prod(self.shape[-2:])
    each = math.prod(grad.shape[-2:])
    first = arange(planes, device=device()) * size
    flat = places.in_shape((planes, each)) + first.seen(expanded(first.view, 1))
    zeros = full((planes * size,), 0, dtype=grad.dtype, device=device())
    found = put(
        zeros,
        grad.in_shape((planes * each,)),
        [flat.in_shape((planes * each,))],
        adds=True,
        wraps=True,
    )
    return found.in_shape(tuple(self.shape))


@kernel("avg_pool2d")
def avg_pool(
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    x = array_of(self)
    windows = _windows(kernel_size, stride, padding)
    if ceil_mode:
        raise NotImplementedError("avg_pool2d with ceil_mode")
    zero = x.dtype.type(0)
    total = reduced(windowed(x, windows, value=zero), "sum", (-2, -1), keepdim=False)
    return total / _divisor(x, windows, count_include_pad, divisor_override)


def _divisor(
    x: Array, windows: Windows, count_include_pad: bool, divisor: int | None
) -> Array | np.generic:
    """Return what sums of windows are divided by."""
    if divisor is not None or count_include_pad or not any(windows.padding):
        return x.dtype.type(divisor or math.prod(windows.size))
    ones = full(x.shape[-2:], 1, dtype=x.dtype, device=device())
    seen = windowed(ones, windows, value=x.dtype.type(0))
    return reduced(seen, "sum", (-2, -1), keepdim=False)


@kernel("avg_pool2d_backward")
def avg_pool_backward(
    grad_output: Tensor,
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    if ceil_mode:
        raise NotImplementedError("avg_pool2d with ceil_mode")
    x, grad = array_of(self), array_of(grad_output)
    windows = _windows(kernel_size, stride, padding)
    share = grad / _divisor(x, windows, count_include_pad, divisor_override)
    wide = widened(share, windows.stride)
    before = [size - 1 - pad for size, pad in zip(windows.size, windows.padding, strict=True)]
    behind = [
        x.shape[axis] + windows.size[axis] - 1 - before[axis] - wide.shape[axis]
        for axis in (-2, -1)
    ]
    wide = padded_all(wide, before, behind, x.dtype.type(0))
    each = Windows(windows.size, (1, 1), (0, 0), (1, 1))
    return reduced(windowed(wide, each, value=x.dtype.type(0)), "sum", (-2, -1), keepdim=False)
