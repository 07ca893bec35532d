"""The standard's functions of elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from gon.array_ops import Part, Where
from gon.errors import InvalidArgument
from gon_client.xp.array import Array, Given, apply, made, operands_of, runner_of
from gon_client.xp.views import broadcast, broadcast_shape

Unary: TypeAlias = Callable[[Array], Array]
Binary: TypeAlias = Callable[[Given, Given], Array]


def _unary(name: str) -> Unary:
    def function(x: Array, /) -> Array:
        return apply(name, checked(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return {name} of each element."
    return function


def _binary(name: str) -> Binary:
    def function(x1: Given, x2: Given, /) -> Array:
        return apply(name, x1, x2)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return {name} of the elements of two arrays, or of one and a number."
    return function


def checked(x: Array) -> Array:
    """Return an array. Raises TypeError for what is none."""
    runner_of(x)
    return x


acos = _unary("acos")
acosh = _unary("acosh")
add = _binary("add")
asin = _unary("asin")
asinh = _unary("asinh")
atan = _unary("atan")
atan2 = _binary("atan2")
atanh = _unary("atanh")
bitwise_and = _binary("bitwise_and")
bitwise_invert = _unary("bitwise_invert")
bitwise_left_shift = _binary("bitwise_left_shift")
bitwise_or = _binary("bitwise_or")
bitwise_right_shift = _binary("bitwise_right_shift")
bitwise_xor = _binary("bitwise_xor")
copysign = _binary("copysign")
cos = _unary("cos")
cosh = _unary("cosh")
divide = _binary("divide")
equal = _binary("equal")
exp = _unary("exp")
expm1 = _unary("expm1")
floor_divide = _binary("floor_divide")
greater = _binary("greater")
greater_equal = _binary("greater_equal")
hypot = _binary("hypot")
isfinite = _unary("isfinite")
isinf = _unary("isinf")
isnan = _unary("isnan")
less = _binary("less")
less_equal = _binary("less_equal")
log = _unary("log")
log1p = _unary("log1p")
log2 = _unary("log2")
log10 = _unary("log10")
logaddexp = _binary("logaddexp")
logical_and = _binary("logical_and")
logical_not = _unary("logical_not")
logical_or = _binary("logical_or")
logical_xor = _binary("logical_xor")
maximum = _binary("maximum")
minimum = _binary("minimum")
multiply = _binary("multiply")
negative = _unary("negative")
nextafter = _binary("nextafter")
not_equal = _binary("not_equal")
positive = _unary("positive")
pow = _binary("pow")
reciprocal = _unary("reciprocal")
remainder = _binary("remainder")
sign = _unary("sign")
signbit = _unary("signbit")
sin = _unary("sin")
sinh = _unary("sinh")
sqrt = _unary("sqrt")
square = _unary("square")
subtract = _binary("subtract")
tan = _unary("tan")
tanh = _unary("tanh")
_absolute = _unary("abs")
_conjugate = _unary("conj")


def abs(x: Array, /) -> Array:
    """Return the magnitude of each element."""
    return _absolute(x)


def conj(x: Array, /) -> Array:
    """Return the complex conjugate of each element."""
    return _conjugate(x) if x.dtype.kind == "c" else x.copied()


def _rounding(name: str) -> Unary:
    """Return a function that leaves whole numbers as they are."""
    rounded = _unary(name)

    def function(x: Array, /) -> Array:
        return x.copied() if checked(x).dtype.kind in "iu" else rounded(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return {name} of each element; whole numbers are as they are."
    return function


ceil = _rounding("ceil")
floor = _rounding("floor")
trunc = _rounding("trunc")
round = _rounding("round")


def real(x: Array, /) -> Array:
    """Return the real part of each element."""
    return x.make(Part("real"), [x.operand]) if x.dtype.kind == "c" else x.copied()


def imag(x: Array, /) -> Array:
    """Return the imaginary part of each element."""
    if x.dtype.kind != "c":
        raise InvalidArgument(f"imag of {x.dtype}: complex elements are needed")
    return x.make(Part("imag"), [x.operand])


def clip(
    x: Array,
    /,
    min: Given | None = None,
    max: Given | None = None,
) -> Array:
    """Return each element, or the nearest that lies between bounds, in the type that all have
    together.
    """
    found = checked(x)
    for name, bound in (("maximum", min), ("minimum", max)):
        if bound is None:
            continue
        found = apply(name, found, bound)
    return found.copied() if found is x else found


def where(condition: Array, x1: Given, x2: Given, /) -> Array:
    """Return the elements of `x1` where the condition is true, else those of `x2`."""
    runner = runner_of(condition, x1, x2)
    operands = operands_of((x1, x2))
    shape = broadcast_shape(condition.shape, *[view.shape for _, view in operands])
    seen = [(value, broadcast(view, shape)) for value, view in (condition.operand, *operands)]
    return made(runner, Where(), seen)
