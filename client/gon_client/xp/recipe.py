"""Recipes: operations that are noted, and done, as one.

    operands and numbers ──▶ step ──▶ step ──▶ … ──▶ results

Work that repeats need not be derived again: what types and shapes there are, how operands are seen.
Rules: a recipe says neither where its operands begin nor what its numbers are, so that two that do
the same are equal; none of its steps fails for some elements (gon_client.xp.doubts). Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from gon.array_ops import AnyOperation
from gon.array_rules import Dtype
from gon_client.xp.views import View

if TYPE_CHECKING:
    from collections.abc import Sequence


class Part(NamedTuple):
    """Elements of an operand that steps look at: from one to before another, counted from where the
    operand begins.
    """

    operand: int
    low: int
    high: int


# What a step looks at: a part, a number or what an earlier step gives, counted through in this
# order; and how. A view of a part counts from where its operand begins.
Seen: TypeAlias = tuple[int, View]


class Step(NamedTuple):
    """One operation."""

    operation: AnyOperation
    operands: tuple[Seen, ...]


class Result(NamedTuple):
    """What a step gives that is given to whoever asked."""

    step: int
    dtype: Dtype
    size: int


class Cost(NamedTuple):
    """The most that something takes of a program. `between_bytes` is what lies between its steps,
    its own results too.
    """

    steps: int
    inputs: int
    numbers: int
    between_bytes: int


class Recipe:
    """A recipe; `numbers` is how many it takes, behind its operands."""

    __slots__ = ("_hash", "cost", "numbers", "parts", "results", "steps")

    def __init__(
        self,
        parts: Sequence[Part],
        numbers: int,
        steps: Sequence[Step],
        results: Sequence[Result],
        between_bytes: int,
    ) -> None:
        """`between_bytes` is what would lie between its steps."""
        self.parts = tuple(parts)
        self.numbers = numbers
        self.steps = tuple(steps)
        self.results = tuple(results)
        size_bytes = sum(size * dtype.itemsize for _, dtype, size in results)
        self.cost = Cost(len(self.steps), len(self.parts), numbers, between_bytes + size_bytes)
        self._hash = hash((self.parts, numbers, self.steps, self.results))

    def __repr__(self) -> str:
        return f"Recipe({len(self.steps)} steps, {len(self.results)} results)"

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Recipe)
            and self._hash == other._hash
            and (self.parts, self.numbers, self.steps, self.results)
            == (other.parts, other.numbers, other.steps, other.results)
        )
