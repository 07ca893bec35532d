"""Programs in the making: what is one program, and what it is to be run on.

Rules: what a program is (`key`) does not say where in buffers things lie, nor what numbers are: so
work that repeats is one that is known.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from gon.array_ops import AnyOperation
from gon.array_program import ArrayProgram, Input, Output, Step
from gon.array_program import Operand as CodedOperand
from gon.array_rules import element_of
from gon_client.array import DeviceArray
from gon_client.xp.storage import Node, Operand, Storage
from gon_client.xp.views import View

# What a draft's value is: an input, a number, or what a step gives; and which of these.
_INPUT, _NUMBER, _STEP = range(3)
Value: TypeAlias = tuple[int, int]
# A draft's operand, output and step.
Seen: TypeAlias = tuple[Value, View]
Written: TypeAlias = tuple[Value, View, int, int, tuple[int, ...]]
Made: TypeAlias = tuple[AnyOperation, tuple[Seen, ...]]


class Target(NamedTuple):
    """Elements of a storage, to be written with what an operand of the same shape is."""

    source: Operand
    storage: Storage
    view: View


class Draft:
    """A program in the making: what it is (`key`), and what it is to be run on."""

    def __init__(self) -> None:
        self.given: list[DeviceArray] = []
        self.numbers: list[np.generic] = []
        self.steps: list[Made] = []
        self.outputs: list[Written] = []
        self._inputs: dict[tuple[int, int, int], int] = {}
        self.values: dict[int, Value] = {}

    @property
    def key(self) -> object:
        """What tells one program from others."""
        return (
            tuple([(each.dtype, each.shape) for each in self.given]),
            tuple([each.dtype for each in self.numbers]),
            tuple(self.steps),
            tuple(self.outputs),
        )

    def seen(self, operand: Operand) -> Seen:
        """Return an operand, whose elements are inputs unless a step makes them."""
        value, view = operand
        if not isinstance(value, Storage):
            self.numbers.append(value)
            return (_NUMBER, len(self.numbers) - 1), view
        low, high = view.span()
        if low == high:
            # Nothing is seen, wherever that is said to begin.
            low = high = 0
            view = View(0, view.shape, view.strides)
        made = self.values.get(id(value))
        if made is not None:
            return made, view
        place = (id(value), low, high)
        number = self._inputs.get(place)
        if number is None:
            number = self._inputs[place] = len(self.given)
            self.given.append(value.part(low, high - low))
        return (_INPUT, number), View(view.base - low, view.shape, view.strides)

    def add(self, storage: Storage, node: Node) -> None:
        """Add a step."""
        seen = tuple([self.seen(operand) for operand in node.operands])
        self.values[id(storage)] = (_STEP, len(self.steps))
        self.steps.append((node.operation, seen))

    def write(self, target: Target) -> DeviceArray:
        """Add an output that writes a target; return what it is of. Raises what making the source
        or the target raised.
        """
        low, high = target.view.span()
        value, view = self.seen(target.source)
        base = target.view.base - low
        self.outputs.append((value, view, high - low, base, target.view.strides))
        return target.storage.part(low, high - low)

    def program(self) -> ArrayProgram:
        """Return what it is as a program."""
        first = (0, len(self.given), len(self.given) + len(self.numbers))

        def coded(seen: Seen) -> CodedOperand:
            (kind, number), view = seen
            return CodedOperand(first[kind] + number, *view)

        return ArrayProgram(
            inputs=tuple(Input(element_of(each.dtype), each.size) for each in self.given),
            numbers=tuple(element_of(each.dtype) for each in self.numbers),
            steps=tuple(
                Step(operation, tuple(map(coded, operands))) for operation, operands in self.steps
            ),
            outputs=tuple(
                Output(coded((value, view)), extent, base, strides)
                for value, view, extent, base, strides in self.outputs
            ),
        )
