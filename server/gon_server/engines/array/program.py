"""Array programs, loaded, bound to tensors and run.

Rules: an operand is a view of its value's elements, made by NumPy's own constructor, which looks
again whether it stays within them. Inputs are only read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gon.array_limits import ARRAY_BETWEEN_BYTES_MAX
from gon.array_ops import name_of
from gon.array_program import FUNCTION, Checked, Operand, decode
from gon.errors import InvalidArgument
from gon.model import KernelInfo
from gon_server.engines.array.blocks import Blocked
from gon_server.engines.array.compute import compute_of
from gon_server.engines.array.plan import BLOCK, InOutput, Plan, plan_of
from gon_server.engines.base import Bound, Tensor, Uses
from gon_server.engines.limits import SCRATCH_KEPT_BYTES_MAX
from gon_server.engines.signature import function, tensor, value

Work: TypeAlias = Callable[[], object]
Octets: TypeAlias = NDArray[np.uint8]

# Memory begins at a multiple of a line of the cache.
_ALIGNED_BYTES: Final = 64


class Scratch:
    """What lies between steps, kept from call to call: new pages cost as much as the work."""

    def __init__(self) -> None:
        self._kept: Octets = np.empty(0, np.uint8)

    def __repr__(self) -> str:
        return f"Scratch({self._kept.nbytes} bytes)"

    def memory(self, size_bytes: int) -> Octets:
        """Return memory of at least this size: what is kept, unless more is asked for than is."""
        assert size_bytes <= ARRAY_BETWEEN_BYTES_MAX
        if size_bytes <= self._kept.nbytes:
            return self._kept
        if size_bytes <= SCRATCH_KEPT_BYTES_MAX:
            # Twice as much each time: programs that were run with what was kept before hold it, all
            # of that together less than what is kept now.
            size_bytes = min(1 << (size_bytes - 1).bit_length(), SCRATCH_KEPT_BYTES_MAX)
        room = np.empty(size_bytes + _ALIGNED_BYTES, np.uint8)
        begin = -int(room.__array_interface__["data"][0]) % _ALIGNED_BYTES
        room = room[begin : begin + size_bytes]
        if size_bytes <= SCRATCH_KEPT_BYTES_MAX:
            self._kept = room
        return room


class ArrayProgram:
    """An array program that can be run."""

    def __init__(self, coded: bytes, scratch: Scratch) -> None:
        """Raises as gon.array_program.decode, LimitExceeded."""
        self._checked = decode(coded)
        self._plan = plan_of(self._checked)
        self._scratch = scratch
        self.size_bytes = len(coded)
        program, values = self._checked
        self._function = function(
            FUNCTION,
            *(
                tensor(f"a{place}", each.element, (each.extent,))
                for place, each in enumerate(program.inputs)
            ),
            *(
                tensor(f"r{place}", values[each.of.value].dtype.name, (each.extent,), writes=True)
                for place, each in enumerate(program.outputs)
            ),
            *(value(f"n{place}", element) for place, element in enumerate(program.numbers)),
        )

    def __repr__(self) -> str:
        steps = self._checked.program.steps
        return f"ArrayProgram({', '.join(name_of(step.operation) for step in steps)})"

    @property
    def functions(self) -> tuple[KernelInfo, ...]:
        return (self._function,)

    @property
    def uses(self) -> Uses:
        program, values = self._checked
        return Uses(
            frozenset(each.dtype.name for each in values),
            frozenset(name_of(step.operation) for step in program.steps),
        )

    @property
    def fills(self) -> bool:
        return False

    def bind(self, function: str, tensors: Sequence[Tensor], values: Mapping[str, bytes]) -> Bound:
        assert function == FUNCTION
        program = self._checked.program
        numbers = [
            np.frombuffer(values[f"n{place}"], element)
            for place, element in enumerate(program.numbers)
        ]
        inputs = len(program.inputs)
        given = [*tensors[:inputs], *numbers]
        return BoundProgram(self._checked, self._plan, given, tensors[inputs:], self._scratch)

    def unload(self) -> None:
        """Nothing to do: what is between steps belongs to the engine."""


class BoundProgram:
    """An array program and where its arrays lie."""

    def __init__(
        self,
        checked: Checked,
        plan: Plan,
        given: Sequence[Tensor],
        outputs: Sequence[Tensor],
        scratch: Scratch,
    ) -> None:
        """`given` are the inputs and numbers, flat, `outputs` what is to be written."""
        self._checked = checked
        self._plan = plan
        self._given = given
        self._outputs = outputs
        self._scratch = scratch
        self._room: Octets | None = None
        self._work: list[Work] = []

    def run(self, data: Sequence[bytes] = ()) -> None:  # noqa: ARG002 - programs take none
        """Raises InvalidArgument for values that an operation does not take, MemoryError."""
        try:
            room = self._scratch.memory(self._plan.between_bytes)
            work = self._work
            if room is not self._room:
                work = self._made(room)
                if room.nbytes <= SCRATCH_KEPT_BYTES_MAX:
                    self._room, self._work = room, work
            with np.errstate(all="ignore"):
                for each in work:
                    each()
        except (ValueError, IndexError, TypeError, ArithmeticError) as error:
            raise InvalidArgument(f"an array operation: {error}") from None

    def _made(self, room: Octets) -> list[Work]:
        """Return what is to be done, in order, with `room` between the steps."""
        program, values = self._checked
        first = len(self._given)
        flat = [*self._given, *(self._result(step, room) for step in range(len(program.steps)))]
        work: list[Work] = []
        for run in self._plan.runs:
            if self._plan.is_blocked(run, values, first):
                steps = [program.steps[number] for number in run]
                size = math.prod(values[first + run.start].shape)
                work.append(Blocked(steps, first + run.start, flat, size).run)
                continue
            for number in run:
                step = program.steps[number]
                out = flat[first + number].reshape(values[first + number].shape)
                seen = [_seen(operand, flat) for operand in step.operands]
                work.append(partial(compute_of(step.operation), *seen, out=out))
        for number in self._plan.copied:
            output = program.outputs[number]
            target = Operand(0, output.base, output.of.shape, output.strides)
            work.append(
                partial(np.copyto, _seen(target, [self._outputs[number]]), _seen(output.of, flat))
            )
        return work

    def _result(self, step: int, room: Octets) -> Tensor:
        """Return the flat elements that a step writes."""
        place = self._plan.places[step]
        if isinstance(place, InOutput):
            return self._outputs[place.output]
        value = self._checked.values[len(self._given) + step]
        count = math.prod(value.shape)
        count = min(BLOCK, count) if place.block else count
        begin = place.offset_bytes
        return room[begin : begin + count * value.dtype.itemsize].view(value.dtype)


def _seen(operand: Operand, flat: Sequence[Tensor]) -> Tensor:
    """Return what an operand is."""
    value = flat[operand.value]
    size = value.dtype.itemsize
    strides = [stride * size for stride in operand.strides]
    return np.ndarray(operand.shape, value.dtype, value, operand.base * size, strides)
