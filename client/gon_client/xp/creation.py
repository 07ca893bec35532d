"""The standard's functions that make arrays: of numbers, of what is here, or like others."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from gon.array_ops import Arange, Cast, Eye, Linspace, Triangle
from gon.array_rules import Dtype, Shape, check_shape, element_of
from gon.errors import InvalidArgument
from gon_client.array import DeviceArray, shape_of
from gon_client.xp.array import Array, made
from gon_client.xp.default import DEFAULT
from gon_client.xp.dtypes import dtype_of
from gon_client.xp.operators import Number
from gon_client.xp.runner import Runner
from gon_client.xp.scalars import scalar
from gon_client.xp.storage import Storage
from gon_client.xp.views import View, broadcast, expanded, whole

if TYPE_CHECKING:
    from gon_client.device import Device

_ONE = View(0, (), ())
_FLOAT: Dtype = np.dtype(np.float64)
_INTEGER: Dtype = np.dtype(np.int64)
_COMPLEX: Dtype = np.dtype(np.complex128)
_INTEGER_MOST = np.iinfo(np.int64).max
_BOOL: Dtype = np.dtype(np.bool_)

Size: TypeAlias = int | Sequence[int]


class Exporting(Protocol):
    """What gives its elements by DLPack."""

    def __dlpack__(self, *, stream: None = ...) -> object: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


def _runner(device: Device | None) -> Runner:
    return (DEFAULT.device if device is None else device).arrays


def shape_checked(shape: Size) -> Shape:
    """Return a shape that an array may have. Raises InvalidArgument, LimitExceeded."""
    found = shape_of(shape)
    check_shape(found)
    return found


def asarray(
    obj: Array | DeviceArray | ArrayLike,
    /,
    *,
    dtype: DTypeLike | None = None,
    device: Device | None = None,
    copy: bool | None = None,
) -> Array:
    """Return an array of this content: numbers and sequences of them, an array of NumPy, or of
    what gives its memory, are uploaded; an array of a device, by `gon.xp` or not, is used where it
    lies unless `copy`. Of an array of the device that kernels use, too, the elements are shared.
    """
    if isinstance(obj, DeviceArray):
        obj = _shared(obj)
    wanted = None if dtype is None else dtype_of(dtype)
    if isinstance(obj, Array):
        found = obj if device is None else obj.to_device(device)
        changes = wanted is not None and wanted != found.dtype
        if changes and copy is False:
            raise ValueError("another type of elements needs a copy")
        if wanted is not None and changes:
            return found.make(Cast(element_of(wanted)), [found.operand])
        return found.copied() if copy and found is obj else found
    if copy is False:
        raise ValueError("what is here must be copied to a device")
    runner = _runner(device)
    host: NDArray[np.generic] = np.asarray(_fetched(obj))
    if wanted is None and not isinstance(obj, np.ndarray | np.generic) and host.size == 0:
        wanted = _FLOAT
    if host.dtype.hasobject:
        raise InvalidArgument("elements that are no numbers")
    return _uploaded(runner, host if wanted is None else host.astype(wanted, copy=False))


def _fetched(obj: object) -> object:
    """Return nested sequences with numbers in the place of arrays."""
    if isinstance(obj, Array):
        return obj.item()
    if isinstance(obj, list | tuple):
        return [_fetched(each) for each in cast("Sequence[object]", obj)]
    return obj


def _uploaded(runner: Runner, host: NDArray[np.generic]) -> Array:
    host = host.astype(host.dtype.newbyteorder("="), copy=False)
    element_of(host.dtype)
    check_shape(host.shape)
    storage = Storage(runner, host.dtype, host.size)
    array = runner.device.asarray(host)
    storage.put(array.buffer, array.offset)
    return Array(storage, whole(host.shape))


def _shared(array: DeviceArray) -> Array:
    element_of(array.dtype)
    storage = Storage(array.device.arrays, array.dtype, array.size)
    storage.put(array.buffer, array.offset)
    storage.shared = True
    return Array(storage, whole(array.shape))


def from_dlpack(
    x: Exporting | Array, /, *, device: Device | None = None, copy: bool | None = None
) -> Array:
    """Return an array of what gives its elements by DLPack, from the host's memory."""
    if isinstance(x, Array):
        return asarray(x, device=device, copy=copy)
    if copy is False:
        raise BufferError("what is here must be copied to a device")
    return _uploaded(_runner(device), np.from_dlpack(cast("NDArray[np.number]", x)))


def full(
    shape: Size,
    fill_value: Number,
    *,
    dtype: DTypeLike | None = None,
    device: Device | None = None,
) -> Array:
    """Return an array of one value, throughout; of its type if no other is named."""
    number = scalar(fill_value, None if dtype is None else dtype_of(dtype))
    element = element_of(number.dtype)
    return made(_runner(device), Cast(element), [(number, broadcast(_ONE, shape_checked(shape)))])


