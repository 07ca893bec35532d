"""Notes what operations are asked of stand-ins, as a recipe (gon_client.xp.recipe).

    stand-ins ──▶ functions of arrays ──▶ results ──finish──▶ recipe, and its numbers

Rules: nothing is queued, fetched or waited for. What cannot be a recipe raises Unrecordable: what
asks for elements, works on others than stand-ins, or may fail for some elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, TypeAlias

import numpy as np

from gon.array_limits import (
    ARRAY_BETWEEN_BYTES_MAX,
    ARRAY_INPUTS_MAX,
    ARRAY_NUMBERS_MAX,
    ARRAY_STEPS_MAX,
)
from gon.array_ops import AnyOperation
from gon.array_rules import Dtype, Spec
from gon_client.xp.doubts import may_fail
from gon_client.xp.draft import Target
from gon_client.xp.maker import Maker
from gon_client.xp.recipe import Cost, Part, Recipe, Result, Step
from gon_client.xp.storage import Operand, Storage
from gon_client.xp.views import View

if TYPE_CHECKING:
    from gon_client.device import Device

# A larger one leaves programs little room for others.
_MOST: Final = Cost(
    steps=ARRAY_STEPS_MAX // 2,
    inputs=ARRAY_INPUTS_MAX // 2,
    numbers=ARRAY_NUMBERS_MAX // 2,
    between_bytes=ARRAY_BETWEEN_BYTES_MAX // 4,
)
# What is looked at, before all is counted through: of what kind, and which.
_Source: TypeAlias = tuple[int, int]
_PART, _NUMBER, _STEP = range(3)


class ToldIn(NamedTuple):
    """A number that is told each time: which one, and in what type."""

    which: int
    dtype: Dtype

    def now(self, told: Sequence[float]) -> np.generic:
        """Return the number as it is told this time, infinite where it is beyond its type."""
        with np.errstate(over="ignore"):
            return self.dtype.type(told[self.which])


class Unrecordable(Exception):
    """What is asked is no recipe."""


class Recorder(Maker):
    """Notes one recipe."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._operands: dict[int, int] = {}
        self._told: dict[int, ToldIn] = {}
        self._made: dict[int, int] = {}
        # All that is known by its id.
        self._kept: list[object] = []
        self._parts: dict[Part, int] = {}
        self._numbers: list[np.generic | ToldIn] = []
        self._steps: list[tuple[AnyOperation, list[tuple[_Source, View]]]] = []
        self._specs: list[Spec] = []

    def __repr__(self) -> str:
        return f"Recorder({len(self._steps)} steps)"

    def stand_in(self, dtype: Dtype, size: int) -> Storage:
        """Return what stands for the next operand, from where that begins."""
        made = Storage(self, dtype, size)
        self._operands[id(made)] = len(self._operands)
        self._kept.append(made)
        return made

    def told(self, dtype: Dtype, which: int) -> np.generic:
        """Return what stands for a number that is told each time; nobody may look at it."""
        made: np.generic = dtype.type(math.nan)
        self._told[id(made)] = ToldIn(which, dtype)
        self._kept.append(made)
        return made

    def made(self, operation: AnyOperation, operands: Sequence[Operand], spec: Spec) -> Storage:
        if may_fail(operation, operands):
            raise Unrecordable
        self._steps.append((operation, [self._seen(operand) for operand in operands]))
        made = Storage(self, spec.dtype, math.prod(spec.shape))
        self._made[id(made)] = len(self._specs)
        self._specs.append(spec)
        self._kept.append(made)
        return made

    def _seen(self, operand: Operand) -> tuple[_Source, View]:
        value, view = operand
        if not isinstance(value, Storage):
            told = self._told.get(id(value))
            if told is None and bool(value != value):
                # What nobody may look at was looked at, maybe.
                raise Unrecordable
            self._numbers.append(value if told is None else told)
            return (_NUMBER, len(self._numbers) - 1), view
        made = self._made.get(id(value))
        if made is not None:
            return (_STEP, made), view
        number = self._operands.get(id(value))
        if number is None:
            raise Unrecordable
        low, high = view.span()
        if low == high:
            low = high = 0
            view = View(0, view.shape, view.strides)
        part = Part(number, low, high)
        return (_PART, self._parts.setdefault(part, len(self._parts))), view

    def finish(self, results: Sequence[Storage]) -> tuple[Recipe, list[np.generic | ToldIn]]:
        """Return the recipe that gives these, and its numbers. Raises Unrecordable."""
        given = [self._made.get(id(each)) for each in results]
        wanted = [step for step in given if step is not None]
        if len(wanted) < len(given):
            raise Unrecordable
        needed = set(wanted)
        for step in reversed(range(len(self._steps))):
            if step in needed:
                needed.update(which for (kind, which), _ in self._steps[step][1] if kind == _STEP)
        order = sorted(needed)
        place = {step: number for number, step in enumerate(order)}
        seen = [source for step in order for source, _ in self._steps[step][1]]
        parts = sorted({which for kind, which in seen if kind == _PART})
        numbers = sorted({which for kind, which in seen if kind == _NUMBER})
        all_parts = list(self._parts)
        counted: dict[_Source, int] = {(_PART, which): at for at, which in enumerate(parts)}
        counted.update({(_NUMBER, which): len(counted) + at for at, which in enumerate(numbers)})
        behind = len(counted)
        counted.update({(_STEP, step): behind + at for step, at in place.items()})
        steps = [
            Step(operation, tuple([(counted[source], view) for source, view in operands]))
            for operation, operands in (self._steps[step] for step in order)
        ]
        specs = [self._specs[step] for step in wanted]
        recipe = Recipe(
            [all_parts[which] for which in parts],
            len(numbers),
            steps,
            [
                Result(place[step], spec.dtype, math.prod(spec.shape))
                for step, spec in zip(wanted, specs, strict=True)
            ],
            sum(_bytes_of(self._specs[step]) for step in order if step not in wanted),
        )
        if any(cost > most for cost, most in zip(recipe.cost, _MOST, strict=True)):
            raise Unrecordable
        return recipe, [self._numbers[which] for which in numbers]

    # What no recipe does ------
    def zeros(self, dtype: Dtype, size: int) -> NoReturn:
        del dtype, size
        raise Unrecordable

    def evaluate(self, wanted: Sequence[Storage]) -> NoReturn:
        del wanted
        raise Unrecordable

    def write(self, target: Target) -> NoReturn:
        del target
        raise Unrecordable

    def fetch(self, storage: Storage, begin: int, extent: int) -> NoReturn:
        del storage, begin, extent
        raise Unrecordable

    def settle(self) -> NoReturn:
        raise Unrecordable


def _bytes_of(spec: Spec) -> int:
    return math.prod(spec.shape) * spec.dtype.itemsize
