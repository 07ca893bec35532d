"""Device arrays: a shape and a dtype over a range of a buffer."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from gon.errors import InvalidArgument
from gon.model import BufferAt, LaunchArg
from gon_client.buffer import Buffer, HostArray, ReadFuture, check_kind
from gon_client.maps import mapped
from gon_client.staying import Stays

if TYPE_CHECKING:
    from gon_client.device import Device
    from gon_client.stream import Stream


# Whole numbers may be NumPy's.
Shape: TypeAlias = SupportsIndex | Sequence[SupportsIndex]


def shape_of(shape: Shape) -> tuple[int, ...]:
    """Return `shape` as a tuple. Raises InvalidArgument for negative or fractional sizes."""
    try:
        sizes = tuple(map(operator.index, shape if isinstance(shape, Iterable) else (shape,)))
    except TypeError:
        sizes = (-1,)
    if min(sizes, default=0) < 0:
        raise InvalidArgument(f"shape {shape!r}: sizes must be whole numbers of 0 or more")
    return sizes


def element_of(dtype: DTypeLike) -> np.dtype[np.generic]:
    """Return the type of elements that a device can hold. Raises InvalidArgument for another."""
    element: np.dtype[np.generic] = np.dtype(dtype)
    if element.hasobject or not element.itemsize:
        raise InvalidArgument(f"elements of type {element} are no bytes that a device can hold")
    return element


# Types of elements whose name is known: it takes half the time that making an array does.
_TYPES_KNOWN = 256


@lru_cache(_TYPES_KNOWN)
def _name_of(dtype: np.dtype[np.generic]) -> str:
    return dtype.str


class DeviceArray(Stays):
    """A C-contiguous array in a device's memory; a view, which keeps its buffer alive.

    `buffer` and `offset` (bytes) say where it lies. Slices of the first dimension, `reshape` and
    `view` give views of the same bytes.
    """

    __slots__ = ("arg", "buffer", "dtype", "dtype_name", "offset", "shape")

    def __init__(
        self, buffer: Buffer, offset: int, shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> None:
        self.buffer = buffer
        self.offset = offset
        self.shape = shape
        self.dtype = dtype
        self.dtype_name = _name_of(dtype)
        # What a launch sends for this array, made once: launches are many.
        self.arg: LaunchArg = BufferAt(buffer.handle, offset) if offset else buffer.handle

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, on {self.device.name})"

    @property
    def device(self) -> Device:
        return self.buffer.device

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-dimensional array has no length")
        return self.shape[0]

    def __getitem__(self, key: slice | SupportsIndex) -> DeviceArray:
        """Return a view of some rows (first dimension): an index, or a slice of step 1."""
        if not self.shape:
            raise InvalidArgument("a 0-dimensional array has no rows")
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if isinstance(key, slice):
            start, stop, step = key.indices(self.shape[0])
            if step != 1:
                raise InvalidArgument(f"slices of a device array have step 1, not {step}")
            shape = (max(0, stop - start), *self.shape[1:])
            return DeviceArray(self.buffer, self.offset + start * row_bytes, shape, self.dtype)
        try:
            row = operator.index(key)
        except TypeError:
            raise InvalidArgument(
                f"rows are chosen by a whole number or a slice, not by {key!r:.40}"
            ) from None
        row += self.shape[0] if row < 0 else 0
        if not 0 <= row < self.shape[0]:
            raise IndexError(f"row {key} of {self.shape[0]}")
        return DeviceArray(self.buffer, self.offset + row * row_bytes, self.shape[1:], self.dtype)

    def reshape(self, *shape: int) -> DeviceArray:
        """Return a view of another shape with as many elements; one size may be -1."""
        sizes = list(shape)
        if sizes.count(-1) == 1:
            rest = math.prod(size for size in sizes if size != -1)
            if rest and self.size % rest == 0:
                sizes[sizes.index(-1)] = self.size // rest
        if math.prod(sizes) != self.size or min(sizes, default=0) < 0:
            raise InvalidArgument(f"{self.size} elements cannot have the shape {shape}")
        return DeviceArray(self.buffer, self.offset, tuple(sizes), self.dtype)

    def view(self, dtype: DTypeLike) -> DeviceArray:
        """Return the same bytes as elements of another type, along the last dimension."""
        new = element_of(dtype)
        last_bytes = (self.shape[-1] if self.shape else 1) * self.dtype.itemsize
        if not self.shape or last_bytes % new.itemsize:
            raise InvalidArgument(f"rows of {last_bytes} bytes cannot be seen as {new}")
        shape = (*self.shape[:-1], last_bytes // new.itemsize)
        return DeviceArray(self.buffer, self.offset, shape, new)

    def __array__(self, *_asked: object, **_named: object) -> NoReturn:
        # Else NumPy would make views of single elements, and an array of these.
        raise InvalidArgument(f"{self!r} is on its device: get() reads it as a NumPy array")

    def get(
        self,
        out: HostArray | None = None,
        *,
        stream: Stream | None = None,
        timeout_s: float | None = None,
    ) -> HostArray:
        """Return the array's content, read in the order of `stream` (the default one if not given).

        It is received straight into `out` (same shape and dtype, C-contiguous) where given. Raises
        the error of what should have written it, WaitTimeout, LeaseLost.
        """
        place = self._place(out)
        self.buffer.read_now(place, offset=self.offset, stream=stream, timeout_s=timeout_s)
        return place

    def get_async(
        self, out: HostArray | None = None, *, stream: Stream | None = None
    ) -> ReadFuture:
        """Queue a read and return its future: `.result()` or `await`."""
        place = self._place(out)
        pending = self.buffer.read(place, offset=self.offset, stream=stream)
        return ReadFuture(self.device, pending, place)

    def _place(self, out: HostArray | None) -> HostArray:
        """Return where the content is read into. Raises InvalidArgument."""
        if out is None:
            return np.empty(self.shape, self.dtype)
        check_kind(out, np.ndarray, "out")
        if out.shape != self.shape or out.dtype != self.dtype:
            raise InvalidArgument(
                f"out is {out.dtype}{list(out.shape)}, the array {self.dtype}{list(self.shape)}"
            )
        return out

    def set(self, source: HostArray, *, stream: Stream | None = None, cache: bool = False) -> None:
        """Write the content of a NumPy array of the same shape and dtype; with `cache` as
        `Device.asarray`.
        """
        check_kind(source, np.ndarray, "source")
        if source.shape != self.shape or source.dtype != self.dtype:
            raise InvalidArgument(
                f"source is {source.dtype}{list(source.shape)}, "
                f"the array {self.dtype}{list(self.shape)}"
            )
        self.buffer.copy_from(
            np.ascontiguousarray(source), offset=self.offset, stream=stream, cache=cache
        )

    def map(
        self,
        *,
        read: bool = True,
        write: bool = True,
        stream: Stream | None = None,
        timeout_s: float | None = None,
    ) -> AbstractContextManager[HostArray]:
        """Return a block's NumPy array that is this array, in the order of `stream`.

            with array.map() as host:
                host[0] += 1

        Where the device is in this process and on the host's memory, it is that memory: nothing is
        copied. Elsewhere it is read where the block begins (or, without `read`, has no promised
        content), and what was changed is written where it ends, in pieces of 4 KiB. Without `write`
        it is read-only. Nothing that is queued may touch the array meanwhile.

        The block's beginning raises as `get`; a map cannot be captured.
        """
        return mapped(self, read=read, write=write, stream=stream, timeout_s=timeout_s)

    def copy_from(
        self,
        source: DeviceArray,
        *,
        stream: Stream | None = None,
        source_stream: Stream | None = None,
    ) -> None:
        """Copy another array with as many bytes. If it is the device's own nobody waits; if it is
        another device's this is as `Buffer.copy_from` says.
        """
        check_kind(source, DeviceArray, "source")
        if source.nbytes != self.nbytes:
            raise InvalidArgument(f"source has {source.nbytes} bytes, the target {self.nbytes}")
        self.buffer.copy_from(
            source.buffer,
            offset=self.offset,
            source_offset=source.offset,
            size=self.nbytes,
            stream=stream,
            source_stream=source_stream,
        )

    def fill(self, value: float | np.generic, *, stream: Stream | None = None) -> None:
        """Set every element to `value`."""
        element = np.asarray(value, dtype=self.dtype)
        self.buffer.fill(element.tobytes(), offset=self.offset, size=self.nbytes, stream=stream)
