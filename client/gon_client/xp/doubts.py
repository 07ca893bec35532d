"""Which operations may fail on what elements are, and what would fail with which of them. Pure.

    nodes, in order ──▶ those that cannot fail │ those that may │ by what they may fail with, each

Rules: a launch that fails ruins all that it should have written: so what cannot fail goes first,
and what failed together is done again, one by one of what may have failed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from gon.array_ops import AnyOperation, Apply, Gather, Place, Put, Take, TakeAlong
from gon_client.xp.storage import Node, Operand, Storage

Doubts: TypeAlias = frozenset[int]
_NONE: Doubts = frozenset()


class Group(NamedTuple):
    """What one launch is to do, in order."""

    nodes: list[Node]
    may_fail: bool


def may_fail(operation: AnyOperation, operands: Sequence[Operand]) -> bool:
    """Return whether an operation raises for some elements: places out of bounds, a mask of another
    number, a whole number to a negative power.
    """
    if isinstance(operation, Take | TakeAlong | Gather | Place):
        return True
    if isinstance(operation, Put):
        return not operation.wraps
    if not isinstance(operation, Apply) or operation.function != "pow":
        return False
    base, exponent = operands[0][0], operands[1][0]
    if base.dtype.kind not in "biu" or exponent.dtype.kind != "i":
        return False
    return isinstance(exponent, Storage) or bool(exponent < np.int8(0))  # type: ignore[operator]


def apart(order: Collection[Node], *, finely: bool) -> list[Group]:
    """Return what is to be done, in launches: what cannot fail and the rest, or that `finely`: each
    group by the operations that it fails with.
    """
    doubts: dict[int, Doubts] = {}
    groups: dict[Doubts, list[Node]] = {}
    for node in order:
        found = _NONE
        for value, _ in node.operands:
            if isinstance(value, Storage):
                own = frozenset((id(value),)) if value.error is not None else _NONE
                found |= doubts.get(id(value.node), own)
                finely = finely or value.error is not None
        if node.may_fail:
            found |= {id(node)}
        doubts[id(node)] = found
        groups.setdefault(found, []).append(node)
    if finely:
        # What a group needs, is made by those with fewer doubts.
        return [Group(groups[key], bool(key)) for key in sorted(groups, key=len)]
    certain = groups.get(_NONE, [])
    rest = [node for node in order if doubts[id(node)]]
    return [Group(found, may) for found, may in ((certain, False), (rest, True)) if found]
