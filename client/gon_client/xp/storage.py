"""What arrays look at: flat elements on a device, which are there, or which a node will make.

    Array ──view──▶ Storage ── in a buffer
                       └────── Node: an operation, or a recipe, on other storages ──▶ …

Nodes are gathered, and a runner (gon_client.xp.runner) makes one program of all that is needed for
what somebody wants to have. Rules: counts tell whose results will be wanted later; one that is
wrong, as threads may make it, costs an output too many, or work done twice, and no result.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from gon.array_ops import AnyOperation
from gon.array_rules import Dtype
from gon.errors import GonError
from gon_client.array import DeviceArray
from gon_client.buffer import Buffer
from gon_client.xp.recipe import Cost, Recipe
from gon_client.xp.views import View

if TYPE_CHECKING:
    from gon_client.xp.maker import Maker

# What reads a storage is noted; beyond so many, and twice what was left the last time, those that
# are done are forgotten.
_READERS_KEPT: Final = 64


class Storage:
    """`size` elements of one type, made by `runner` on its device."""

    __slots__ = (
        "__weakref__", "_readers_most", "arrays", "buffer", "dtype", "error", "in_doubt", "node",
        "nodes", "offset_bytes", "readers", "runner", "shared", "size",
    )  # fmt: skip

    def __init__(self, runner: Maker, dtype: Dtype, size: int) -> None:
        self.runner = runner
        self.dtype = dtype
        self.size = size
        # Where the elements lie, or what is to make them.
        self.buffer: Buffer | None = None
        self.offset_bytes = 0
        self.node: Node | None = None
        # Why there are none; and whether what makes them is posted, and may fail.
        self.error: GonError | None = None
        self.in_doubt = False
        # How many arrays look at this, and how many operands of nodes.
        self.arrays = self.nodes = 0
        # What is made, or was, of these elements as they are now.
        self.readers: list[weakref.ref[Node]] = []
        self._readers_most = _READERS_KEPT
        # Whether others than arrays use the buffer: what reads it does so where it is called.
        self.shared = False

    def __repr__(self) -> str:
        where = "there" if self.buffer is not None else "to be made"
        return f"Storage({self.size} of {self.dtype}, {where})"

    def put(self, buffer: Buffer, offset_bytes: int = 0) -> None:
        """Note that the elements are in a buffer now, as far as the device's stream goes."""
        self.buffer, self.offset_bytes = buffer, offset_bytes
        self.node = None

    def fail(self, error: GonError) -> None:
        """Note that there are no elements: whoever asks for them is told why."""
        self.error = error.with_traceback(None)
        self.buffer = self.node = None
        self.in_doubt = False

    @property
    def uncertain(self) -> bool:
        """Whether there may be no elements, for what those that they are made of are."""
        node = self.node
        return self.in_doubt or self.error is not None or (node is not None and node.uncertain)

    def part(self, begin: int, extent: int) -> DeviceArray:
        """Return some of the elements, which are there, as a device's array. Raises what making
        them raised.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        assert self.buffer is not None
        offset = self.offset_bytes + begin * self.dtype.itemsize
        return DeviceArray(self.buffer, offset, (extent,), self.dtype)

    def note_reader(self, reader: weakref.ref[Node]) -> None:
        """Note that a node reads the elements; the runner's lock is held."""
        self.readers.append(reader)
        if len(self.readers) > self._readers_most:
            self.readers = [each for each in self.readers if _results_of(each)]
            self._readers_most = max(_READERS_KEPT, 2 * len(self.readers))

    def waiting(self) -> list[Storage]:
        """Return what is still to be made of these elements."""
        return [each for reader in self.readers for each in _results_of(reader)]


# What a node works on: a view of a storage, or of one number.
Operand: TypeAlias = tuple["Storage | np.generic", View]


class Node:
    """What is to be done; a recipe's operands are seen from where a view begins on, and its
    numbers are behind them.
    """

    __slots__ = (
        "__weakref__", "cost", "made", "may_fail", "operands", "uncertain", "work",
    )  # fmt: skip

    def __init__(
        self,
        work: AnyOperation | Recipe,
        operands: Sequence[Operand],
        cost: Cost,
        *,
        may_fail: bool,
    ) -> None:
        self.work = work
        self.operands = tuple(operands)
        self.cost = cost
        # Whether it raises for some elements.
        self.may_fail = may_fail
        # What it makes: who wants that keeps it.
        self.made: tuple[weakref.ref[Storage], ...] = ()
        # Whether it does, or what it is made of.
        self.uncertain = may_fail
        for value, _ in operands:
            if isinstance(value, Storage):
                value.nodes += 1
                self.uncertain |= value.uncertain

    def __repr__(self) -> str:
        return f"Node({self.work}, {len(self.operands)} operands)"

    def __del__(self) -> None:
        for value, _ in self.operands:
            if isinstance(value, Storage):
                value.nodes -= 1

    def results(self) -> list[Storage]:
        """Return what this is still to make."""
        found: list[Storage] = []
        for reference in self.made:
            each = reference()
            if each is not None and each.node is self:
                found.append(each)
        return found


def _results_of(reader: weakref.ref[Node]) -> list[Storage]:
    node = reader()
    return [] if node is None else node.results()
