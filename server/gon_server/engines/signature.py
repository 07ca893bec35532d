"""Signatures of engines' functions: how they are made, and from a launch's arguments to tensors.

Rules: pure; whatever comes from a launch is checked here, once for all engines.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from gon.errors import InvalidArgument, KernelArgumentError, LimitExceeded
from gon.model import BufferAt, Dim, Handle, KernelInfo, LaunchArg, Param, ParamKind
from gon_server.engines.base import Tensor, address_of
from gon_server.engines.limits import TENSOR_DIMS_MAX, TENSORS_MAX

# Elements that tensors may have: how programs name them, how NumPy does ("" where it has none), and
# their bytes.
ELEMENTS: Final[Mapping[str, tuple[str, int]]] = {
    **{
        name: (np.dtype(name).str, np.dtype(name).itemsize)
        for name in (
            "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
            "float16", "float32", "float64", "complex64", "complex128",
        )
    },
    "bfloat16": ("", 2),
    "float8_e4m3fn": ("", 1),
    "float8_e5m2": ("", 1),
}  # fmt: skip

_DIM = struct.Struct("<q")


def tensor(name: str, element: str, shape: Sequence[Dim], *, writes: bool = False) -> Param:
    """Return the parameter of a tensor: an input, or with `writes` an output; `element` is one of
    ELEMENTS.
    """
    dtype, size_bytes = ELEMENTS[element]
    return Param(name, ParamKind.BUFFER, element, dtype, size_bytes, writes, tuple(shape))


def value(name: str, element: str) -> Param:
    """Return the parameter of one number."""
    dtype, size_bytes = ELEMENTS[element]
    return Param(name, ParamKind.VALUE, element, dtype, size_bytes)


def data(name: str, size_bytes: int) -> Param:
    """Return the parameter of so many bytes, given by value (a key)."""
    return Param(name, ParamKind.VALUE, f"{size_bytes} bytes", "", size_bytes)


def function(name: str, *params: Param) -> KernelInfo:
    """Return a signature of tensors and values, and behind them one int64 for each name that
    stands in a shape and is none of the values yet, in the order in which they first stand there.

    Raises LimitExceeded for too many of them.
    """
    names = {param.name for param in params if param.kind is ParamKind.VALUE}
    dims: dict[str, None] = {}
    for param in params:
        shape = param.shape or ()
        if len(shape) > TENSOR_DIMS_MAX:
            raise LimitExceeded(f"tensor {param.name} has {len(shape)} dimensions")
        dims.update(dict.fromkeys(d for d in shape if isinstance(d, str) and d not in names))
    made = (*params, *(value(each, "int64") for each in dims))
    if len(made) > TENSORS_MAX:
        raise LimitExceeded(f"function {name} has {len(made)} parameters; {TENSORS_MAX} may be")
    return KernelInfo(name, made, 1)


def written(info: KernelInfo, args: Sequence[LaunchArg]) -> list[Handle]:
    """Return the buffers that stand for outputs; of what can be none, nothing."""
    return [
        Handle(arg.buffer if isinstance(arg, BufferAt) else arg)
        for param, arg in zip(info.params, args, strict=False)
        if param.writes and isinstance(arg, int | BufferAt)
    ]


def resolve(
    info: KernelInfo, args: Sequence[LaunchArg], memory: Callable[[Handle], memoryview]
) -> tuple[list[Tensor], dict[str, bytes]]:
    """Return the tensors and values that a launch's arguments stand for; `memory` gives the bytes
    of a buffer, in place.

    Raises KernelArgumentError for arguments that are not of the signature, InvalidArgument for
    dimensions that do not fit into the buffers, and what `memory` raises.
    """
    if len(args) != len(info.params):
        raise KernelArgumentError(
            f"function {info.name} takes {len(info.params)} arguments, {len(args)} were given"
        )
    values: dict[str, bytes] = {}
    for param, arg in zip(info.params, args, strict=True):
        if param.kind is ParamKind.VALUE:
            if not isinstance(arg, bytes) or len(arg) != param.size_bytes:
                raise _wrong(info, param, f"a value of {param.size_bytes} bytes")
            values[param.name] = arg
    tensors = [
        _tensor(info, param, arg, values, memory)
        for param, arg in zip(info.params, args, strict=True)
        if param.kind is ParamKind.BUFFER
    ]
    _check_apart(info, tensors)
    return tensors, values


def _tensor(
    info: KernelInfo,
    param: Param,
    arg: LaunchArg,
    values: Mapping[str, bytes],
    memory: Callable[[Handle], memoryview],
) -> Tensor:
    if not isinstance(arg, int | BufferAt):
        raise _wrong(info, param, "a buffer")
    buffer, offset = (arg.buffer, arg.offset_bytes) if isinstance(arg, BufferAt) else (arg, 0)
    view = memory(Handle(buffer))
    shape = tuple(_size(info, dim, values) for dim in param.shape or ())
    need = param.size_bytes
    for size in shape:
        need *= size
    if not 0 <= offset <= len(view) or need > len(view) - offset:
        raise InvalidArgument(
            f"function {info.name}: {param.name} is {param.type_name}{list(shape)}, {need} bytes; "
            f"buffer {buffer} has {len(view)}, and it begins at {offset}"
        )
    dtype = np.dtype(param.dtype or f"V{param.size_bytes}")
    try:
        flat = np.frombuffer(view, dtype, count=need // param.size_bytes, offset=offset)
        seen = flat.reshape(shape)
    except ValueError as error:
        # Of no bytes, for one size is 0, and of others that no array may have.
        raise InvalidArgument(
            f"function {info.name}: {param.name} is {param.type_name}{list(shape)}: {error}"
        ) from None
    # NumPy asks nothing of elements that it does not know.
    alignment = dtype.alignment if param.dtype else param.size_bytes
    if address_of(seen) % alignment:
        raise InvalidArgument(
            f"function {info.name}: {param.name} begins at byte {offset}; {param.type_name} needs "
            f"a multiple of {alignment}"
        )
    seen.flags.writeable = param.writes
    return seen


def _size(info: KernelInfo, dim: Dim, values: Mapping[str, bytes]) -> int:
    if isinstance(dim, int):
        return dim
    (size,) = _DIM.unpack(values[dim])
    if not 0 <= size < 1 << 62:
        raise InvalidArgument(f"function {info.name}: dimension {dim} is {size}")
    return int(size)


def _check_apart(info: KernelInfo, tensors: Sequence[Tensor]) -> None:
    """Raise InvalidArgument if an output shares memory with another tensor."""
    params = [param for param in info.params if param.kind is ParamKind.BUFFER]
    spans = sorted(
        ((start := address_of(seen)), start + seen.nbytes, index)
        for index, seen in enumerate(tensors)
        if seen.nbytes
    )
    end, widest = 0, -1
    written_end, writer = 0, -1
    for start, stop, index in spans:
        other = writer if start < written_end else -1
        if params[index].writes and start < end:
            other = widest
        if other >= 0:
            raise InvalidArgument(
                f"function {info.name}: {params[index].name} and {params[other].name} share "
                "memory; an output needs its own"
            )
        if stop > end:
            end, widest = stop, index
        if params[index].writes and stop > written_end:
            written_end, writer = stop, index


def _wrong(info: KernelInfo, param: Param, needed: str) -> KernelArgumentError:
    return KernelArgumentError(
        f"function {info.name}, parameter {param.name} ({param.type_name}): {needed} is needed"
    )
