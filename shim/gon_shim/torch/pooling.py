"""Pooling: the largest and the mean of windows, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from gon.array_rules import Dtype
from gon_client.xp.array import Array, apply
from gon_client.xp.views import broadcast, expanded
from gon_shim.torch.errors import UnsupportedByDevice
from gon_shim.torch.indexing import put
from gon_shim.torch.kernels import kernel
from gon_shim.torch.reductions import reduced
from gon_shim.torch.storage import array_of, cast_to, counted, filled
from gon_shim.torch.windows import Windows, padded_all, spread, widened, windowed


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
    return dtype.type(np.iinfo(dtype.name).min)


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
    place = _origin(shape, -2, windows, 0, x) + row * windows.dilation[0]
    place = place * x.shape[-1] + (_origin(shape, -1, windows, 1, x) + column * windows.dilation[1])
    return reduced(flat, "max", -1, keepdim=False), place


def _origin(shape: Sequence[int], axis: int, windows: Windows, place: int, beside: Array) -> Array:
    """Return where windows begin along an axis, to be added to what has that shape."""
    begins = counted(shape[axis], beside) * windows.stride[place] - windows.padding[place]
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
    first = counted(planes, grad) * size
    flat = places.in_shape((planes, each)) + first.seen(expanded(first.view, 1))
    zeros = filled(grad.dtype.type(0), (planes * size,), grad)
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
    seen = windowed(x, windows, ceil=ceil_mode, value=x.dtype.type(0))
    total = reduced(seen, "sum", (-2, -1), keepdim=False)
    share = apply(
        "divide", total, _divisor(x, windows, ceil_mode, count_include_pad, divisor_override)
    )
    return cast_to(share, x.dtype)


def _divisor(
    x: Array, windows: Windows, ceil: bool, count_include_pad: bool, divisor: int | None
) -> Array | np.generic:
    """Return what sums of windows are divided by: how many elements each has."""
    if divisor is not None or not (ceil or any(windows.padding)):
        return x.dtype.type(divisor or math.prod(windows.size))
    sizes = x.shape[-2:]
    if count_include_pad:
        sizes = tuple(size + 2 * more for size, more in zip(sizes, windows.padding, strict=True))
        windows = windows._replace(padding=(0, 0))
    ones = filled(x.dtype.type(1), sizes, x)
    seen = windowed(ones, windows, ceil=ceil, value=x.dtype.type(0))
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
    x, grad = array_of(self), array_of(grad_output)
    windows = _windows(kernel_size, stride, padding)
    share = apply(
        "divide", grad, _divisor(x, windows, ceil_mode, count_include_pad, divisor_override)
    )
    wide = widened(share, windows.stride)
    before = [size - 1 - pad for size, pad in zip(windows.size, windows.padding, strict=True)]
    behind = [
        x.shape[axis] + windows.size[axis] - 1 - before[axis] - wide.shape[axis]
        for axis in (-2, -1)
    ]
    wide = padded_all(wide, before, behind, x.dtype.type(0))
    each = Windows(windows.size, (1, 1), (0, 0), (1, 1))
    return reduced(windowed(wide, each, value=x.dtype.type(0)), "sum", (-2, -1), keepdim=False)


@kernel("_adaptive_avg_pool2d")
def adaptive_avg_pool(self: Tensor, output_size: Sequence[int]) -> Array:
    return reduced(_parts(array_of(self), output_size), "mean", (-3, -1), keepdim=False)


@kernel("_adaptive_avg_pool2d_backward")
def adaptive_avg_pool_backward(grad_output: Tensor, self: Tensor) -> Array:
    grad = array_of(grad_output)
    high, wide = (
        size // count for size, count in zip(self.shape[-2:], grad.shape[-2:], strict=True)
    )
    _check_even(self.shape[-2:], grad.shape[-2:])
    share = grad / (high * wide)
    view = expanded(expanded(share.view, share.ndim - 1), share.ndim + 1)
    shape = (*grad.shape[:-2], grad.shape[-2], high, grad.shape[-1], wide)
    return share.seen(broadcast(view, shape)).in_shape(tuple(self.shape))


@kernel("upsample_nearest2d_backward")
def upsample_nearest_backward(
    grad_output: Tensor,
    output_size: Sequence[int],
    input_size: Sequence[int],
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> Array:
    del output_size, scales_h, scales_w  # what the shapes say
    return reduced(_parts(array_of(grad_output), input_size[-2:]), "sum", (-3, -1), keepdim=False)


def _parts(x: Array, counts: Sequence[int]) -> Array:
    """Return planes as parts of one size: […, rows, height, columns, width]."""
    _check_even(x.shape[-2:], counts)
    rows, columns = counts
    high, wide = x.shape[-2] // rows, x.shape[-1] // columns
    return x.in_shape((*x.shape[:-2], rows, high, columns, wide))


def _check_even(sizes: Sequence[int], counts: Sequence[int]) -> None:
    if any(size % count for size, count in zip(sizes, counts, strict=True)):
        raise UnsupportedByDevice(
            f"planes of {list(sizes)} in {list(counts)} parts, which are not of one size"
        )
