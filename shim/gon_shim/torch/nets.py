"""What nets are made of, in few steps each: softmax, losses, normalisation. Convolutions, pooling
and recurrent cells have modules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gon.array_ops import TakeAlong
from gon_client.xp.array import Array, apply
from gon_client.xp.elementwise import where
from gon_client.xp.views import expanded
from gon_shim.torch.dtypes import numpy_of
from gon_shim.torch.elementwise import erf_of
from gon_shim.torch.indexing import are_within
from gon_shim.torch.kernels import kernel
from gon_shim.torch.reductions import reduced
from gon_shim.torch.storage import array_of, cast_to, counted

_NONE, _MEAN, _SUM = range(3)


@kernel("_safe_softmax")
def safe_softmax(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Array:
    """Return the softmax, zeros where there is nothing but -inf."""
    x = cast_to(array_of(self), numpy_of(dtype or self.dtype))
    if not x.size:
        return x
    most = reduced(x, "max", dim, keepdim=True)
    nothing = apply("equal", most, x.dtype.type(-np.inf))
    powers = apply("exp", x - where(nothing, x.dtype.type(0), most))
    total = reduced(powers, "sum", dim, keepdim=True)
    return powers / where(nothing, x.dtype.type(1), total)


@kernel("_softmax")
def softmax(self: Tensor, dim: int, half_to_float: bool) -> Array:
    del half_to_float
    x = array_of(self)
    if not x.size:
        return x
    powers = apply("exp", x - reduced(x, "max", dim, keepdim=True))
    return powers / reduced(powers, "sum", dim, keepdim=True)


@kernel("_softmax_backward_data")
def softmax_backward(
    grad_output: Tensor, output: Tensor, dim: int, input_dtype: torch.dtype
) -> Array:
    y = array_of(output)
    product = array_of(grad_output) * y
    found = product - y * reduced(product, "sum", dim, keepdim=True)
    return cast_to(found, numpy_of(input_dtype))


@kernel("_log_softmax")
def log_softmax(self: Tensor, dim: int, half_to_float: bool) -> Array:
    del half_to_float
    x = array_of(self)
    if not x.size:
        return x
    shifted = x - reduced(x, "max", dim, keepdim=True)
    return shifted - apply("log", reduced(apply("exp", shifted), "sum", dim, keepdim=True))


@kernel("_log_softmax_backward_data")
def log_softmax_backward(
    grad_output: Tensor, output: Tensor, dim: int, input_dtype: torch.dtype
) -> Array:
    grad = array_of(grad_output)
    found = grad - apply("exp", array_of(output)) * reduced(grad, "sum", dim, keepdim=True)
    return cast_to(found, numpy_of(input_dtype))


# Losses -----------------
class _Picked:
    """Which class each row is of, `chosen` a mask; which rows count, and how much."""

    def __init__(
        self, self_: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int
    ) -> None:
        self.axis = 1 if self_.dim() > 1 else 0
        self.x = array_of(self_)
        self.classes = self.x.shape[self.axis]
        self.target = target
        self.places = array_of(target)
        self.counts = apply("not_equal", self.places, self.places.dtype.type(ignore_index))
        self.weight = None if weight is None else array_of(weight)
        self.ignored = ignore_index

    @property
    def chosen(self) -> Array:
        places = counted(self.classes, self.x)
        view = places.view
        for _ in range(self.x.ndim - self.axis - 1):
            view = expanded(view, len(view.shape))
        return apply("equal", places.seen(view), self.column(self.places))

    def column(self, rows: Array) -> Array:
        """Return what rows have as it stands beside their classes."""
        return rows.seen(expanded(rows.view, self.axis))

    @property
    def weights(self) -> Array:
        """The weight of each row: its class's, 0 for one that is ignored."""
        counts = cast_to(self.counts, self.x.dtype)
        if self.weight is None:
            return counts
        view = self.weight.view
        for _ in range(self.x.ndim - self.axis - 1):
            view = expanded(view, len(view.shape))
        of_class = where(self.chosen, self.weight.seen(view), self.x.dtype.type(0))
        return counts * reduced(of_class, "sum", self.axis, keepdim=False)

    @property
    def values(self) -> Array:
        """Each row's element at its class. Where only the unit knows whether there is one for each,
        what reads the result is told.
        """
        if self._are_known:
            of_class = where(self.chosen, self.x, self.x.dtype.type(0))
            return reduced(of_class, "sum", self.axis, keepdim=False)
        safe = where(self.counts, self.places, self.places.dtype.type(0))
        found = self.x.make(TakeAlong(self.axis), [self.x.operand, self.column(safe).operand])
        return found.in_shape(self.places.shape)

    @property
    def _are_known(self) -> bool:
        try:
            return are_within(self.target, self.classes)
        except IndexError:
            # What is ignored may lie anywhere.
            return False


