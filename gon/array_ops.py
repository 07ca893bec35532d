"""The table of array operations: what a step of an array program (gon.array_program) can be.

Names, promotion of types and shapes are those of the Python Array API standard, 2024.12
(https://data-apis.org/array-api/2024.12/); where that leaves something open, as for operands of
mixed kinds, they are NumPy's. Functions of the standard that are made of others (clip, roll, diff,
tensordot …) or only look at an array differently (permute_dims, flip, broadcast_to …) are none of
these: whoever makes programs makes them of steps and views.

Rules: an operation takes operands and gives one array. Nothing of it depends on values but what
its class says. What each gives of what operands: gon.array_rules.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
import numpy as np

# Types of elements, by NumPy's names: the standard's, and float16, which arrays of other engines
# have.
ELEMENTS: Final = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
Element: TypeAlias = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip

# Functions of elements: the standard's name, and what NumPy calls it where that differs.
_ELEMENTWISE: Final = (
    "abs=absolute", "acos=arccos", "acosh=arccosh", "add", "asin=arcsin", "asinh=arcsinh",
    "atan=arctan", "atan2=arctan2", "atanh=arctanh", "bitwise_and",
    "bitwise_invert=invert", "bitwise_left_shift=left_shift", "bitwise_or",
    "bitwise_right_shift=right_shift", "bitwise_xor", "ceil", "conj=conjugate", "copysign", "cos",
    "cosh", "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal",
    "hypot", "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log1p", "log2", "log10",
    "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum",
    "multiply", "negative", "nextafter", "not_equal", "positive", "pow=power", "reciprocal",
    "remainder", "round=rint", "sign", "signbit", "sin", "sinh", "sqrt", "square", "subtract",
    "tan", "tanh", "trunc",
)  # fmt: skip


def _functions() -> dict[str, np.ufunc]:
    found: dict[str, np.ufunc] = {}
    for row in _ELEMENTWISE:
        name, _, numpys = row.partition("=")
        function = getattr(np, numpys or name)
        assert isinstance(function, np.ufunc)
        found[name] = function
    return found


FUNCTIONS: Final = _functions()

Reduction: TypeAlias = Literal[
    "all", "any", "argmax", "argmin", "count_nonzero", "max", "mean", "min", "prod", "sum"
]
# Sizes and counts: what is negative is refused by the decoder.
Count = msgspec.Meta(ge=0)


class Operation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What all operations are: values, coded by their tag and their fields in order."""


class Apply(Operation, frozen=True, tag="apply"):
    """A function of elements (FUNCTIONS), of operands of one shape."""

    function: str


class Cast(Operation, frozen=True, tag="cast"):
    """The elements as others of a type; of the same type, a copy. What is beyond the type, and what
    a NaN becomes as an integer, is as the host's processor has it.
    """

    element: Element


class Part(Operation, frozen=True, tag="part"):
    """The real or the imaginary part of complex elements."""

    of: Literal["real", "imag"]


class Where(Operation, frozen=True, tag="where"):
    """Of three operands of one shape: the second's element where the first (bool) is true, else
    the third's.
    """


class Reduce(Operation, frozen=True, tag="reduce"):
    """What a reduction makes of all elements along axes; "argmax" and "argmin" have one axis.
    `element` is the type that sum, prod and mean are computed in and have.
    """

    function: Reduction
    axes: tuple[int, ...]
    element: Element


class Moment(Operation, frozen=True, tag="moment"):
    """Variance or standard deviation along axes, the divisor less by `correction`."""

    function: Literal["std", "var"]
    axes: tuple[int, ...]
    correction: float


class Cumulate(Operation, frozen=True, tag="cumulate"):
    """The sums or products of all elements up to each, along an axis."""

    function: Literal["sum", "prod"]
    axis: int
    element: Element


class Product(Operation, frozen=True, tag="product"):
    """Of two operands: the products of matrices in their last two dimensions, or the sums of
    conj(first) × second along the last; what is before these dimensions is the same in both.
    """

    function: Literal["matmul", "vecdot"]


