"""Powers, rounded quotients and their rests: whole numbers have rules of their own for these."""

from __future__ import annotations

from typing import cast

import numpy as np
from torch import Tensor

from gon_client.xp.array import Array, apply
from gon_client.xp.elementwise import where
from gon_client.xp.operators import Number
from gon_shim.torch.dtypes import numpy_of
from gon_shim.torch.elementwise import (
    Given,
    applied,
    binary,
    binary_floating,
    check_divisor,
    operand,
    together,
)
from gon_shim.torch.errors import Mixed, UnsupportedByDevice
from gon_shim.torch.kernels import kernel
from gon_shim.torch.storage import array_of, cast_to


@kernel("div.Tensor_mode", "div.Scalar_mode")
def div(self: Tensor, other: Given, *, rounding_mode: str | None) -> Array:
    if rounding_mode == "floor":
        return binary("floor_divide", self, other)
    dtype = together(self, other)
    if rounding_mode is None:
        return binary_floating("divide", self, other)
    if dtype.is_floating_point:
        return apply("trunc", binary("divide", self, other))
    below = applied("floor_divide", dtype, self, other)
    # One less than it would be towards 0, where it is negative and something is left.
    is_left = applied("remainder", dtype, self, other) != 0
    return below + cast_to(apply("logical_and", is_left, below < 0), below.dtype)


@kernel("fmod.Tensor", "fmod.Scalar")
def fmod(self: Tensor, other: Given) -> Array:
    dtype = together(self, other)
    x, y = operand(self, numpy_of(dtype)), operand(other, numpy_of(dtype))
    if dtype.is_complex:
        raise UnsupportedByDevice("fmod of complex elements, on gon")
    check_divisor(dtype, self, other)
    rest = apply("remainder", apply("abs", cast("Array", x)), _magnitude(y))
    if dtype.is_floating_point:
        return apply("copysign", rest, x)
    return rest * apply("sign", cast("Array", x))


def _magnitude(given: Array | np.generic) -> Array | np.generic:
    if isinstance(given, Array):
        return apply("abs", given)
    return cast("np.generic", abs(cast("np.number", given)))


@kernel("pow.Tensor_Scalar")
def pow_scalar(self: Tensor, exponent: Number) -> Array:
    dtype = together(self, exponent)
    if not (dtype.is_floating_point or dtype.is_complex) and cast("float", exponent) < 0:
        raise Mixed("Integers to negative integer powers are not allowed.")
    x = cast_to(array_of(self), numpy_of(dtype))
    match exponent:
        case 2:
            return apply("square", x)
        case 3:
            return apply("square", x) * x
        case 0.5:
            return apply("sqrt", x)
        case -0.5:
            return 1 / apply("sqrt", x)
        case -1:
            return apply("reciprocal", x)
        case _:
            return applied("pow", dtype, self, exponent)


@kernel("pow.Tensor_Tensor", "pow.Scalar")
def power(self: Given, exponent: Tensor) -> Array:
    dtype = together(self, exponent)
    wanted = numpy_of(dtype)
    if wanted.kind != "i":
        return applied("pow", dtype, self, exponent)
    # Of whole numbers 1 and -1 alone have negative powers that are not 0.
    none, one, two, minus = (wanted.type(each) for each in (0, 1, 2, -1))
    base, times = operand(self, wanted), cast_to(array_of(exponent), wanted)
    # As an array whatever it is: what is compared with numbers alone is none.
    wide = apply("add", apply("multiply", times, none), base)
    is_odd = apply("bitwise_and", times, one)
    alternating = apply("subtract", one, apply("multiply", is_odd, two))
    is_one = cast_to(apply("equal", wide, one), wanted)
    below = where(apply("equal", wide, minus), alternating, is_one)
    plain = apply("pow", base, apply("maximum", times, none))
    return where(apply("less", times, none), below, plain)
