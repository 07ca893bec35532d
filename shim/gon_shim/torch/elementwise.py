"""Operations on each element by itself, in the types that PyTorch promotes to."""

from __future__ import annotations

import math
from functools import partial
from typing import Final, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from gon.array_ops import Erf
from gon.array_rules import Dtype
from gon_client.xp.array import Array, apply
from gon_client.xp.elementwise import where
from gon_client.xp.operators import Number
from gon_shim.torch.dtypes import floating, numpy_of
from gon_shim.torch.errors import Mixed, UnsupportedByDevice
from gon_shim.torch.kernels import direct, kernel
from gon_shim.torch.noting import Told, in_type
from gon_shim.torch.storage import array_of, cast_to, write

Given: TypeAlias = "Tensor | Number"

# PyTorch's operations, and the table's (gon.array_ops) where their names differ.
_SAME: Final = "abs neg=negative bitwise_not=bitwise_invert"
_ROUNDED: Final = "ceil floor trunc round"
_FLOATING: Final = (
    "acos acosh asin asinh atan atanh cos cosh exp expm1 log log10 log1p log2 reciprocal sin sinh "
    "sqrt tan tanh"
)
_TRUTHS: Final = "isinf isnan logical_not signbit"
_SCALED: Final = "mul.Tensor=multiply"
_BINARY: Final = (
    "hypot nextafter floor_divide floor_divide.Scalar "
    "remainder.Tensor remainder.Scalar remainder.Scalar_Tensor "
    "bitwise_and.Tensor bitwise_or.Tensor bitwise_xor.Tensor bitwise_and.Scalar bitwise_or.Scalar "
    "bitwise_xor.Scalar "
    "__lshift__.Tensor=bitwise_left_shift __lshift__.Scalar=bitwise_left_shift "
    "__rshift__.Tensor=bitwise_right_shift __rshift__.Scalar=bitwise_right_shift "
    "bitwise_left_shift.Tensor bitwise_right_shift.Tensor"
)
_BINARY_FLOATING: Final = "atan2 copysign.Tensor logaddexp"
_DIVIDED: Final = "div.Tensor=divide div.Scalar=divide"
_COMPARED: Final = "eq=equal ne=not_equal lt=less le=less_equal gt=greater ge=greater_equal"
_OF_REALS: Final = frozenset((
    "maximum", "minimum", "less", "less_equal", "greater", "greater_equal", "atan2", "hypot",
    "copysign", "logaddexp", "nextafter", "floor_divide", "remainder",
))  # fmt: skip
_DIVIDING: Final = frozenset(("floor_divide", "remainder"))
_LOGICAL: Final = "logical_and logical_or logical_xor"


def number_or(given: Given) -> Given:
    """Return an operand, or the number that a tensor elsewhere is."""
    if isinstance(given, Tensor) and given.device.type == "cpu" and not given.dim():
        return cast("Number", given.item())
    return given


def operand(given: Given, dtype: Dtype) -> Array | np.generic:
    """Return an operand in a type. Raises Mixed for a tensor elsewhere that is no number."""
    found = number_or(given)
    if isinstance(found, Tensor):
        return cast_to(array_of(found), dtype)
    if isinstance(found, Told):
        return in_type(found, dtype)
    # What is beyond a type is infinite there, as in PyTorch.
    with np.errstate(over="ignore"):
        return cast("np.generic", np.asarray(found).astype(dtype)[()])


def applied(function: str, dtype: torch.dtype, *given: Given) -> Array:
    """Return a function of operands in a type. Raises UnsupportedByDevice for complex ones where
    it is of what has an order.
    """
    if dtype.is_complex and function in _OF_REALS:
        raise UnsupportedByDevice(f"{function} of complex elements, on gon")
    if function in _DIVIDING:
        check_divisor(dtype, given[0], given[-1])
    wanted = numpy_of(dtype)
    found = [operand(each, wanted) for each in given]
    if not any(isinstance(each, Array) for each in found):
        raise Mixed("Expected all tensors to be on the same device, but found only numbers")
    return apply(function, *found)


def check_divisor(dtype: torch.dtype, divided: Given, by: Given) -> None:
    """Raise Mixed for whole numbers that are to be divided by a number that is 0. Of zeros that
    only the unit knows, it makes zeros.
    """
    is_whole = not (dtype.is_floating_point or dtype.is_complex)
    found = number_or(by) if is_whole else 1
    is_empty = isinstance(divided, Tensor) and not divided.numel()
    if not isinstance(found, Tensor) and found == 0 and not is_empty:
        raise Mixed("ZeroDivisionError")


def together(*given: Given) -> torch.dtype:
    """Return the type that operands have together."""
    found = torch.result_type(given[0], given[1])
    for each in given[2:]:
        found = torch.promote_types(found, torch.result_type(given[0], each))
    return found


# Of one operand ------------
def _same(function: str, self: Tensor) -> Array:
    return apply(function, array_of(self))