class Join(Operation, frozen=True, tag="join"):
    """All operands, one behind the other along an axis."""

    axis: int


class Arange(Operation, frozen=True, tag="arange"):
    """Of three operands without dimensions, start, stop and step: so many elements from start on.
    The three must give that count.
    """

    count: int
    element: Element


class Linspace(Operation, frozen=True, tag="linspace"):
    """Of two operands without dimensions: so many elements from the first to the second."""

    count: int
    element: Element
    endpoint: bool


class Eye(Operation, frozen=True, tag="eye"):
    """A matrix of ones on a diagonal."""

    rows: int
    columns: int
    diagonal: int
    element: Element


class Triangle(Operation, frozen=True, tag="triangle"):
    """Matrices with zeros below (`upper`) or above a diagonal."""

    upper: bool
    diagonal: int


class Take(Operation, frozen=True, tag="take"):
    """Of an array and integers: what lies at these places of an axis. Places out of bounds fail."""

    axis: int


class Pick(Operation, frozen=True, tag="pick"):
    """As Take, of places modulo the axis' size: none is out of bounds."""

    axis: int


class TakeAlong(Operation, frozen=True, tag="take_along"):
    """Of two arrays that are of one shape but for the axis: the first's elements at the second's
    places along that.
    """

    axis: int


class Gather(Operation, frozen=True, tag="gather"):
    """Of an array and as many arrays of integers, of one shape, as are to be its first indices."""


class Sort(Operation, frozen=True, tag="sort"):
    """The elements in order along an axis, or (`places`) where each of them was."""

    axis: int
    descending: bool
    stable: bool
    places: bool


class Search(Operation, frozen=True, tag="search"):
    """Of a sorted vector and an array: where in the first each element of the second belongs."""

    side: Literal["left", "right"]


class Unique(Operation, frozen=True, tag="unique"):
    """What distinct elements there are, in order; each NaN is one.

    "count" of them; their "values", first "places", "counts": vectors of as many elements as the
    operand has, zero behind the last; or the "inverse": for each element, which it is.
    """

    part: Literal["count", "counts", "inverse", "places", "values"]


class Nonzero(Operation, frozen=True, tag="nonzero"):
    """The places of elements that are not zero: a row for each dimension, zero behind the last."""


class Select(Operation, frozen=True, tag="select"):
    """Of an array and a mask (bool) of its first dimensions: what is under the mask, in as many
    rows as the mask has elements, zero behind the last.
    """


class Place(Operation, frozen=True, tag="place"):
    """Of an array, a mask (bool) of its first dimensions, and values: the array with what is under
    the mask replaced by the values, which must be as many.
    """


class Put(Operation, frozen=True, tag="put"):
    """Of an array, values, and as many arrays of integers, of one shape, as are to be the first
    indices of where the values go: the array with these in the place of its own, the last of those
    that share one; or (`adds`) with their sums added. With `wraps` places are modulo sizes.
    """

    adds: bool
    wraps: bool


class Erf(Operation, frozen=True, tag="erf"):
    """The error function of floating-point elements."""


class Draw(Operation, frozen=True, tag="draw"):
    """Of two operands without dimensions, a seed and a place in its stream, both uint64: so many
    random elements of float32 or float64, "uniform" in [0, 1) or "normal". They are NumPy's, by its
    Philox generator, with the seed as its key and the place above its counter.
    """

    function: Literal["uniform", "normal"]
    count: Annotated[int, Count]
    element: Element


AnyOperation: TypeAlias = (
    Apply | Cast | Part | Where | Reduce | Moment | Cumulate | Product | Join | Arange | Linspace
    | Eye | Triangle | Take | TakeAlong | Gather | Sort | Search | Unique | Nonzero | Select
    | Place | Pick | Put | Erf | Draw
)  # fmt: skip


def name_of(operation: Operation) -> str:
    """Return what an operation is called, for people and personalities."""
    match operation:
        case Apply() | Reduce() | Moment() | Product():
            return operation.function
        case Cumulate():
            return f"cumulative_{operation.function}"
        case _:
            return str(type(operation).__struct_config__.tag)