def full_like(
    x: Array, /, fill_value: Number, *, dtype: DTypeLike | None = None, device: Device | None = None
) -> Array:
    """As `full`, of an array's shape, type and device."""
    return full(
        x.shape, fill_value, dtype=x.dtype if dtype is None else dtype, device=device or x.device
    )


def zeros(shape: Size, *, dtype: DTypeLike | None = None, device: Device | None = None) -> Array:
    """Return an array of zeros."""
    sizes = shape_checked(shape)
    element = _FLOAT if dtype is None else dtype_of(dtype)
    return Array(_runner(device).zeros(element, math.prod(sizes)), whole(sizes))


def zeros_like(
    x: Array, /, *, dtype: DTypeLike | None = None, device: Device | None = None
) -> Array:
    """As `zeros`, of an array's shape, type and device."""
    return zeros(x.shape, dtype=x.dtype if dtype is None else dtype, device=device or x.device)


# New memory is zero: no tenant sees another's.
empty, empty_like = zeros, zeros_like


def ones(shape: Size, *, dtype: DTypeLike | None = None, device: Device | None = None) -> Array:
    """Return an array of ones."""
    return full(shape, 1, dtype=_FLOAT if dtype is None else dtype, device=device)


def ones_like(
    x: Array, /, *, dtype: DTypeLike | None = None, device: Device | None = None
) -> Array:
    """As `ones`, of an array's shape, type and device."""
    return full_like(x, 1, dtype=dtype, device=device)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: DTypeLike | None = None,
    device: Device | None = None,
) -> Array:
    """Return numbers from `start`, or 0, up to but without `stop`, by `step`."""
    if stop is None:
        start, stop = 0, start
    if not step:
        raise InvalidArgument("arange by steps of 0")
    whole_numbers = all(isinstance(each, int | np.integer) for each in (start, stop, step))
    element = dtype_of(dtype) if dtype is not None else _INTEGER if whole_numbers else _FLOAT
    count = max(0, math.ceil((stop - start) / step))
    if whole_numbers:
        start, stop, step = int(start), int(stop), int(step)
        count = len(range(start, stop, step))
    if not count:
        return zeros(0, dtype=element, device=device)
    if element.kind in "iu" and not whole_numbers:
        # As NumPy does it: the first two are made whole, and the others by what lies between.
        start, step = int(start), int(start + step) - int(start)
        if not step:
            return full(count, start, dtype=element, device=device)
        stop, whole_numbers = start + count * step, True
    bounds = [(_bound(each, whole_numbers), _ONE) for each in (start, stop, step)]
    return made(_runner(device), Arange(count, element_of(element)), bounds)


def _bound(given: float, is_whole: bool) -> np.generic:
    if not is_whole:
        return np.float64(given)
    return np.uint64(given) if given > _INTEGER_MOST else np.int64(given)


def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    dtype: DTypeLike | None = None,
    device: Device | None = None,
    endpoint: bool = True,
) -> Array:
    """Return so many numbers, equally far from each other, from `start` to `stop`."""
    given = _COMPLEX if isinstance(start, complex) or isinstance(stop, complex) else _FLOAT
    element = given if dtype is None else dtype_of(dtype)
    bounds = [(given.type(each), _ONE) for each in (start, stop)]
    (count,) = shape_checked((num,))
    if not count:
        return zeros(0, dtype=element, device=device)
    return made(_runner(device), Linspace(count, element_of(element), bool(endpoint)), bounds)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: DTypeLike | None = None,
    device: Device | None = None,
) -> Array:
    """Return a matrix of ones on its `k`th diagonal."""
    element = element_of(_FLOAT if dtype is None else dtype_of(dtype))
    rows, columns = shape_checked((n_rows, n_rows if n_cols is None else n_cols))
    return made(_runner(device), Eye(rows, columns, operator.index(k), element), [])


def tril(x: Array, /, *, k: int = 0) -> Array:
    """Return matrices with zeros above their `k`th diagonal."""
    return x.make(Triangle(upper=False, diagonal=operator.index(k)), [x.operand])


def triu(x: Array, /, *, k: int = 0) -> Array:
    """Return matrices with zeros below their `k`th diagonal."""
    return x.make(Triangle(upper=True, diagonal=operator.index(k)), [x.operand])


def meshgrid(*arrays: Array, indexing: str = "xy") -> list[Array]:
    """Return the coordinates of a grid, of its places along each axis."""
    if indexing not in ("xy", "ij"):
        raise InvalidArgument(f"indexing {indexing!r}; 'xy' or 'ij'")
    if len({each.dtype for each in arrays}) > 1:
        raise InvalidArgument("meshgrid of several types of elements")
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[0], order[1] = 1, 0
    shape = [0] * len(arrays)
    for axis, each in zip(order, arrays, strict=True):
        shape[axis] = each.size
    found: list[Array] = []
    for axis, each in zip(order, arrays, strict=True):
        flat = each.in_shape((each.size,))
        view = flat.view
        for more in (place for place in range(len(arrays)) if place != axis):
            view = expanded(view, more if more < axis else len(view.shape))
        found.append(flat.seen(broadcast(view, tuple(shape))).copied())
    return found
