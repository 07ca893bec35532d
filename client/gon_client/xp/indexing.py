"""Parts of arrays by keys, as NumPy has them: places, slices, new axes and `...` are views; arrays
of places give copies; a mask gives what is under it, which is waited for.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, SupportsIndex, TypeAlias, cast

import numpy as np

from gon.array_ops import Cast, Gather, Place, Reduce, Select, Where
from gon.array_rules import element_of
from gon.errors import InvalidArgument
from gon_client.xp.operators import Operators
from gon_client.xp.scalars import scalar
from gon_client.xp.storage import Operand
from gon_client.xp.views import (
    View,
    broadcast,
    broadcast_shape,
    full_key,
    indexed,
    permuted,
    squeezed,
)

if TYPE_CHECKING:
    from gon_client.xp.array import Array, Given

_One: TypeAlias = "SupportsIndex | slice | EllipsisType | Array | None"
Key: TypeAlias = "_One | tuple[_One, ...]"

_ONE = View(0, (), ())


def part_of(array: Array, key: Key) -> Array:
    """Return `array[key]`. Raises IndexError."""
    keys = _keys(array, key)
    if not any(_is_array(each) for each in keys):
        return array.seen(indexed(array.view, keys))
    if _is_mask(keys):
        return _under(array, cast("Array", keys[0]))
    return _gathered(array, keys)


def write_part(array: Array, key: Key, value: Given) -> None:
    """Do `array[key] = value`. Raises IndexError, InvalidArgument."""
    keys = _keys(array, key)
    source = _source(array, value)
    if not any(_is_array(each) for each in keys):
        part = array.seen(indexed(array.view, keys))
        part.assign((source[0], broadcast(_trimmed(source[1], part.ndim), part.shape)))
        return
    if not _is_mask(keys):
        raise InvalidArgument("what arrays of places name cannot be written: write x[mask] = value")
    mask = cast("Array", keys[0])
    if source[1].size != 1:
        placed = array.make(Place(), [array.operand, mask.operand, source])
        array.assign(placed.operand)
        return
    more = (1,) * (array.ndim - mask.ndim)
    seen = broadcast(mask.in_shape((*mask.shape, *more)).view, array.shape)
    one = broadcast(View(source[1].base, (), ()), array.shape)
    operands = [(mask.storage, seen), (source[0], one), array.operand]
    array.assign(array.make(Where(), operands).operand)


def _keys(array: Array, key: Key) -> list[object]:
    """Return the key with one part for each axis; a mask is one for as many as it has."""
    given: list[object] = list(key) if isinstance(key, tuple) else [key]
    taken = 0
    for place, each in enumerate(given):
        if each is None or each is Ellipsis:
            continue
        if isinstance(each, bool | float | complex) and not hasattr(each, "dtype"):
            raise IndexError(f"{each!r} is no index")
        if isinstance(each, np.ndarray | Sequence):
            raise IndexError(
                "an index is a number, a slice, `...`, None or an array of this device"
            )
        taken += 1
        if isinstance(each, Operators):
            one = cast("Array", each)
            if one.storage.runner is not array.storage.runner:
                raise InvalidArgument("an index on another device")
            if one.dtype.kind == "b":
                if len([each for each in given if each is not Ellipsis]) > 1:
                    raise IndexError("a mask is the only index")
                if one.shape != array.shape[: one.ndim]:
                    raise IndexError(f"a mask of {list(one.shape)} of {list(array.shape)}")
                return [one]
            if one.dtype.kind not in "iu":
                raise IndexError(f"an array of {one.dtype} is no index")
            given[place] = one
    return full_key(given, array.ndim, taken)


def _is_array(each: object) -> bool:
    return isinstance(each, Operators)


def _is_mask(keys: Sequence[object]) -> bool:
    return len(keys) == 1 and _is_array(keys[0]) and cast("Array", keys[0]).dtype.kind == "b"


def _source(array: Array, value: object) -> Operand:
    """Return a value as elements of the array's type."""
    element = element_of(array.dtype)
    if isinstance(value, Operators):
        given = cast("Array", value)
        if given.dtype == array.dtype:
            return given.operand
        if given.dtype.kind == "c" and array.dtype.kind != "c":
            raise InvalidArgument(f"{given.dtype} does not become {array.dtype}")
        return array.make(Cast(element), [given.operand]).operand
    return scalar(value, array.dtype), _ONE


def _trimmed(view: View, ndim: int) -> View:
    """Return a view without first axes of size 1 that are more than there are to be."""
    more = max(0, len(view.shape) - ndim)
    return squeezed(view, range(more)) if view.shape[:more] == (1,) * more else view


def _under(array: Array, mask: Array) -> Array:
    """Return what is under a mask: as much as there is, once that is known."""
    if mask.ndim == 0:
        return array[None, ...][: int(bool(mask))]
    axes = tuple(range(mask.ndim))
    found = array.make(Select(), [array.operand, mask.operand])
    count = array.make(Reduce("count_nonzero", axes, "int64"), [mask.operand])
    array.storage.runner.evaluate([found.storage, count.storage])
    return found[: int(count)]


def _gathered(array: Array, keys: list[object]) -> Array:
    """Return the part that arrays of places name, of what slices and new axes leave."""
    # First what is no array of places: each of these leaves its axis whole, for what comes below.
    first = [slice(None) if _is_place(each) else each for each in keys]
    view = indexed(array.view, first)
    axes: list[int] = []
    given: list[Operand] = []
    for axis, each in enumerate(keys):
        if _is_array(each):
            axes.append(axis)
            given.append(cast("Array", each).operand)
        elif _is_place(each):
            axes.append(axis)
            place = operator.index(cast("SupportsIndex", each))
            given.append((np.int64(place), _ONE))
    shape = broadcast_shape(*[view.shape for _, view in given])
    places = [(value, broadcast(seen, shape)) for value, seen in given]
    rest = [axis for axis in range(len(view.shape)) if axis not in axes]
    moved = permuted(view, (*axes, *rest))
    found = array.make(Gather(), [(array.storage, moved), *places])
    if axes != list(range(axes[0], axes[0] + len(axes))):
        return found
    # Axes that were side by side: what they give is where they were.
    order = [*range(len(shape), len(shape) + axes[0]), *range(len(shape))]
    order += range(len(order), found.ndim)
    return found.seen(permuted(found.view, order))


def _is_place(each: object) -> bool:
    return each is not None and not isinstance(each, slice)
