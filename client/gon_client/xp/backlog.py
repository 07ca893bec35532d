"""What is noted and not queued yet: never more than one program may be.

    node ─▶ backlog ──full──▶ all of it that somebody looks at is queued, together

Where it was full, a program begins; and there others begin from then on, once there is half of one:
so work that repeats is cut where it was cut before, and its programs are known.

Rules: sizes are those of gon.array_limits. This knows nodes, and queues nothing. The runner's lock
is held.
"""

from __future__ import annotations

import weakref
from typing import Final

from gon.array_limits import (
    ARRAY_BEGINNINGS_MAX,
    ARRAY_BETWEEN_BYTES_MAX,
    ARRAY_INPUTS_MAX,
    ARRAY_NUMBERS_MAX,
    ARRAY_STEPS_MAX,
)
from gon.array_ops import AnyOperation
from gon_client.xp.recipe import Cost, Recipe
from gon_client.xp.storage import Node, Storage

_BETWEEN_BYTES_MAX: Final = ARRAY_BETWEEN_BYTES_MAX // 2
# With fewer, a program does not end where others began.
_BEGUN_STEPS: Final = ARRAY_STEPS_MAX // 2


class Backlog:
    """Nodes that are not queued."""

    def __init__(self) -> None:
        self._nodes: list[weakref.ref[Node]] = []
        # What they are together.
        self._steps = self._inputs = self._numbers = self._between_bytes = 0
        # What programs begin with.
        self._beginnings: dict[AnyOperation | Recipe, None] = {}

    def __repr__(self) -> str:
        return f"Backlog({len(self._nodes)} nodes of {self._steps} steps)"

    def due(self, work: AnyOperation | Recipe, cost: Cost) -> list[Storage]:
        """Return what is to be made before work is noted; mostly nothing."""
        begins = self._steps > _BEGUN_STEPS and work in self._beginnings
        if not (begins or self._is_full_with(cost)):
            return []
        nodes = self.recount()
        if self._steps <= _BEGUN_STEPS and not self._is_full_with(cost):
            # There was less than it seemed: the rest was queued, or is gone.
            return []
        if work not in self._beginnings:
            if len(self._beginnings) >= ARRAY_BEGINNINGS_MAX:
                del self._beginnings[next(iter(self._beginnings))]
            self._beginnings[work] = None
        return [each for node in nodes for each in node.results() if each.arrays]

    def _is_full_with(self, cost: Cost) -> bool:
        """Return whether that would be more than one program should be. The results of the last one
        are none that lie between.
        """
        return (
            self._steps + cost.steps > ARRAY_STEPS_MAX
            or self._inputs + cost.inputs > ARRAY_INPUTS_MAX
            or self._numbers + cost.numbers > ARRAY_NUMBERS_MAX
            or self._between_bytes > _BETWEEN_BYTES_MAX
        )

    def add(self, node: Node) -> None:
        """Note a node."""
        self._nodes.append(weakref.ref(node))
        self._count(node.cost)

    def _count(self, cost: Cost) -> None:
        self._steps += cost.steps
        self._inputs += cost.inputs
        self._numbers += cost.numbers
        self._between_bytes += cost.between_bytes

    def recount(self) -> list[Node]:
        """Return what is still here, and forget what was queued, or nobody looks at any more."""
        found = [reference() for reference in self._nodes]
        alive = [each for each in found if each is not None and each.results()]
        self._nodes = [weakref.ref(each) for each in alive]
        self._steps = self._inputs = self._numbers = self._between_bytes = 0
        for each in alive:
            self._count(each.cost)
        return alive