@kernel("nll_loss_forward", "nll_loss2d_forward")
def nll_loss(
    self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> tuple[Array, Array]:
    picked = _Picked(self, target, weight, ignore_index)
    weights = picked.weights
    # What is ignored may be NaN as well.
    losses = where(picked.counts, -picked.values, picked.x.dtype.type(0)) * weights
    total = reduced(weights, "sum", None, keepdim=False)
    if reduction == _NONE:
        return losses, total * 0
    found = reduced(losses, "sum", None, keepdim=False)
    return found / total if reduction == _MEAN else found, total


@kernel("nll_loss_backward", "nll_loss2d_backward")
def nll_loss_backward(
    grad_output: Tensor,
    self: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: int,
    ignore_index: int,
    total_weight: Tensor,
) -> Array:
    picked = _Picked(self, target, weight, ignore_index)
    grad = array_of(grad_output)
    if reduction == _MEAN:
        grad = grad / array_of(total_weight)
    rows = -(picked.weights * grad)
    return where(picked.chosen, picked.column(rows), rows.dtype.type(0))


# Normalisation -----------------
@kernel("native_layer_norm")
def layer_norm(
    input: Tensor,  # noqa: A002 - PyTorch's name
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> tuple[Array, Array, Array]:
    x = array_of(input)
    axes = range(x.ndim - len(normalized_shape), x.ndim)
    # Squares of float16 are soon beyond it.
    wide = cast_to(x, np.dtype(np.float32)) if x.dtype == np.float16 else x
    mean = reduced(wide, "mean", axes, keepdim=True)
    apart = wide - mean
    spread = reduced(apply("square", apart), "mean", axes, keepdim=True)
    scale = 1 / apply("sqrt", spread + eps)
    found, mean, scale = (cast_to(each, x.dtype) for each in (apart * scale, mean, scale))
    if weight is not None:
        found = found * array_of(weight)
    if bias is not None:
        found = found + array_of(bias)
    return found, mean, scale


@kernel("native_layer_norm_backward")
def layer_norm_backward(
    grad_out: Tensor,
    input: Tensor,  # noqa: A002 - PyTorch's name
    normalized_shape: Sequence[int],
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    output_mask: Sequence[bool],
) -> tuple[Array | None, Array | None, Array | None]:
    del bias
    grad, x = array_of(grad_out), array_of(input)
    axes = range(x.ndim - len(normalized_shape), x.ndim)
    outer = tuple(range(x.ndim - len(normalized_shape)))
    scale = array_of(rstd)
    normal = (x - array_of(mean)) * scale
    scaled = grad if weight is None else grad * array_of(weight)
    both = scaled - reduced(scaled, "mean", axes, keepdim=True)
    both = both - normal * reduced(scaled * normal, "mean", axes, keepdim=True)
    of_weight = grad * normal

    def summed(each: Array) -> Array:
        return reduced(each, "sum", outer, keepdim=False) if outer else each

    return (
        scale * both if output_mask[0] else None,
        summed(of_weight) if output_mask[1] and weight is not None else None,
        summed(grad) if output_mask[2] else None,
    )


@kernel("gelu_backward")
def gelu_backward(grad_output: Tensor, self: Tensor, *, approximate: str = "none") -> Array:
    x = array_of(self)
    grad = array_of(grad_output)
    if approximate == "tanh":
        scale = float(np.sqrt(2 / np.pi))
        inner = apply("tanh", (x + x * x * x * 0.044715) * scale)
        slope = (1 - inner * inner) * (1 + 3 * 0.044715 * x * x) * scale
        return grad * ((inner + 1) * 0.5 + x * 0.5 * slope)
    density = apply("exp", x * x * -0.5) * float(1 / np.sqrt(2 * np.pi))
    return grad * ((erf_of(x * float(np.sqrt(0.5))) + 1) * 0.5 + x * density)
