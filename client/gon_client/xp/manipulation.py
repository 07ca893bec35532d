"""The standard's functions that look at arrays differently, or put them together."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from gon.array_ops import Cast, Join, Take
from gon.array_rules import check_shape, element_of
from gon.errors import InvalidArgument
from gon_client.xp.array import Array, runner_of
from gon_client.xp.creation import shape_checked
from gon_client.xp.dtypes import dtype_of, result_type
from gon_client.xp.storage import Storage
from gon_client.xp.views import (
    Axes,
    axes_of,
    axis_of,
    broadcast,
    broadcast_shape,
    expanded,
    flipped,
    indexed,
    permuted,
    reshaped,
    sizes_of,
    squeezed,
    whole,
)

# Arrays that one step joins: what a program takes is limited, so more are joined in groups.
_JOINED = 32


def astype(x: Array, dtype: DTypeLike, /, *, copy: bool = True, device: object = None) -> Array:
    """Return the elements as others of a type."""
    wanted = dtype_of(dtype)
    if device is not None and device is not x.device:
        raise InvalidArgument("astype keeps the device: x.to_device(device)")
    if wanted == x.dtype and not copy:
        return x
    return x.make(Cast(element_of(wanted)), [x.operand])


def broadcast_arrays(*arrays: Array) -> list[Array]:
    """Return the arrays as they are seen in one shape."""
    shape = broadcast_shape(*[each.shape for each in arrays])
    return [each.seen(broadcast(each.view, shape)) for each in arrays]


def broadcast_to(x: Array, /, shape: Sequence[int]) -> Array:
    """Return the array as it is seen in a shape."""
    return x.seen(broadcast(x.view, shape_checked(shape)))


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """Return the arrays one behind the other along an axis; None joins all their elements."""
    parts = list(arrays)
    runner_of(*parts)
    if axis is None:
        parts, axis = [each.in_shape((each.size,)) for each in parts], 0
    along = axis_of(axis, parts[0].ndim)
    dtype = result_type(*parts)
    parts = [astype(each, dtype, copy=False) for each in parts]
    while len(parts) > _JOINED:
        groups = [parts[begin : begin + _JOINED] for begin in range(0, len(parts), _JOINED)]
        parts = [_joined(group, along) for group in groups]
    return _joined(parts, along)


def _joined(parts: Sequence[Array], axis: int) -> Array:
    return parts[0].make(Join(axis), [each.operand for each in parts])


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """Return the arrays, all of one shape, along a new axis."""
    parts = list(arrays)
    runner_of(*parts)
    if any(each.shape != parts[0].shape for each in parts):
        raise InvalidArgument("stack of arrays of several shapes")
    place = axis_of(axis, parts[0].ndim + 1)
    return concat([expand_dims(each, axis=place) for each in parts], axis=place)


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """Return the parts of an array along an axis."""
    along = axis_of(axis, x.ndim)
    moved = moveaxis(x, along, 0)
    return tuple(moved)


def expand_dims(x: Array, /, axis: int = 0) -> Array:
    """Return the array with a new axis, of size 1."""
    try:
        view = expanded(x.view, axis)
    except InvalidArgument as error:
        raise IndexError(error.message) from None
    check_shape(view.shape)
    return x.seen(view)


def squeeze(x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """Return the array without axes of size 1."""
    return x.seen(squeezed(x.view, axes_of(axis, x.ndim)))


def flip(x: Array, /, *, axis: Axes = None) -> Array:
    """Return the array with its elements in reverse order along axes."""
    return x.seen(flipped(x.view, axes_of(axis, x.ndim)))


def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Array:
    """Return the array with its axes in another order."""
    return x.seen(permuted(x.view, axes))


def matrix_transpose(x: Array, /) -> Array:
    """Return the array with each of its matrices transposed."""
    return x.mT


def moveaxis(
    x: Array, source: int | tuple[int, ...], destination: int | tuple[int, ...], /
) -> Array:
    """Return the array with axes moved to other places; the others keep their order."""
    begins, ends = axes_of(source, x.ndim), axes_of(destination, x.ndim)
    if len(begins) != len(ends):
        raise InvalidArgument(f"axes {source} moved to {destination}")
    order = [axis for axis in range(x.ndim) if axis not in begins]
    for end, begin in sorted(zip(ends, begins, strict=True)):
        order.insert(end, begin)
    return x.seen(permuted(x.view, order))


def reshape(x: Array, /, shape: Sequence[int], *, copy: bool | None = None) -> Array:
    """Return the elements in another shape: the same where they can be seen so, unless `copy`."""
    sizes = sizes_of(shape, x.size)
    if copy:
        x = x.copied()
    if copy is False and reshaped(x.view, sizes) is None:
        raise ValueError("elements that do not lie one behind the other must be copied")
    return x.in_shape(sizes)


def roll(x: Array, /, shift: int | tuple[int, ...], *, axis: Axes = None) -> Array:
    """Return the array with its elements moved along axes; what leaves one end enters the other."""
    if axis is None:
        if isinstance(shift, Sequence):
            raise InvalidArgument("several shifts need as many axes")
        return roll(x.in_shape((x.size,)), shift, axis=0).in_shape(x.shape)
    axes = axis if isinstance(axis, Sequence) else (axis,)
    shifts = shift if isinstance(shift, Sequence) else (shift,) * len(axes)
    shifts = tuple(operator.index(by) for by in shifts)
    if len(axes) == 1:
        axes = tuple(axes) * len(shifts)
    if len(shifts) != len(axes):
        raise InvalidArgument(f"shifts {shift} along axes {axis}")
    found = x
    for along, by in zip(axes, shifts, strict=True):
        place = axis_of(along, x.ndim)
        size = x.shape[place]
        if not size or not by % size:
            continue
        cut = size - by % size
        rest: list[object] = [slice(None)] * place
        behind = [slice(None)] * (x.ndim - place - 1)
        parts = [
            found.seen(indexed(found.view, [*rest, part, *behind]))
            for part in (slice(cut, None), slice(cut))
        ]
        found = concat(parts, axis=place)
    return x.copied() if found is x else found


def repeat(x: Array, repeats: int | Array, /, *, axis: int | None = None) -> Array:
    """Return the array with each element along an axis repeated; counts in an array are waited
    for.
    """
    if axis is None:
        x, axis = x.in_shape((x.size,)), 0
    along = axis_of(axis, x.ndim)
    size = x.shape[along]
    if isinstance(repeats, Array):
        counts = np.broadcast_to(repeats.numpy(), (size,))
        places = np.repeat(np.arange(size), counts.astype(np.int64))
        there = Storage(x.storage.runner, places.dtype, places.size)
        there.put(x.device.asarray(places).buffer)
        return x.make(Take(along), [x.operand, (there, whole(places.shape))])
    (times,) = shape_checked((repeats,))
    view = expanded(x.view, along + 1)
    shape = (*x.shape[: along + 1], times, *x.shape[along + 1 :])
    return x.seen(broadcast(view, shape)).in_shape(
        (*x.shape[:along], size * times, *x.shape[along + 1 :])
    )


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    """Return the array, side by side with itself, so many times along each axis."""
    given = shape_checked(repetitions)
    ndim = max(x.ndim, len(given))
    times = (1,) * (ndim - len(given)) + given
    shape = (1,) * (ndim - x.ndim) + x.shape
    view = broadcast(x.view, shape)
    for axis in range(ndim):
        view = expanded(view, 2 * axis)
    wide = [size for pair in zip(times, shape, strict=True) for size in pair]
    seen = x.seen(broadcast(view, tuple(wide)))
    made = seen.in_shape(tuple(a * b for a, b in zip(times, shape, strict=True)))
    return made.copied() if made.storage is x.storage else made
