"""Array programs: steps from arrays to arrays, as data.

    inputs (ranges of buffers) ─┐
    numbers (given by value) ───┼─▶ step ─▶ step ─▶ … ─▶ outputs (views of buffers)

Inputs, numbers and what steps give are the program's values, in this order: flat elements of one
type. A step's operands are views of values that come before it: from an element on, of a shape, by
strides. So to transpose, slice, flip and broadcast is no step and copies nothing, and a program is
the same wherever in a buffer an operand begins. An output is such a view, written to a view of a
buffer of which nothing else is touched.

Rules: whoever decodes a program checks it; nothing but a checked one is run. All is fixed before it
runs: types, shapes, every element that is read or written. Sizes have their limits in
gon.array_limits. Knows no memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
import numpy as np

from gon.array_limits import (
    ARRAY_CODED_BYTES_MAX,
    ARRAY_ELEMENTS_MAX,
    ARRAY_INPUTS_MAX,
    ARRAY_NUMBERS_MAX,
    ARRAY_OUTPUTS_MAX,
    ARRAY_STEPS_MAX,
)
from gon.array_ops import AnyOperation, Count, Element
from gon.array_rules import Shape, Spec, check_shape, result_of
from gon.errors import GonError, InvalidArgument, LimitExceeded, Unsupported

# 1 (2026-11): the operations of gon.array_ops. A host refuses those that it does not know by name.
ARRAY_VERSION: Final = 1
ARRAY_FORMAT: Final = "array"
# The one function of a program.
FUNCTION: Final = "main"


class _Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    pass


class Operand(_Part, frozen=True):
    """A view of a value: of a shape, from element `base` on, by strides in elements."""

    value: Annotated[int, Count]
    base: Annotated[int, Count]
    shape: Shape
    strides: tuple[int, ...]


class Input(_Part, frozen=True):
    """So many elements of a buffer."""

    element: Element
    extent: Annotated[int, Count]


class Step(_Part, frozen=True):
    """An operation on views; what it gives is one more value, in C order."""

    operation: AnyOperation
    operands: tuple[Operand, ...]


class Output(_Part, frozen=True):
    """A view of a value, and where in a buffer's `extent` elements each of its own is written."""

    of: Operand
    extent: Annotated[int, Count]
    base: Annotated[int, Count]
    strides: tuple[int, ...]


class ArrayProgram(
    msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True
):
    """An array program; `numbers` are the types of what is given by value."""

    version: int = ARRAY_VERSION
    inputs: tuple[Input, ...]
    numbers: tuple[Element, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]


class Checked(NamedTuple):
    """A program that can be run, and what its values are: inputs and numbers are vectors."""

    program: ArrayProgram
    values: Sequence[Spec]


def c_strides(shape: Shape) -> tuple[int, ...]:
    """Return the strides, in elements, of an array in C order."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def span(base: int, shape: Shape, strides: Sequence[int]) -> tuple[int, int]:
    """Return the first element that a view reaches and the one behind the last, (base, base) for a
    view of nothing.
    """
    low = high = base
    for size, stride in zip(shape, strides, strict=True):
        if not size:
            return base, base
        reach = (size - 1) * stride
        if reach < 0:
            low += reach
        else:
            high += reach
    return low, high + 1


def encode(program: ArrayProgram) -> bytes:
    """Return a program as it travels."""
    return msgspec.msgpack.encode(program)


def decode(coded: bytes) -> Checked:
    """Return the checked program of its msgpack form. Raises as `check`."""
    _at_most(len(coded), ARRAY_CODED_BYTES_MAX, "bytes of a coded array program")
    try:
        program = msgspec.msgpack.decode(coded, type=ArrayProgram)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"this is no array program: {error}") from error
    return check(program)


def check(program: ArrayProgram) -> Checked:
    """Return the program with what its values are. Raises InvalidArgument, LimitExceeded or
    Unsupported for what is none that can be run.
    """
    if program.version != ARRAY_VERSION:
        known = f"only {ARRAY_VERSION} is known here"
        raise Unsupported(f"an array program of version {program.version}; {known}")
    _at_most(len(program.inputs), ARRAY_INPUTS_MAX, "inputs")
    _at_most(len(program.numbers), ARRAY_NUMBERS_MAX, "numbers")
    _at_most(len(program.steps), ARRAY_STEPS_MAX, "steps")
    _at_most(len(program.outputs), ARRAY_OUTPUTS_MAX, "outputs")
    if not program.outputs:
        raise InvalidArgument("an array program without outputs")
    values = [Spec(np.dtype(each.element), (each.extent,)) for each in program.inputs]
    values += [Spec(np.dtype(element), (1,)) for element in program.numbers]
    for value in values:
        check_shape(value.shape)
    for place, step in enumerate(program.steps):
        try:
            given = [_seen(operand, values) for operand in step.operands]
            values.append(result_of(step.operation, given))
        except GonError as error:
            raise type(error)(f"step {place}: {error.message}") from None
    for place, output in enumerate(program.outputs):
        try:
            _seen(output.of, values)
            _check_target(output)
        except GonError as error:
            raise type(error)(f"output {place}: {error.message}") from None
    return Checked(program, values)


def _seen(operand: Operand, values: Sequence[Spec]) -> Spec:
    """Return what an operand is. Raises InvalidArgument for a view that leaves its value."""
    if operand.value >= len(values):
        raise InvalidArgument(f"value {operand.value} is not there yet")
    value = values[operand.value]
    _check_view(operand.base, operand.shape, operand.strides, math.prod(value.shape))
    return Spec(value.dtype, operand.shape)


def _check_view(base: int, shape: Shape, strides: Shape, size: int) -> None:
    check_shape(shape)
    if len(strides) != len(shape):
        raise InvalidArgument(f"{len(strides)} strides of {len(shape)} dimensions")
    if any(abs(stride) > ARRAY_ELEMENTS_MAX for stride in strides):
        raise InvalidArgument(f"strides of {list(strides)}")
    low, high = span(base, shape, strides)
    if low < 0 or high > size:
        raise InvalidArgument(f"a view of the elements from {low} to {high}; there are {size}")


def _check_target(output: Output) -> None:
    """Raise InvalidArgument for a target that leaves its buffer, or writes an element twice."""
    check_shape((output.extent,))
    shape = output.of.shape
    _check_view(output.base, shape, output.strides, output.extent)
    reach = 0
    if all(shape):
        for stride, size in sorted(
            (abs(stride), size)
            for stride, size in zip(output.strides, shape, strict=True)
            if size > 1
        ):
            if stride <= reach:
                raise InvalidArgument("a view that writes elements more than once")
            reach += (size - 1) * stride


def _at_most(value: int, most: int, what: str) -> None:
    if value > most:
        raise LimitExceeded(f"{value} {what}; at most {most}")
