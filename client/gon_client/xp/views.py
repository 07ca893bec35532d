"""Views: how an array looks at flat elements: from one on, of a shape, by strides in elements.

To transpose, slice, flip, broadcast, and mostly to reshape, is to look differently: it costs
nothing, on the device or on the way there. Pure.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, SupportsIndex, TypeAlias, cast

from gon.array_program import c_strides, span
from gon.array_rules import Shape
from gon.errors import InvalidArgument

# An axis, several, or None for all.
Axes: TypeAlias = int | Sequence[int] | None


class View(NamedTuple):
    """From element `base` on, of a shape, by strides."""

    base: int
    shape: Shape
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_plain(self) -> bool:
        """Whether the elements lie one behind the other, in C order."""
        return not self.size or all(
            stride == usual
            for size, stride, usual in zip(
                self.shape, self.strides, c_strides(self.shape), strict=True
            )
            if size != 1
        )

    @property
    def repeats(self) -> bool:
        """Whether an element is seen more than once, as where it was broadcast."""
        return any(
            not stride for size, stride in zip(self.shape, self.strides, strict=True) if size > 1
        )

    def span(self) -> tuple[int, int]:
        """Return the first element that is reached, and the one behind the last."""
        return span(*self)


@lru_cache(maxsize=1024)
def whole(shape: Shape) -> View:
    """Return the view of all elements of an array in C order."""
    return View(0, shape, c_strides(shape))


def axis_of(axis: int, ndim: int) -> int:
    """Return an axis counted from the first. Raises InvalidArgument."""
    found = operator.index(axis)
    if not -ndim <= found < ndim:
        raise InvalidArgument(f"axis {axis} of {ndim} dimensions")
    return found % ndim if ndim else 0


def axes_of(axes: Axes, ndim: int) -> tuple[int, ...]:
    """Return axes counted from the first, all for None. Raises InvalidArgument."""
    if axes is None:
        return tuple(range(ndim))
    given = axes if isinstance(axes, Sequence) else (axes,)
    found = tuple(axis_of(axis, ndim) for axis in given)
    if len(set(found)) != len(found):
        raise InvalidArgument(f"axes {list(found)}: one is given twice")
    return found


def permuted(view: View, axes: Sequence[int]) -> View:
    """Return the view with its axes in another order. Raises InvalidArgument."""
    order = axes_of(tuple(axes), len(view.shape))
    if len(order) != len(view.shape):
        raise InvalidArgument(f"axes {list(axes)} of {len(view.shape)} dimensions")
    shape = tuple(view.shape[axis] for axis in order)
    return View(view.base, shape, tuple(view.strides[axis] for axis in order))


def broadcast(view: View, shape: Shape) -> View:
    """Return the view as it is seen in a shape. Raises InvalidArgument."""
    if view.shape == shape:
        return view
    if not view.shape:
        return View(view.base, shape, (0,) * len(shape))
    more = len(shape) - len(view.shape)
    strides = [0] * more
    for size, wanted, stride in zip(view.shape, shape[max(more, 0) :], view.strides, strict=False):
        if size != wanted and size != 1:
            more = -1
        strides.append(stride if size == wanted else 0)
    if more < 0:
        raise InvalidArgument(f"an array of {list(view.shape)} cannot be of {list(shape)}")
    return View(view.base, shape, tuple(strides))


def broadcast_shape(*shapes: Shape) -> Shape:
    """Return the shape that all of these are broadcast to. Raises InvalidArgument."""
    several = {shape for shape in shapes if shape}
    if len(several) < 2:
        return several.pop() if several else ()
    ndim = max(map(len, shapes))
    found: list[int] = []
    for axis in range(-ndim, 0):
        sizes = {shape[axis] for shape in shapes if len(shape) >= -axis}
        sizes.discard(1)
        if len(sizes) > 1:
            told = " and ".join(str(list(shape)) for shape in shapes)
            raise InvalidArgument(f"shapes {told} do not go together")
        found.append(sizes.pop() if sizes else 1)
    return tuple(found)


def flipped(view: View, axes: Sequence[int]) -> View:
    """Return the view with the elements along these axes in reverse order."""
    base, strides = view.base, list(view.strides)
    for axis in axes:
        base += max(view.shape[axis] - 1, 0) * strides[axis]
        strides[axis] = -strides[axis]
    return View(base, view.shape, tuple(strides))


def expanded(view: View, axis: int) -> View:
    """Return the view with one more axis, of size 1."""
    place = axis_of(axis, len(view.shape) + 1)
    shape = (*view.shape[:place], 1, *view.shape[place:])
    return View(view.base, shape, (*view.strides[:place], 0, *view.strides[place:]))


def squeezed(view: View, axes: Sequence[int]) -> View:
    """Return the view without these axes. Raises InvalidArgument where one is not of size 1."""
    if any(view.shape[axis] != 1 for axis in axes):
        raise InvalidArgument(f"axes {list(axes)} of {list(view.shape)} are not all of size 1")
    kept = [axis for axis in range(len(view.shape)) if axis not in axes]
    shape = tuple(view.shape[axis] for axis in kept)
    return View(view.base, shape, tuple(view.strides[axis] for axis in kept))


def sizes_of(shape: Sequence[int] | int, size: int) -> Shape:
    """Return the shape that so many elements are to have; one size may be -1. Raises
    InvalidArgument.
    """
    given = (shape,) if isinstance(shape, int) else tuple(shape)
    sizes = [operator.index(each) for each in given]
    if sizes.count(-1) == 1:
        rest = math.prod(each for each in sizes if each != -1)
        if rest and size % rest == 0:
            sizes[sizes.index(-1)] = size // rest
    if math.prod(sizes) != size or min(sizes, default=0) < 0:
        raise InvalidArgument(f"{size} elements cannot have the shape {list(given)}")
    return tuple(sizes)


def reshaped(view: View, shape: Shape) -> View | None:
    """Return the view in another shape of as many elements, None where they must be copied."""
    if view.is_plain:
        return View(view.base, shape, c_strides(shape))
    # Axes that lie one behind the other, from the innermost on, as one: its size and stride.
    old = [each for each in zip(view.shape, view.strides, strict=True) if each[0] != 1]
    strides: list[int] = []
    left = list(reversed(shape))
    while old:
        size, stride = old.pop()
        while old and old[-1][1] == size * stride:
            size *= old.pop()[0]
        step = stride
        while size > 1:
            if not left or size % left[0]:
                return None
            strides.append(step)
            step *= left[0]
            size //= left.pop(0)
    strides += [0] * len(left)  # of size 1, all of them
    return View(view.base, shape, tuple(reversed(strides)))


# What looks at a part: a place, a slice, a new axis, or all axes that are not named.
Basic: TypeAlias = "SupportsIndex | slice | None"


def full_key(key: Sequence[object], ndim: int, taken: int) -> list[object]:
    """Return a key of indices with slices for `...` and for what it does not name; it names `taken`
    axes. Raises IndexError.
    """
    if taken > ndim:
        raise IndexError(f"{taken} indices of {ndim} dimensions")
    dots = [place for place, each in enumerate(key) if each is Ellipsis]
    if len(dots) > 1:
        raise IndexError("`...` may be given once")
    place = dots[0] if dots else len(key)
    rest: list[object] = [slice(None)] * (ndim - taken)
    return [*key[:place], *rest, *key[place + len(dots) :]]


def indexed(view: View, key: Sequence[object]) -> View:
    """Return what a key of places, slices and new axes, one for each axis, looks at. Raises
    IndexError.
    """
    base, axis = view.base, 0
    shape: list[int] = []
    strides: list[int] = []
    for each in key:
        if each is None:
            shape.append(1)
            strides.append(0)
            continue
        size, stride = view.shape[axis], view.strides[axis]
        if isinstance(each, slice):
            places = range(size)[cast("slice[int, int, int]", each)]
            base += (places.start if len(places) else 0) * stride
            shape.append(len(places))
            strides.append(places.step * stride)
        else:
            place = operator.index(cast("SupportsIndex", each))
            if not -size <= place < size:
                raise IndexError(f"index {place} of axis {axis}, which has {size}")
            base += place % size * stride
        axis += 1
    return View(base, tuple(shape), tuple(strides))
