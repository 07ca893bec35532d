"""What each array operation does with arrays of NumPy: `compute(*operands, out=…)` writes `out`.

Rules: operands have been checked (gon.array_rules), their values not: what NumPy says of those is
its own exception. An element of bool that a buffer holds may be any byte; NumPy counts and finds
true ones in ways that then differ from each other, and would write where there is no room: what is
a mask is made true and false first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from gon.array_ops import (
    FUNCTIONS,
    AnyOperation,
    Apply,
    Arange,
    Cast,
    Cumulate,
    Draw,
    Erf,
    Eye,
    Gather,
    Join,
    Linspace,
    Moment,
    Nonzero,
    Part,
    Pick,
    Place,
    Product,
    Put,
    Reduce,
    Search,
    Select,
    Sort,
    Take,
    TakeAlong,
    Triangle,
    Unique,
    Where,
)
from gon_server.engines.array.erf import erf
from gon_server.engines.base import Tensor
from gon_server.engines.limits import PART_ELEMENTS_MAX

Mask: TypeAlias = NDArray[np.bool_]
# What is summed up; bools are as well.
Numbers: TypeAlias = NDArray[np.number]
# Takes operands, and writes `out`.
Compute: TypeAlias = Callable[..., object]


def compute_of(operation: AnyOperation) -> Compute:  # noqa: C901 - a row for each operation
    """Return what an operation does."""
    match operation:
        case Apply(function=function):
            return FUNCTIONS[function]
        case Cast():
            return _cast
        case Part(of=part):
            return partial(_part, part)
        case Where():
            return _where
        case Reduce():
            return partial(_reduce, operation)
        case Moment():
            return partial(_moment, operation)
        case Cumulate(function=function, axis=axis, element=element):
            cumulate = np.cumsum if function == "sum" else np.cumprod
            return partial(cumulate, axis=axis, dtype=np.dtype(element))
        case Product(function=function):
            return np.matmul if function == "matmul" else np.vecdot
        case Join(axis=axis):
            return partial(_join, axis)
        case Arange(count=count):
            return partial(_arange, count)
        case Linspace(count=count, endpoint=endpoint):
            return partial(_linspace, count, endpoint)
        case Eye(rows=rows, columns=columns, diagonal=diagonal):
            return partial(_made, lambda: np.eye(rows, columns, diagonal, dtype=np.bool_))
        case Triangle(upper=upper, diagonal=diagonal):
            return partial(_made, partial(np.triu if upper else np.tril, k=diagonal))
        case Take(axis=axis):
            return partial(_take, axis)
        case TakeAlong(axis=axis):
            return partial(_made, partial(np.take_along_axis, axis=axis))
        case Gather():
            return _gather
        case Sort():
            return partial(_sort, operation)
        case Search(side=side):
            return partial(_search, side)
        case Unique(part=part):
            return partial(_unique, part)
        case Nonzero():
            return _nonzero
        case Select():
            return _select
        case Place():
            return _place
        case Pick(axis=axis):
            return partial(_pick, axis)
        case Put(adds=adds, wraps=wraps):
            return partial(_put, adds, wraps)
        case Erf():
            return erf
        case Draw(function=function):
            return partial(_draw, function)


def is_elementwise(operation: AnyOperation) -> bool:
    """Return whether each element of the result is made of those at its place alone, so that parts
    of arrays may be worked on one after the other.
    """
    return isinstance(operation, Apply | Cast | Part | Where | Erf)


def _made(make: Callable[..., Tensor], *operands: Tensor, out: Tensor) -> None:
    np.copyto(out, make(*operands))


def _cast(x: Tensor, *, out: Tensor) -> None:
    np.copyto(out, x, casting="unsafe")


def _part(part: str, x: Tensor, *, out: Tensor) -> None:
    complexes = cast("NDArray[np.complexfloating]", x)
    np.copyto(out, complexes.real if part == "real" else complexes.imag)


def _where(condition: Tensor, x: Tensor, y: Tensor, *, out: Tensor) -> None:
    np.copyto(out, y)
    np.copyto(out, x, where=cast("Mask", condition))


def _reduce(operation: Reduce, x: Tensor, *, out: Tensor) -> None:
    axes, element = operation.axes, np.dtype(operation.element)
    numbers = cast("Numbers", x)
    match operation.function:
        case "argmax" | "argmin":
            find = np.argmax if operation.function == "argmax" else np.argmin
            find(x, axis=axes[0], out=cast("NDArray[np.intp]", out))
        case "count_nonzero":
            np.copyto(out, np.count_nonzero(_sound(x), axis=axes))
        case "all":
            np.all(x, axis=axes, out=out)
        case "any":
            np.any(x, axis=axes, out=out)
        case "max":
            np.max(x, axis=axes, out=out)
        case "min":
            np.min(x, axis=axes, out=out)
        case "sum":
            np.sum(numbers, axis=axes, dtype=element, out=out)
        case "prod":
            np.prod(numbers, axis=axes, dtype=element, out=out)
        case "mean":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # Where nobody says in which type, NumPy adds up float16 in float32.
                named = None if element == x.dtype else element
                np.copyto(out, np.mean(numbers, axis=axes, dtype=named))


def _moment(operation: Moment, x: Tensor, *, out: Tensor) -> None:
    find = np.var if operation.function == "var" else np.std
    with warnings.catch_warnings():
        # What has too few elements is NaN.
        warnings.simplefilter("ignore")
        find(cast("Numbers", x), axis=operation.axes, ddof=operation.correction, out=out)


def _join(axis: int, *operands: Tensor, out: Tensor) -> None:
    np.concatenate(operands, axis=axis, out=out)


def _arange(count: int, *bounds: Tensor, out: Tensor) -> None:
    start, stop, step = (each.item() for each in bounds)
    if not step or not abs((stop - start) / step) <= count + 1:
        raise ValueError(f"from {start} to {stop} by {step} are not {count} elements")
    found = np.arange(start, stop, step, dtype=out.dtype)
    if len(found) != count:
        raise ValueError(f"from {start} to {stop} by {step} are {len(found)} elements, not {count}")
    np.copyto(out, found)


def _linspace(count: int, endpoint: bool, start: Tensor, stop: Tensor, *, out: Tensor) -> None:
    found = np.linspace(
        start.item(), stop.item(), count, endpoint=endpoint, dtype=out.dtype
    )  # fmt: skip
    np.copyto(out, found)


def _take(axis: int, x: Tensor, places: Tensor, *, out: Tensor) -> None:
    np.take(x, cast("NDArray[np.intp]", places), axis=axis, out=out)


def _gather(x: Tensor, *places: Tensor, out: Tensor) -> None:
    np.copyto(out, x[cast("tuple[NDArray[np.intp], ...]", places)])


def _sort(operation: Sort, x: Tensor, *, out: Tensor) -> None:
    axis = operation.axis
    kind: Literal["stable"] | None = "stable" if operation.stable else None
    if not operation.descending:
        found = np.argsort if operation.places else np.sort
        np.copyto(out, found(x, axis=axis, kind=kind))
    elif not operation.places:
        np.copyto(out, np.flip(np.sort(x, axis=axis, kind=kind), axis))
    else:
        # In ascending order of what is turned around, equals come last first: turned again, the
        # order is descending and they are as they were.
        turned = np.argsort(np.flip(x, axis), axis=axis, kind=kind)
        np.subtract(max(0, x.shape[axis] - 1), np.flip(turned, axis), out=out)


def _search(side: Literal["left", "right"], x: Tensor, sought: Tensor, *, out: Tensor) -> None:
    np.copyto(out, np.searchsorted(x, sought, side=side))


def _unique(part: str, x: Tensor, *, out: Tensor) -> None:
    values, places, inverse, counts = np.unique(
        _sound(x), return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    match part:
        case "count":
            out[...] = values.size
        case "inverse":
            np.copyto(out, inverse.reshape(x.shape))
        case _:
            found = {"values": values, "places": places, "counts": counts}[part]
            _fill(out, found)


def _nonzero(x: Tensor, *, out: Tensor) -> None:
    for row, places in zip(out, np.nonzero(_sound(x)), strict=True):
        _fill(row, places)


def _select(x: Tensor, mask: Tensor, *, out: Tensor) -> None:
    _fill(out, x[cast("Mask", _sound(mask))])


def _place(x: Tensor, mask: Tensor, values: Tensor, *, out: Tensor) -> None:
    np.copyto(out, x)
    out[cast("Mask", _sound(mask))] = values


def _pick(axis: int, x: Tensor, places: Tensor, *, out: Tensor) -> None:
    # NumPy's own way takes the size away as often as it goes: from a place far off, for ever.
    np.take(x, _within(places, x.shape[axis]), axis=axis, out=out, mode="wrap")


def _within(places: Tensor, size: int) -> NDArray[np.intp]:
    """Return places modulo a size, whatever type of integers they are of."""
    dtype = np.uint64 if places.dtype == np.uint64 else np.int64
    return np.remainder(places, max(1, size), dtype=dtype).astype(np.intp, copy=False)


def _put(adds: bool, wraps: bool, x: Tensor, values: Tensor, *places: Tensor, out: Tensor) -> None:
    np.copyto(out, x)
    for part, at in _parts(values, places):
        indices = cast("tuple[NDArray[np.intp], ...]", at)
        if wraps:
            indices = tuple(map(_within, at, out.shape))
        if adds:
            np.add.at(cast("Numbers", out), indices, cast("Numbers", part))
        else:
            out[indices] = part


def _parts(
    values: Tensor, places: tuple[Tensor, ...]
) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
    """Return values and their places in parts, in C order: NumPy copies the places that it is
    given, and views may repeat few without end.
    """
    shape = places[0].shape
    if places[0].size <= PART_ELEMENTS_MAX:
        yield values, places
        return
    axis = next(axis for axis, size in enumerate(shape) if size > 1)
    for half in (slice(shape[axis] // 2), slice(shape[axis] // 2, None)):
        key = (*(slice(None),) * axis, half)
        yield from _parts(values[key], tuple(each[key] for each in places))


def _draw(
    function: Literal["uniform", "normal"], seed: Tensor, place: Tensor, *, out: Tensor
) -> None:
    above = int(place.item()) << 128
    generator = np.random.Generator(np.random.Philox(key=int(seed.item()), counter=above))
    draw = generator.random if function == "uniform" else generator.standard_normal
    if out.dtype == np.float32:
        draw(dtype=np.float32, out=cast("NDArray[np.float32]", out))
    else:
        draw(out=cast("NDArray[np.float64]", out))


def _fill(out: Tensor, found: Tensor) -> None:
    """Write what was found, and zeros behind it."""
    out[: len(found)] = found
    out[len(found) :] = 0


def _sound(x: Tensor) -> Tensor:
    """Return bools that are true and false, whatever their bytes are; of other elements nothing
    need be done.
    """
    if x.dtype != np.bool_:
        return x
    return np.not_equal(x.view(np.uint8), 0)
