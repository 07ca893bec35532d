"""What PyTorch's storages on the device hold: arrays of `gon.xp`, flat, of which tensors see parts.

    tensor ──shape, strides, offset──▶ Content ──▶ Array (flat, lazy) ──▶ buffer on the unit

An array is never changed for others: what is written into all of a storage gives it another array,
so that nothing is sent and what was noted before sees what was there before. Copies of whole
storages share an array until one of them is written.

Rules: a storage's array has elements of one type, that of the tensor that looked at it last; bytes
that came from the host without one (`torch.load`) wait here until a tensor asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gon.array_ops import Arange, Cast, Part
from gon.array_rules import Dtype, Shape, element_of
from gon_client.device import Device
from gon_client.xp.array import Array, apply
from gon_client.xp.creation import asarray
from gon_client.xp.default import DEFAULT
from gon_client.xp.storage import Storage
from gon_client.xp.views import View, broadcast, whole
from gon_shim.torch import edge
from gon_shim.torch.dtypes import numpy_of, torch_of
from gon_shim.torch.errors import Mixed
from gon_shim.torch.narrow import NARROW
from gon_shim.torch.noting import noted_now

Octets: TypeAlias = NDArray[np.uint8]
_ONE = View(0, (), ())


def device() -> Device:
    """Return the unit that tensors are on: `gon.xp`'s. Raises BadHandle where there is none."""
    return DEFAULT.device


class Content:
    """What a storage holds: an array, or bytes that no tensor has looked at yet, or nothing that
    was written.
    """

    __slots__ = ("__weakref__", "array", "bounds", "octets", "size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.array: Array | None = None
        self.octets: Octets | None = None
        # The least and the largest of whole numbers that came from the host and are as they came.
        self.bounds: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"Content({self.size_bytes} bytes, {self.array!r})"

    def copied(self, memo: object = None) -> torch.UntypedStorage:
        """Return another storage of the same content, as `copy.deepcopy` asks for it."""
        del memo  # it finds a storage again by itself
        made = new_storage(self.size_bytes)
        content = content_of(made)
        content.array, content.octets = shared(self.array), self.octets
        content.bounds = self.bounds
        return made

    def bytes_here(self) -> Octets:
        """Return the content, waiting for it."""
        if self.octets is not None:
            return self.octets
        if self.array is None:
            return np.zeros(self.size_bytes, np.uint8)
        return self.array.numpy().view(np.uint8)


def new_storage(size_bytes: int) -> torch.UntypedStorage:
    """Return a storage that nothing has been written to."""
    content = Content(size_bytes)
    return edge.new_storage(size_bytes, content, content.copied)


def content_of(storage: torch.UntypedStorage) -> Content:
    """Return what a storage of the device holds."""
    return cast("Content", edge.attached(storage))


def held(tensor: Tensor) -> Content:
    """Return what a tensor's storage holds. Raises Mixed for a tensor that is elsewhere."""
    content = edge.attached(tensor.untyped_storage())
    if content is None:
        raise Mixed(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"gon:0 and {tensor.device}!"
        )
    return cast("Content", content)


def shared(array: Array | None) -> Array | None:
    """Return an array for one more storage: one that is written makes its own."""
    return None if array is None else Array(array.storage, array.view)


def array_of(tensor: Tensor) -> Array:
    """Return the elements that a tensor sees, or what stands for them while a call is noted."""
    noted = noted_now()
    if noted is not None:
        return noted.array_of(tensor)
    return _as_told(tensor, _seen(tensor))


def _seen(tensor: Tensor) -> Array:
    """Return a storage's elements as a tensor sees them."""
    content = held(tensor)
    array = content.array
    if array is None or array.dtype != numpy_of(tensor.dtype):
        array = _first(content, numpy_of(tensor.dtype))
    view = View(int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride()))
    return Array(array.storage, view)


def _as_told(tensor: Tensor, array: Array) -> Array:
    """Return elements with the signs that they are to be read, or written, with."""
    if tensor.is_conj():
        array = apply("conj", array)
    return apply("negative", array) if tensor.is_neg() else array


def _first(content: Content, dtype: Dtype) -> Array:
    """Return the array of a storage for the first tensor that wants elements."""
    if content.array is not None:
        return _as_others(content, content.array, dtype)
    count = content.size_bytes // dtype.itemsize
    if content.octets is not None:
        made = asarray(content.octets.view(dtype), device=device())
        content.octets = None
    else:
        made = Array(device().arrays.zeros(dtype, count), whole((count,)))
    content.array = made
    return made


