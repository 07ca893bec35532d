"""How tensors are made, seen, sent and fetched.

Rules: only what reads elements waits: a copy to elsewhere, `item`. What only looks differently at a
storage is done by PyTorch's own code, of numbers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor

from gon.array_ops import Arange, Cast, Eye, Linspace
from gon.array_rules import element_of
from gon_client.xp.array import Array
from gon_client.xp.creation import asarray, zeros
from gon_client.xp.operators import Number
from gon_client.xp.views import View, broadcast, whole
from gon_shim.torch import edge
from gon_shim.torch.dtypes import numpy_of
from gon_shim.torch.errors import Mixed
from gon_shim.torch.kernels import LOOKS, direct, kernel
from gon_shim.torch.narrow import NARROW, bits, rounded, widened
from gon_shim.torch.storage import (
    array_of,
    cast_to,
    content_of,
    device,
    empty,
    held,
    is_all_of_storage,
    new_storage,
    write,
)

# Whole numbers of an upload are looked at for their bounds up to so many.
_BOUNDED: int = 1 << 16
_ONE = View(0, (), ())


def _check(device: torch.device | None) -> None:
    if device is not None and device.index:
        raise Mixed(f"invalid device ordinal: there is no {device}, only gon:0")


@direct("empty.memory_format")
def empty_by_format(
    size: Sequence[int],
    *,
    dtype: torch.dtype | None = None,
    layout: object = None,
    device: torch.device | None = None,
    pin_memory: bool | None = None,
    memory_format: torch.memory_format | None = None,
) -> Tensor:
    del layout, pin_memory
    _check(device)
    strides: Sequence[int] = edge.c_strides(size)
    if memory_format in (torch.channels_last, torch.channels_last_3d):
        order = (0, *range(2, len(size)), 1)
        laid = edge.c_strides([size[axis] for axis in order])
        strides = [laid[order.index(axis)] for axis in range(len(size))]
    return empty(size, strides, dtype or torch.get_default_dtype())


@direct("empty_strided")
def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: torch.dtype | None = None,
    layout: object = None,
    device: torch.device | None = None,
    pin_memory: bool | None = None,
) -> Tensor:
    del layout, pin_memory
    _check(device)
    return empty(size, stride, dtype or torch.get_default_dtype())


@direct("resize_")
def resize_(
    self: Tensor, size: Sequence[int], *, memory_format: torch.memory_format | None = None
) -> Tensor:
    """Give a tensor another shape; one that needs more room has what it had at its beginning.
    Raises Mixed where others look at its storage: they would not see the one that has room.
    """
    del memory_format
    if tuple(size) == tuple(self.shape):
        return self
    offset = int(self.storage_offset())
    needed = (offset + math.prod(size)) * self.element_size()
    storage = self.untyped_storage()
    if needed > storage.nbytes():
        if edge.is_seen_by_others(storage):
            raise Mixed("resize_: other tensors look at this storage, which cannot grow: clone()")
        before = held(self).array
        storage = new_storage(needed)
        if before is not None and before.size:
            more = needed // self.element_size()
            grown = zeros(more, dtype=before.dtype, device=device())
            grown[: before.size] = before
            content_of(storage).array = grown
    _SET(self, storage, offset, size, edge.c_strides(size))
    return self


# Elements from here, there, and within ------
@direct("_copy_from")
def copy_from(self: Tensor, dst: Tensor, non_blocking: bool = False) -> Tensor:
    del non_blocking
    if NARROW in (self.dtype, dst.dtype):
        _copy_narrow(self, dst)
    elif dst.device.type == edge.NAME and self.device.type == edge.NAME:
        x = array_of(self)
        write(dst, x.seen(broadcast(x.view, tuple(dst.shape))))
    elif dst.device.type == edge.NAME:
        _send(self, dst)
    else:
        dst.copy_(edge.tensor_here(_fetched(self)))
    return dst


def _copy_narrow(source: Tensor, target: Tensor) -> None:
    if source.dtype is target.dtype:
        copy_from(bits(source), bits(target))
    elif target.dtype is NARROW:
        copy_from(bits(rounded(source)), bits(target))
    else:
        copy_from(widened(source), target)


@direct("_copy_from_and_resize")
def copy_from_and_resize(self: Tensor, dst: Tensor) -> Tensor:
    if dst.shape != self.shape:
        dst.resize_(self.shape)
    return copy_from(self, dst)


def _send(source: Tensor, target: Tensor) -> None:
    if source.device.type != "cpu":
        raise Mixed(f"tensors of {source.device} do not go to gon: through the processor, .cpu()")
    content = held(target)
    host = source.detach().resolve_conj().resolve_neg().to(target.dtype).contiguous().numpy()
    if content.array is None and host.dtype == np.uint8 and _is_whole(target, host.shape):
        # Bytes of a storage that a tensor of whatever type will look at.
        content.octets = host.reshape(-1).copy()
        return
    sent = asarray(host, device=device())
    write(target, sent if sent.shape == tuple(target.shape) else _spread(sent, target))
    if host.dtype.kind in "iu" and 0 < host.size <= _BOUNDED and _is_whole(target, host.shape):
        content.bounds = (int(host.min()), int(host.max()))


def _spread(x: Array, target: Tensor) -> Array:
    return x.seen(broadcast(x.view, tuple(target.shape)))


def _is_whole(tensor: Tensor, shape: Sequence[int]) -> bool:
    """Return whether a tensor is all of its storage, as it lies there, and of this shape."""
    return tuple(tensor.shape) == tuple(shape) and is_all_of_storage(tensor)


def _fetched(tensor: Tensor) -> np.typing.NDArray[np.generic]:
    if not tensor.numel():
        return np.empty(tuple(tensor.shape), numpy_of(tensor.dtype))
    content = held(tensor)
    array = content.array
    if tensor.dtype == torch.uint8 and (array is None or array.dtype != np.uint8):
        # The bytes of a storage, as they are saved.
        seen = content.bytes_here()[int(tensor.storage_offset()) :]
        shape, strides = tuple(tensor.shape), tuple(tensor.stride())
        return np.lib.stride_tricks.as_strided(seen, shape, strides).copy()
    return array_of(tensor).numpy()


@direct("_local_scalar_dense")
def item(self: Tensor) -> Number:
    return array_of(self).item()


@kernel("clone")
def clone(self: Tensor, *, memory_format: object = None) -> Array | Tensor:
    order = _order(self, memory_format)
    if order is None:
        return array_of(self)
    return self.permute(order).contiguous().clone().permute(_back(order))


def _order(tensor: Tensor, memory_format: object) -> list[int] | None:
    """Return the dimensions of a copy as they are to lie, the last one densely; None for C order,
    which what does not lie densely itself is copied in.
    """
    ndim = tensor.dim()
    if memory_format in (torch.channels_last, torch.channels_last_3d):
        return [0, *range(2, ndim), 1]
    if memory_format is torch.contiguous_format or tensor.is_contiguous():
        return None
    strides = tensor.stride()
    order = sorted(range(ndim), key=lambda axis: -strides[axis])
    return order if tensor.permute(order).is_contiguous() else None


def _back(order: Sequence[int]) -> list[int]:
    return [order.index(axis) for axis in range(len(order))]


@direct("_to_copy")
def to_copy(
    self: Tensor,
    *,
    dtype: torch.dtype | None = None,
    layout: object = None,
    device: torch.device | None = None,
    pin_memory: bool | None = None,
    non_blocking: bool = False,
    memory_format: object = None,
) -> Tensor:
    """Return a copy of another type, elsewhere, or both."""
    del layout, pin_memory, non_blocking
    wanted, where = dtype or self.dtype, device or self.device
    order = _order(self, memory_format)
    if order is not None:
        plain = self.permute(order).contiguous()
        return to_copy(plain, dtype=wanted, device=where).permute(_back(order))
    if NARROW in (self.dtype, wanted):
        return _narrow_copy(self, wanted, where)
    if where.type == self.device.type == edge.NAME:
        made = torch.empty(self.shape, dtype=wanted, device=where)
        write(made, cast_to(array_of(self), numpy_of(wanted)))
        return made
    if where.type == edge.NAME:
        made = torch.empty(self.shape, dtype=wanted, device=where)
        _send(self, made)
        return made
    here = edge.tensor_here(_fetched(self))
    return here.to(device=where, dtype=wanted)


def _narrow_copy(source: Tensor, dtype: torch.dtype, where: torch.device) -> Tensor:
    """Return a copy of what has, or is to have, narrow elements: these travel as they are."""
    if dtype is not NARROW:
        if where.type == edge.NAME or source.device.type != edge.NAME:
            return to_copy(widened(source), dtype=dtype, device=where)
        return _narrow_copy(source, NARROW, where).to(dtype)
    laid = bits(source) if source.dtype is NARROW else bits(rounded(source))
    return to_copy(laid, dtype=torch.uint16, device=where).view(NARROW)


# What is made of numbers ------
@direct("fill_.Scalar", "fill_.Tensor")
def fill_(self: Tensor, value: Number | Tensor) -> Tensor:
    if isinstance(value, Tensor):
        if value.device.type == edge.NAME:
            return copy_from(value, self)
        value = value.item()
    if self.dtype is NARROW:
        fill_(bits(self), int(bits(torch.full((), value, dtype=NARROW)).item()))
        return self
    for axis, stride in enumerate(self.stride()):
        if not stride and self.shape[axis] > 1:
            # Of elements that are seen more than once, each once.
            fill_(self.narrow(axis, 0, 1), value)
            return self
    # Told apart as 0.0 and -0.0 are.
    number = _number_of(value, repr(value), self.dtype)
    write(self, _throughout(number, tuple(self.shape)))
    return self


@lru_cache(maxsize=256)
def _number_of(value: Number, told: str, dtype: torch.dtype) -> np.generic:
    """Return a number by PyTorch's own code: of those that a type cannot have, it refuses what is
    beyond it.
    """
    del told
    return cast("np.generic", torch.full((), value, dtype=dtype).numpy()[()])


def _throughout(number: np.generic, shape: tuple[int, ...]) -> Array:
    operand = (number, broadcast(_ONE, shape))
    storage, _ = device().arrays.make(Cast(element_of(number.dtype)), [operand])
    return Array(storage, whole(shape))


@direct("_efficientzerotensor")
def zeros_of(
    size: Sequence[int],
    *,
    dtype: torch.dtype | None = None,
    layout: object = None,
    device: torch.device | None = None,
    pin_memory: bool | None = None,
) -> Tensor:
    """Return zeros, which cost nothing before somebody writes them."""
    del layout, pin_memory
    return empty_by_format(size, dtype=dtype, device=device)


@direct("zero_")
def zero_(self: Tensor) -> Tensor:
    return fill_(self, 0)


@direct("arange.start_out")
def arange_out(start: float, end: float, step: float = 1, *, out: Tensor) -> Tensor:
    if not step or (end - start) / step < 0:
        raise Mixed("upper bound and lower bound inconsistent with step sign")
    count = math.ceil((end - start) / step)
    if out.numel() != count:
        out.resize_((count,))
    if count:
        dtype = np.float64 if out.dtype.is_floating_point else np.int64
        bounds = [(dtype(each), _ONE) for each in (start, start + count * step, step)]
        storage, shape = device().arrays.make(Arange(count, element_of(np.dtype(dtype))), bounds)
        write(out, Array(storage, View(0, shape, (1,))))
    return out


@direct("linspace.out")
def linspace_out(start: float, end: float, steps: int, *, out: Tensor) -> Tensor:
    if out.numel() != steps:
        out.resize_((steps,))
    if steps:
        bounds = [(np.float64(each), _ONE) for each in (start, end)]
        storage, shape = device().arrays.make(Linspace(steps, "float64", endpoint=True), bounds)
        write(out, Array(storage, View(0, shape, (1,))))
    return out


@direct("eye.m_out")
def eye_out(n: int, m: int, *, out: Tensor) -> Tensor:
    out.resize_((n, m))
    storage, shape = device().arrays.make(Eye(n, m, 0, element_of(numpy_of(out.dtype))), [])
    write(out, Array(storage, View(0, shape, (m, 1))))
    return out


@direct("eye.out")
def eye_square_out(n: int, *, out: Tensor) -> Tensor:
    return eye_out(n, n, out=out)


# What changes only how a storage is seen ------
for _name in (
    "as_strided", "set_.source_Storage", "set_.source_Storage_storage_offset", "set_.source_Tensor",
    "unfold", "view", "view_as_complex", "view_as_real", "_reshape_alias", "is_set_to",
):  # fmt: skip
    LOOKS[_name] = edge.by_numbers(edge.overload(_name))
_SET = LOOKS["set_.source_Storage_storage_offset"]
