"""Windows that slide over the last dimensions of arrays: views, of as many copies as are needed.

x[batch, channels, *sizes] ──pad──▶ view[batch, channels, *places, *offsets in a window]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gon.array_ops import Join
from gon_client.xp.array import Array
from gon_client.xp.storage import Operand
from gon_client.xp.views import View, broadcast, expanded, permuted
from gon_shim.torch.indexing import padded

_ONE = View(0, (), ())


class Windows(NamedTuple):
    """How windows slide: a number for each of the last dimensions."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """How many elements a window reaches over."""
        return tuple(
            dilation * (size - 1) + 1
            for size, dilation in zip(self.size, self.dilation, strict=True)
        )


def spread(given: Sequence[int], count: int) -> tuple[int, ...]:
    """Return a number for each of so many dimensions, of one for all or one for each."""
    found = tuple(given)
    return found * count if len(found) == 1 else found


def padded_all(x: Array, before: Sequence[int], behind: Sequence[int], value: np.generic) -> Array:
    """Return an array with its last dimensions padded, or cut where a number is negative."""
    first = x.ndim - len(before)
    for place, (low, high) in enumerate(zip(before, behind, strict=True)):
        x = padded(x, first + place, low, high, value)
    return x


def windowed(x: Array, windows: Windows, *, ceil: bool = False, value: np.generic) -> Array:
    """Return all windows of an array, padded with a value: its last dimensions are the places of
    windows, behind them the offsets within.
    """
    count = len(windows.size)
    behind = list(windows.padding)
    places: list[int] = []
    for axis in range(count):
        length = x.shape[x.ndim - count + axis]
        room = length + 2 * windows.padding[axis] - windows.reach[axis]
        stride = windows.stride[axis]
        number = (-(-room // stride) if ceil else room // stride) + 1
        # No window begins in the padding behind.
        if ceil and (number - 1) * stride >= length + windows.padding[axis]:
            number -= 1
        places.append(number)
        behind[axis] += max(0, (number - 1) * stride - room)
    x = padded_all(x, windows.padding, behind, value)
    view = x.view
    first = len(view.shape) - count
    steps = view.strides[first:]
    return x.seen(
        View(
            view.base,
            (*view.shape[:first], *places, *windows.size),
            (
                *view.strides[:first],
                *[step * stride for step, stride in zip(steps, windows.stride, strict=True)],
                *[step * dilation for step, dilation in zip(steps, windows.dilation, strict=True)],
            ),
        )
    )


def widened(x: Array, steps: Sequence[int]) -> Array:
    """Return an array with zeros between its elements, so that each is `steps` from the next."""
    first = x.ndim - len(steps)
    for place, step in enumerate(steps):
        if step == 1:
            continue
        axis = first + place
        apart = x.seen(expanded(x.view, axis + 1))
        shape = (*x.shape[: axis + 1], step - 1, *x.shape[axis + 1 :])
        zeros: Operand = (x.dtype.type(0), broadcast(_ONE, shape))
        joined = apart.make(Join(axis + 1), [apart.operand, zeros])
        size = x.shape[axis] * step
        x = joined.in_shape((*x.shape[:axis], size, *x.shape[axis + 1 :]))
        x = padded(x, axis, 0, -(step - 1), x.dtype.type(0)) if size else x
    return x


def moved(x: Array, order: Sequence[int]) -> Array:
    """Return an array with its axes in another order."""
    return x.seen(permuted(x.view, tuple(order)))