@kernel("_conj_physical")
def conj_physical(self: Tensor) -> Array:
    return _conjugate(array_of(self))


def _conjugate(x: Array) -> Array:
    return apply("conj", x) if x.dtype.kind == "c" else x


@direct("conj_physical_")
def conj_physical_into(self: Tensor) -> Tensor:
    write(self, conj_physical(self))
    return self


@direct("abs_")
def abs_into(self: Tensor) -> Tensor:
    if self.is_complex():
        raise Mixed("In-place abs is not supported for complex tensors.")
    write(self, apply("abs", array_of(self)))
    return self


@kernel("sign", "sgn")
def sign(self: Tensor) -> Array:
    x = array_of(self)
    if self.dtype == torch.bool:
        return x
    found = apply("sign", x)
    # What is no number has no sign.
    return where(apply("isnan", x), x.dtype.type(0), found) if x.dtype.kind == "f" else found


def _rounded(function: str, self: Tensor) -> Array:
    x = array_of(self)
    return apply(function, x) if self.dtype.is_floating_point else x


def _floating(function: str, self: Tensor) -> Array:
    return applied(function, floating(self.dtype), self)


@kernel("sigmoid")
def sigmoid(self: Tensor) -> Array:
    x = cast_to(array_of(self), numpy_of(floating(self.dtype)))
    return 1 / (apply("exp", -x) + 1)


@kernel("rsqrt")
def rsqrt(self: Tensor) -> Array:
    return 1 / _floating("sqrt", self)


@kernel("exp2")
def exp2(self: Tensor) -> Array:
    # Whole powers are exact so.
    return applied("pow", floating(self.dtype), 2, self)


@kernel("erf")
def erf(self: Tensor) -> Array:
    return erf_of(cast_to(array_of(self), numpy_of(floating(self.dtype))))


def erf_of(x: Array) -> Array:
    return x.make(Erf(), [x.operand])


@kernel("relu")
def relu(self: Tensor) -> Array:
    return clamp(self, 0, None)


def self_number(self: Tensor, value: Number) -> np.generic:
    """Return a number in a tensor's type."""
    return numpy_of(self.dtype).type(value)


@kernel("gelu")
def gelu(self: Tensor, *, approximate: str = "none") -> Array:
    x = array_of(self)
    if approximate == "tanh":
        inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
        return x * 0.5 * (apply("tanh", inner) + 1)
    return x * 0.5 * (erf_of(x * math.sqrt(0.5)) + 1)


# Of two -----------------
def binary(function: str, self: Given, other: Given) -> Array:
    return applied(function, together(self, other), self, other)


@kernel("maximum")
def maximum(self: Tensor, other: Tensor) -> Array:
    # Of equal ones the second is taken, which is to be the first: 0.0 and -0.0.
    return binary("maximum", other, self)


@kernel("minimum")
def minimum(self: Tensor, other: Tensor) -> Array:
    return binary("minimum", other, self)


def binary_floating(function: str, self: Given, other: Given) -> Array:
    return applied(function, floating(together(self, other)), self, other)


def _logical(function: str, self: Tensor, other: Tensor) -> Array:
    return applied(function, torch.bool, self, other)


@kernel("add.Tensor", "add.Scalar", told=True)
def add(self: Tensor, other: Given, alpha: Number = 1) -> Array:
    return _scaled("add", self, other, alpha)


@kernel("sub.Tensor", "sub.Scalar", told=True)
def sub(self: Tensor, other: Given, alpha: Number = 1) -> Array:
    return _scaled("subtract", self, other, alpha)


@kernel("rsub.Tensor", "rsub.Scalar", told=True)
def rsub(self: Tensor, other: Given, alpha: Number = 1) -> Array:
    dtype = together(self, other)
    _check_alpha(dtype, alpha)
    wanted = numpy_of(dtype)
    first = operand(self, wanted)
    if alpha != 1:
        first = apply("multiply", cast("Array", first), in_type(alpha, wanted))
    return apply("subtract", operand(other, wanted), first)


