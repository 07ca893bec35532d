"""Steps in a row that work on each element by itself, taken block by block."""

from __future__ import annotations

from collections.abc import Sequence

from gon.array_program import Step
from gon_server.engines.array.compute import Compute, compute_of
from gon_server.engines.array.plan import BLOCK, is_one
from gon_server.engines.base import Tensor


class Blocked:
    """Such a run of steps, on what it works on."""

    def __init__(
        self, steps: Sequence[Step], first: int, flat: Sequence[Tensor], size: int
    ) -> None:
        """`flat` are all values, flat, those of the steps from number `first` on; of results that
        pass between these steps only, each is a block.
        """
        self._size = size
        # What steps read and write: what is cut into blocks (negative places, from -1 on), and what
        # is one block, or one element, throughout.
        self._cut: list[Tensor] = []
        self._kept: list[Tensor] = []
        self._steps: list[tuple[Compute, list[int], int]] = []
        outs = [self._place(flat[first + number]) for number in range(len(steps))]
        for number, step in enumerate(steps):
            read: list[int] = []
            for operand in step.operands:
                value, base = flat[operand.value], operand.base
                if is_one(operand):
                    read.append(self._place(value[base : base + 1].reshape(())))
                elif operand.value >= first:
                    read.append(outs[operand.value - first])
                else:
                    read.append(self._place(value[base : base + size]))
            self._steps.append((compute_of(step.operation), read, outs[number]))

    def __repr__(self) -> str:
        return f"Blocked({len(self._steps)} steps of {self._size} elements)"

    def run(self) -> None:
        size, cut, kept = self._size, self._cut[::-1], self._kept
        for start in range(0, size, BLOCK):
            stop = min(start + BLOCK, size)
            if stop - start < BLOCK:
                kept = [each[: stop - start] if each.ndim else each for each in kept]
            # Negative places count from the end.
            seen = [*kept, *[whole[start:stop] for whole in cut]]
            for compute, read, out in self._steps:
                compute(*[seen[place] for place in read], out=seen[out])

    def _place(self, array: Tensor) -> int:
        """Return where an array is found for each block."""
        if array.size == self._size:
            self._cut.append(array)
            return -len(self._cut)
        self._kept.append(array)
        return len(self._kept) - 1
