"""Programs in the making: what is one program, and what it is to be run on.

Rules: what a program is (`key`) does not say where in buffers things lie, nor what numbers are: so
work that repeats is one that is known.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias, cast

import numpy as np

from gon.array_ops import AnyOperation
from gon.array_program import ArrayProgram, Input, Output, Step
from gon.array_program import Operand as CodedOperand
from gon.array_rules import element_of
from gon_client.array import DeviceArray
from gon_client.xp.recipe import Recipe
from gon_client.xp.storage import Node, Operand, Storage
from gon_client.xp.views import View

# What a draft's value is: an input, a number, or what a step gives; and which of these.
_INPUT, _NUMBER, _STEP = range(3)
Value: TypeAlias = tuple[int, int]
# A draft's operand, output and step.
Seen: TypeAlias = tuple[Value, View]
Written: TypeAlias = tuple[Value, View, int, int, tuple[int, ...]]
# A recipe's part or number, and how many elements further on it is to be seen.
Placed: TypeAlias = tuple[Value, int]
Made: TypeAlias = tuple[AnyOperation, tuple[Seen, ...]] | tuple[Recipe, tuple[Placed, ...]]


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
        # What steps make, by the storage; and how many there are, those of recipes too.
        self.values: dict[int, Value] = {}
        self._count = 0

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
        return self._input(value, low, high), View(view.base - low, view.shape, view.strides)

    def _input(self, storage: Storage, low: int, high: int) -> Value:
        place = (id(storage), low, high)
        number = self._inputs.get(place)
        if number is None:
            number = self._inputs[place] = len(self.given)
            self.given.append(storage.part(low, high - low))
        return (_INPUT, number)

    def add(self, node: Node) -> None:
        """Add what a node does."""
        work, first = node.work, self._count
        if isinstance(work, Recipe):
            self.steps.append((work, self._placed(work, node.operands)))
            self._count += len(work.steps)
            for reference, (step, _, _) in zip(node.made, work.results, strict=True):
                self._made(reference, first + step)
        else:
            self.steps.append((work, tuple([self.seen(operand) for operand in node.operands])))
            self._count += 1
            self._made(node.made[0], first)

    def _made(self, reference: weakref.ref[Storage], step: int) -> None:
        storage = reference()
        if storage is not None:
            self.values[id(storage)] = (_STEP, step)

    def _placed(self, recipe: Recipe, operands: Sequence[Operand]) -> tuple[Placed, ...]:
        """Return where the parts and numbers of a recipe are."""
        found: list[Placed] = []
        for number, low, high in recipe.parts:
            value, view = operands[number]
            assert isinstance(value, Storage)
            # Nothing is seen, wherever that is said to begin.
            base = view.base if low < high else 0
            made = self.values.get(id(value))
            if made is not None:
                found.append((made, base))
            else:
                found.append((self._input(value, base + low, base + high), -low))
        for value, _ in operands[len(operands) - recipe.numbers :]:
            assert not isinstance(value, Storage)
            found.append(((_NUMBER, len(self.numbers)), 0))
            self.numbers.append(value)
        return tuple(found)

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
                Step(operation, tuple(map(coded, operands)))
                for operation, operands in self._each_step()
            ),
            outputs=tuple(
                Output(coded((value, view)), extent, base, strides)
                for value, view, extent, base, strides in self.outputs
            ),
        )

    def _each_step(self) -> Iterator[tuple[AnyOperation, Sequence[Seen]]]:
        count = 0
        for work, operands in self.steps:
            if not isinstance(work, Recipe):
                yield work, cast("tuple[Seen, ...]", operands)
                count += 1
                continue
            placed = [*cast("tuple[Placed, ...]", operands)]
            placed += [((_STEP, count + step), 0) for step in range(len(work.steps))]
            for operation, seen in work.steps:
                yield operation, [_shifted(placed[number], view) for number, view in seen]
            count += len(work.steps)


def _shifted(placed: Placed, view: View) -> Seen:
    value, shift = placed
    return value, View(view.base + shift, view.shape, view.strides)
