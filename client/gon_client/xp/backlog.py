"""What is noted and not queued yet: never more than one program may be.

    node ─▶ backlog ──full──▶ all of it that somebody looks at is queued, together

Where it was full, a program begins; and there others begin from then on, once there is half of one:
so work that repeats is cut where it was cut before, and its programs are known.

Rules: sizes are those of gon.array_limits. This knows nodes, and queues nothing. The runner's lock
is held.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Final, NamedTuple

from gon.array_limits import (
    ARRAY_BEGINNINGS_MAX,
    ARRAY_BETWEEN_BYTES_MAX,
    ARRAY_INPUTS_MAX,
    ARRAY_NUMBERS_MAX,
    ARRAY_STEPS_MAX,
)
from gon.array_ops import AnyOperation
from gon_client.xp.recipe import Recipe
from gon_client.xp.storage import Node, Operand, Storage

_BETWEEN_BYTES_MAX: Final = ARRAY_BETWEEN_BYTES_MAX // 2
# With fewer, a program does not end where others began.
_BEGUN_STEPS: Final = ARRAY_STEPS_MAX // 2


class Cost(NamedTuple):
    """The most that something is of a program. `between_bytes` is what lies between its steps, its
    own results too.
    """

    steps: int
    inputs: int
    numbers: int
    between_bytes: int

    @property
    def is_much(self) -> bool:
        """Whether it is more than one program should be."""
        return (
            self.steps > ARRAY_STEPS_MAX
            or self.inputs > ARRAY_INPUTS_MAX
            or self.numbers > ARRAY_NUMBERS_MAX
            or self.between_bytes > _BETWEEN_BYTES_MAX
        )

    def plus(self, other: Cost) -> Cost:
        """Return what both are together."""
        return Cost(
            self.steps + other.steps,
            self.inputs + other.inputs,
            self.numbers + other.numbers,
            self.between_bytes + other.between_bytes,
        )


_NOTHING: Final = Cost(0, 0, 0, 0)


def cost_of(work: AnyOperation | Recipe, operands: Sequence[Operand]) -> Cost:
    """Return what work is, but for its results' bytes: the last ones of a program go elsewhere."""
    if isinstance(work, Recipe):
        return Cost(len(work.steps), len(work.parts), work.numbers, work.between_bytes)
    inputs = sum(isinstance(value, Storage) for value, _ in operands)
    return Cost(1, inputs, len(operands) - inputs, 0)


class Backlog:
    """Nodes that are not queued."""

    def __init__(self) -> None:
        self._nodes: list[weakref.ref[Node]] = []
        self._cost = _NOTHING
        # What programs begin with.
        self._beginnings: dict[AnyOperation | Recipe, None] = {}

    def __repr__(self) -> str:
        return f"Backlog({len(self._nodes)} nodes, {self._cost})"

    def due(self, work: AnyOperation | Recipe, cost: Cost) -> list[Storage]:
        """Return what is to be made before work is noted; mostly nothing."""
        begins = self._cost.steps > _BEGUN_STEPS and work in self._beginnings
        if not (begins or self._cost.plus(cost).is_much):
            return []
        self.recount()
        if self._cost.steps <= _BEGUN_STEPS and not self._cost.plus(cost).is_much:
            # There was less than it seemed: the rest was queued, or is gone.
            return []
        if work not in self._beginnings:
            if len(self._beginnings) >= ARRAY_BEGINNINGS_MAX:
                del self._beginnings[next(iter(self._beginnings))]
            self._beginnings[work] = None
        nodes = [reference() for reference in self._nodes]
        return [
            each
            for node in nodes
            if node is not None
            for each in node.results()
            if each.arrays
        ]

    def add(self, node: Node) -> None:
        """Note a node."""
        self._nodes.append(weakref.ref(node))
        self._cost = self._cost.plus(node.cost)

    def recount(self) -> None:
        """Forget what was queued, or nobody looks at any more."""
        found = [reference() for reference in self._nodes]
        alive = [each for each in found if each is not None and each.results()]
        self._nodes = [weakref.ref(each) for each in alive]
        self._cost = _NOTHING
        for each in alive:
            self._cost = self._cost.plus(each.cost)
