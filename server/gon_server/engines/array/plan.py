"""Where the results of an array program's steps lie, and which steps are worked on in blocks. Pure.

A result that an output takes as it is lies in that output. All others lie between: in memory that
later ones take over once nobody reads them any more.

Steps in a row that make each element of those at its place alone are one run, taken block by block:
what passes between them then stays in the processor's cache, and takes a block of memory each
instead of an array.

Rules: steps keep their order; blocks change no result, for nothing is added up across them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gon.array_limits import ARRAY_BETWEEN_BYTES_MAX
from gon.array_program import Checked, Operand, Output, Step, c_strides
from gon.array_rules import Spec
from gon.errors import LimitExceeded
from gon_server.engines.array.compute import is_elementwise

# Elements of a block: of float64 those of three operands fit into a cache of 512 KiB, and NumPy's
# calls, some 0.5 µs each, cost little beside them.
BLOCK: Final = 16_384
# What begins in memory between begins at a multiple of this: a line of the cache.
_ALIGNED_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class InOutput:
    """A result lies in an output, by its number."""

    output: int


@dataclass(frozen=True, slots=True)
class Between:
    """A result lies in memory between, from a byte on; `block` says that there is room for a block
    of it only.
    """

    offset_bytes: int
    block: bool


Place: TypeAlias = InOutput | Between


@dataclass(slots=True)
class Plan:
    """Runs of steps (each but the blocked ones of one step), where results lie, by the number of
    their step, outputs that are to be copied, and the bytes of memory between.
    """

    runs: list[range] = field(default_factory=list[range])
    places: list[Place] = field(default_factory=list[Place])
    copied: list[int] = field(default_factory=list[int])
    between_bytes: int = 0

    def is_blocked(self, run: range, values: Sequence[Spec], first: int) -> bool:
        """Return whether a run is worked on in blocks; `first` is the value of step 0."""
        return len(run) > 1 and math.prod(values[first + run.start].shape) > BLOCK


def plan_of(checked: Checked) -> Plan:
    """Plan a program. Raises LimitExceeded where too much would lie between its steps."""
    program, values = checked
    first = len(program.inputs) + len(program.numbers)
    plan = Plan()
    plan.runs = _runs(program.steps, values, first)
    taken: dict[int, int] = {}
    for number, output in enumerate(program.outputs):
        step = output.of.value - first
        if step >= 0 and step not in taken and _takes_whole(output, values[output.of.value]):
            taken[step] = number
        else:
            plan.copied.append(number)
    plan.places = [InOutput(taken.get(step, -1)) for step in range(len(program.steps))]
    room = _Room()
    last = _last_uses(program.steps, program.outputs, first)
    # What is given back behind a step: at the end of its run, but for what passes within one only.
    ends: dict[int, list[tuple[int, int]]] = {}
    passes: dict[int, list[tuple[int, int]]] = {}
    for run in plan.runs:
        blocked = plan.is_blocked(run, values, first)
        free = [step for step in run if step not in taken]
        inner = [step for step in free if blocked and last[step] in run]
        # A block is written again and again: nothing that outlasts it may lie where one has lain.
        for step in (*(each for each in free if each not in inner), *inner):
            value = values[first + step]
            is_inner = step in inner
            count = math.prod(value.shape)
            count = min(BLOCK, count) if is_inner else count
            size = -(-max(1, count * value.dtype.itemsize) // _ALIGNED_BYTES) * _ALIGNED_BYTES
            offset = room.take(size)
            plan.places[step] = Between(offset, is_inner)
            (passes if is_inner else ends).setdefault(last[step], []).append((offset, size))
            room.give_all(passes.pop(step, ()))
        for step in run:
            room.give_all((*ends.pop(step, ()), *passes.pop(step, ())))
    plan.between_bytes = room.end
    if room.end > ARRAY_BETWEEN_BYTES_MAX:
        raise LimitExceeded(
            f"{room.end} bytes between the steps of a program; at most {ARRAY_BETWEEN_BYTES_MAX}"
        )
    return plan


def is_whole(operand: Operand, size: int) -> bool:
    """Return whether an operand is so many elements in C order."""
    if math.prod(operand.shape) != size:
        return False
    return all(
        stride == usual
        for length, stride, usual in zip(
            operand.shape, operand.strides, c_strides(operand.shape), strict=True
        )
        if length != 1
    )


def is_one(operand: Operand) -> bool:
    """Return whether an operand is one element, however often."""
    return not any(
        stride for length, stride in zip(operand.shape, operand.strides, strict=True) if length != 1
    )


def _runs(steps: Sequence[Step], values: Sequence[Spec], first: int) -> list[range]:
    runs: list[range] = []
    for number, step in enumerate(steps):
        size = math.prod(values[first + number].shape)
        joins = (
            bool(runs)
            and _is_plain(step, size)
            and _is_plain(steps[number - 1], size)
            and math.prod(values[first + number - 1].shape) == size
            and not _reads_elsewhere(step, first, runs[-1])
        )
        if joins:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs


def _is_plain(step: Step, size: int) -> bool:
    """Return whether a step makes each of so many elements of those at its place."""
    return is_elementwise(step.operation) and all(
        is_whole(operand, size) or is_one(operand) for operand in step.operands
    )


def _reads_elsewhere(step: Step, first: int, run: range) -> bool:
    """Return whether a step reads one element of what the run makes: it is not there in time."""
    return any(
        operand.value - first in run and (is_one(operand) and math.prod(operand.shape) != 1)
        for operand in step.operands
    )


def _takes_whole(output: Output, value: Spec) -> bool:
    size = math.prod(value.shape)
    target = Operand(0, output.base, output.of.shape, output.strides)
    return (
        output.extent == size
        and not output.base
        and not output.of.base
        and is_whole(output.of, size)
        and is_whole(target, size)
    )


def _last_uses(steps: Sequence[Step], outputs: Sequence[Output], first: int) -> list[int]:
    """Return which step is the last that reads a step's result: itself for one that nobody reads,
    one behind the last for what outputs read.
    """
    last = list(range(len(steps)))
    for number, step in enumerate(steps):
        for operand in step.operands:
            if operand.value >= first:
                last[operand.value - first] = number
    for output in outputs:
        if output.of.value >= first:
            last[output.of.value - first] = len(steps)
    return last


class _Room:
    """Memory that is taken and given back in pieces: the first gap that is large enough is taken.

    What is asked for is never more than what lies there together, rounded up.
    """

    def __init__(self) -> None:
        self.end = 0
        self._gaps: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        for index, (offset, length) in enumerate(self._gaps):
            if length >= size:
                self._gaps[index : index + 1] = (
                    [(offset + size, length - size)] if length > size else []
                )
                return offset
        offset = self.end
        if self._gaps and sum(self._gaps[-1]) == self.end:
            offset = self._gaps.pop()[0]
        self.end = offset + size
        return offset

    def give_all(self, pieces: Iterable[tuple[int, int]]) -> None:
        gaps = sorted([*self._gaps, *pieces])
        self._gaps = []
        for begin, length in gaps:
            if self._gaps and sum(self._gaps[-1]) == begin:
                self._gaps[-1] = (self._gaps[-1][0], self._gaps[-1][1] + length)
            else:
                self._gaps.append((begin, length))