def _as_others(content: Content, array: Array, dtype: Dtype) -> Array:
    """Return a storage's elements as others of a type: the same bytes, in the same buffer. What was
    noted of them is posted before somebody writes them as what they are now.
    """
    if array.storage.arrays > 1:
        array = array.copied()
    source = array.storage
    source.runner.evaluate([source, *source.waiting()])
    source.runner.settle()
    buffer = source.part(0, source.size).buffer
    made = Storage(source.runner, dtype, content.size_bytes // dtype.itemsize)
    made.put(buffer, source.offset_bytes)
    content.array = Array(made, whole((made.size,)))
    content.bounds = None  # those of what the elements were
    return content.array


def tensor_of(array: Array) -> Tensor:
    """Return a new tensor of an array that nobody else writes to."""
    if not is_all(array):
        array = array.copied()
    source, shape = array.storage, array.shape
    return tensor_from(source, torch_of(source.dtype), shape, whole(shape).strides)


def tensor_from(
    source: Storage, dtype: torch.dtype, shape: Sequence[int], strides: Sequence[int]
) -> Tensor:
    """Return a new tensor of all elements of a storage, in C order."""
    size = source.size
    content = Content(size * source.dtype.itemsize)
    content.array = Array(source, whole((size,)))
    storage = edge.new_storage(content.size_bytes, content, content.copied)
    return edge.tensor_on(storage, dtype, shape, strides)


def empty(shape: Sequence[int], strides: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a tensor that nothing has been written to. Raises where there is no device."""
    device()
    size = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    size = size if all(shape) else 0
    if dtype is not NARROW:
        numpy_of(dtype)
    storage = new_storage(size * dtype.itemsize)
    return edge.tensor_on(storage, dtype, shape, strides)


def counted(count: int, beside: Array) -> Array:
    """Return the whole numbers below one, on the device of an array."""
    bounds = [(np.int64(each), _ONE) for each in (0, count, 1)]
    return beside.make(Arange(count, "int64"), bounds)


def filled(number: np.generic, shape: Shape, beside: Array) -> Array:
    """Return an array of one number, on the device of another."""
    operand = (number, broadcast(_ONE, shape))
    return beside.make(Cast(element_of(number.dtype)), [operand])


def cast_to(array: Array, dtype: Dtype) -> Array:
    """Return an array with elements of a type: itself if it has."""
    if array.dtype == dtype:
        return array
    if array.dtype.kind == "c" and dtype.kind != "c":
        # As PyTorch does it: what is not 0 is true, and imaginary parts are left behind.
        if dtype.kind == "b":
            return apply("not_equal", array, array.dtype.type(0))
        array = array.make(Part("real"), [array.operand])
        return cast_to(array, dtype)
    return array.make(Cast(element_of(dtype)), [array.operand])


def write(tensor: Tensor, array: Array) -> None:
    """Write an array of a tensor's shape into the elements that it sees."""
    dtype = numpy_of(tensor.dtype)
    array = _as_told(tensor, cast_to(array, dtype))
    content = held(tensor)
    count = math.prod(array.shape)
    if not count:
        return
    content.bounds = None
    if is_all_of_storage(tensor):
        source = array if is_all(array) else array.copied()
        content.array = source.seen(whole((count,)))
        content.octets = None
        return
    seen = _seen(tensor)
    if seen.view.repeats:
        raise Mixed(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )
    base = content.array
    assert base is not None
    # Looked at by `base` and `seen`: if by others as well, they keep what is there.
    if base.storage.arrays > 2:
        content.array = base.copied()
        seen = Array(content.array.storage, seen.view)
    seen.assign(array.operand)


def is_all_of_storage(tensor: Tensor) -> bool:
    """Return whether a tensor sees all elements of its storage in order."""
    return (
        tensor.is_contiguous() and tensor.numel() * tensor.element_size() == held(tensor).size_bytes
    )


def is_all(array: Array) -> bool:
    """Return whether an array sees all of its elements in order."""
    view = array.view
    is_plain = view is whole(view.shape) or (view.is_plain and not view.base)
    return is_plain and view.size == array.storage.size