def _check_alpha(dtype: torch.dtype, alpha: Number) -> None:
    """Raise Mixed for a factor that operands of a type do not take."""
    if isinstance(alpha, bool) and dtype != torch.bool:
        raise Mixed("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float | complex) and not (dtype.is_floating_point or dtype.is_complex):
        raise Mixed(
            "For integral input tensors, argument alpha must not be a floating point number."
        )


def _scaled(function: str, self: Given, other: Given, alpha: Number) -> Array:
    dtype = together(self, other)
    _check_alpha(dtype, alpha)
    if alpha == 1:
        return applied(function, dtype, self, other)
    wanted = numpy_of(dtype)
    second = operand(other, wanted)
    if isinstance(second, Array):
        second = apply("multiply", second, in_type(alpha, wanted))
    else:
        second = wanted.type(cast("Number", second.item()) * alpha)
    return apply(function, operand(self, wanted), second)


def _compared(function: str, self: Tensor, other: Given) -> Array:
    return applied(function, together(self, other), self, other)


# Of three -----------------
@kernel("where.self")
def where_self(condition: Tensor, self: Given, other: Given) -> Array:
    wanted = numpy_of(together(self, other))
    return where(array_of(condition), operand(self, wanted), operand(other, wanted))


@kernel("clamp", "clamp.Tensor")
def clamp(self: Tensor, min: Given | None = None, max: Given | None = None) -> Array:  # noqa: A002
    bounds = [("maximum", min), ("minimum", max)]
    wanted = numpy_of(together(self, self, *[each for _, each in bounds if each is not None]))
    found = cast_to(array_of(self), wanted)
    if wanted.kind == "c":
        raise UnsupportedByDevice("clamp of complex elements, on gon")
    for function, bound in bounds:
        if bound is not None:
            # Of equal ones, as of 0.0 and -0.0, the second is taken: the element itself.
            found = apply(function, operand(bound, wanted), found)
    return found


@kernel("clamp_min", "clamp_min.Tensor")
def clamp_min(self: Tensor, min: Given) -> Array:  # noqa: A002 - PyTorch's name
    return clamp(self, min, None)


@kernel("clamp_max", "clamp_max.Tensor")
def clamp_max(self: Tensor, max: Given) -> Array:  # noqa: A002 - PyTorch's name
    return clamp(self, None, max)


@kernel("addcmul", told=True)
def addcmul(self: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Array:
    return _add_scaled("multiply", self, tensor1, tensor2, value)


@kernel("addcdiv", told=True)
def addcdiv(self: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Array:
    if not any(each.is_floating_point() or each.is_complex() for each in (tensor1, tensor2)):
        raise Mixed("Integer division with addcdiv is no longer supported")
    return _add_scaled("divide", self, tensor1, tensor2, value)


def _add_scaled(function: str, self: Tensor, first: Tensor, second: Tensor, value: Number) -> Array:
    dtype = together(self, first, second)
    more = applied(function, dtype, first, second)
    if value != 1:
        more = apply("multiply", more, in_type(value, numpy_of(dtype)))
    return apply("add", operand(self, numpy_of(dtype)), more)


@kernel("lerp.Scalar", "lerp.Tensor", told=True)
def lerp(self: Tensor, end: Tensor, weight: Given) -> Array:
    wanted = numpy_of(self.dtype)
    x, y = array_of(self), array_of(end)
    return x + (y - x) * cast("Array", operand(weight, wanted))


@kernel("fmax")
def fmax(self: Tensor, other: Tensor) -> Array:
    return _number_first("maximum", self, other)


@kernel("fmin")
def fmin(self: Tensor, other: Tensor) -> Array:
    return _number_first("minimum", self, other)


def _number_first(function: str, self: Tensor, other: Tensor) -> Array:
    """Return a function of two that a NaN has no part in, where there is a number."""
    wanted = numpy_of(together(self, other))
    x, y = operand(self, wanted), operand(other, wanted)
    lacking = where(apply("isnan", cast("Array", x)), y, apply(function, x, y))
    return where(apply("isnan", cast("Array", y)), x, lacking)


@kernel("threshold_backward")
def threshold_backward(grad_output: Tensor, self: Tensor, threshold: Number) -> Array:
    above = apply("greater", array_of(self), self_number(self, threshold))
    return where(above, array_of(grad_output), self_number(grad_output, 0))


@kernel("sigmoid_backward")
def sigmoid_backward(grad_output: Tensor, output: Tensor) -> Array:
    y = array_of(output)
    return array_of(grad_output) * _conjugate(y - y * y)


@kernel("tanh_backward")
def tanh_backward(grad_output: Tensor, output: Tensor) -> Array:
    y = array_of(output)
    return array_of(grad_output) * _conjugate(1 - y * y)


@kernel("masked_fill.Scalar", "masked_fill.Tensor")
def masked_fill(self: Tensor, mask: Tensor, value: Given) -> Array:
    return where(array_of(mask), operand(value, numpy_of(self.dtype)), array_of(self))


def _register() -> None:
    for rows, make, more in (
        (_SAME, _same, ("",)),
        (_ROUNDED, _rounded, ("",)),
        (_FLOATING, _floating, ("",)),
        (_TRUTHS, _same, ("",)),
        (_SCALED, binary, ("",)),
        (_BINARY, binary, ("",)),
        (_DIVIDED, binary_floating, ("",)),
        (_BINARY_FLOATING, binary_floating, ("",)),
        (_COMPARED, _compared, (".Tensor", ".Scalar")),
        (_LOGICAL, _logical, ("",)),
    ):
        for row in rows.split():
            name, _, function = row.partition("=")
            called = partial(make, function or name.partition(".")[0])
            told = rows in (_SCALED, _DIVIDED)
            kernel(*[name + which for which in more], told=told)(called)


_register()
