"""The standard's functions that sort, search, pick, and tell what is distinct.

What has a size that depends on values is made as large as it may be; its size is waited for.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from gon.array_ops import Nonzero, Reduce, Search, Sort, Take, TakeAlong, Unique
from gon.errors import InvalidArgument
from gon_client.xp.array import Array, runner_of
from gon_client.xp.operators import Number
from gon_client.xp.scalars import scalar
from gon_client.xp.storage import Operand
from gon_client.xp.views import View, axis_of, broadcast, broadcast_shape

_ONE = View(0, (), ())


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Array
    inverse_indices: Array


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """Return the elements in order along an axis."""
    return x.make(
        Sort(axis_of(axis, x.ndim), bool(descending), bool(stable), places=False), [x.operand]
    )


def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """Return where the elements are that would be in order along an axis."""
    return x.make(
        Sort(axis_of(axis, x.ndim), bool(descending), bool(stable), places=True), [x.operand]
    )


def searchsorted(
    x1: Array,
    x2: Array | Number,
    /,
    *,
    side: Literal["left", "right"] = "left",
    sorter: Array | None = None,
) -> Array:
    """Return where in a sorted vector elements belong: before (or behind) those that equal them."""
    if side not in ("left", "right"):
        raise InvalidArgument(f"side {side!r}; 'left' or 'right'")
    runner_of(x1, x2, sorter)
    ordered = x1 if sorter is None else take(x1, sorter, axis=0)
    sought: Operand = x2.operand if isinstance(x2, Array) else (scalar(x2), _ONE)
    return x1.make(Search(side), [ordered.operand, sought])


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """Return what lies at places of an axis; a place out of bounds is told to whoever
    asks for an element."""
    runner_of(x, indices)
    if axis is None and x.ndim != 1:
        raise InvalidArgument(f"an axis of {x.ndim} dimensions must be named")
    along = axis_of(0 if axis is None else axis, x.ndim)
    return x.make(Take(along), [x.operand, indices.operand])


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """Return, for each vector along an axis, what lies at its own places."""
    runner_of(x, indices)
    along = axis_of(axis, x.ndim)
    if x.ndim != indices.ndim:
        raise InvalidArgument(f"places of {indices.ndim} dimensions, an array of {x.ndim}")
    rest = broadcast_shape(_without(x, along), _without(indices, along))
    seen = [
        (each.storage, broadcast(each.view, (*rest[:along], each.shape[along], *rest[along:])))
        for each in (x, indices)
    ]
    return x.make(TakeAlong(along), seen)


def _without(x: Array, axis: int) -> tuple[int, ...]:
    return (*x.shape[:axis], *x.shape[axis + 1 :])


def nonzero(x: Array, /) -> tuple[Array, ...]:
    """Return the places of elements that are not zero, along each axis; it waits for how many."""
    if not x.ndim:
        raise InvalidArgument("nonzero of an array without dimensions")
    found = x.make(Nonzero(), [x.operand])
    axes = tuple(range(x.ndim))
    count = _count(x.make(Reduce("count_nonzero", axes, "int64"), [x.operand]), found)
    return tuple(found[axis, :count] for axis in range(x.ndim))


def unique_all(x: Array, /) -> UniqueAll:
    """Return the distinct elements in order, where each is first, which each element is, and how
    many of each there are; it waits for how many are distinct.
    """
    values, places, counts = _unique(x, "values", "places", "counts")
    return UniqueAll(values, places, _inverse(x), counts)


def unique_counts(x: Array, /) -> UniqueCounts:
    """Return the distinct elements in order, and how many of each there are; as `unique_all`."""
    return UniqueCounts(*_unique(x, "values", "counts"))


def unique_inverse(x: Array, /) -> UniqueInverse:
    """Return the distinct elements in order, and which each element is; as `unique_all`."""
    return UniqueInverse(unique_values(x), _inverse(x))


def unique_values(x: Array, /) -> Array:
    """Return the distinct elements in order; as `unique_all`."""
    return _unique(x, "values")[0]


def _inverse(x: Array) -> Array:
    return x.make(Unique("inverse"), [x.operand])


def _unique(x: Array, *parts: Literal["counts", "places", "values"]) -> list[Array]:
    made = [x.make(Unique(part), [x.operand]) for part in parts]
    count = _count(x.make(Unique("count"), [x.operand]), *made)
    return [each[:count] for each in made]


def _count(count: Array, *others: Array) -> int:
    """Return a count, made together with what it is of."""
    count.storage.runner.evaluate([count.storage, *[each.storage for each in others]])
    return int(count)
