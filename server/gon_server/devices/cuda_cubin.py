"""What machine code for CUDA devices ("cubin", an ELF file) says of itself: kernels and variables
by name; and, once loaded, the sizes of a kernel's parameters, which only the driver tells.

Rules: the file is a tenant's: every offset is checked before it is followed. CuPy has no binding
for `cuFuncGetParamInfo` (CUDA 12.4), so libcuda is asked directly.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, TypeAlias

from gon.errors import CompileError, Unsupported
from gon.limits import KERNEL_ARGS_MAX, KERNELS_MAX, NAME_BYTES_MAX
from gon.model import GlobalInfo, Param, ParamKind

_MAGIC: Final = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_MACHINE_CUDA: Final = 190
_HEADER: Final = struct.Struct("<16xHHIQQQIHHHHHH")
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_SYMBOL: Final = struct.Struct("<IBBHQQ")
_SYMBOLS: Final = 2  # the type of the section with symbols
_SYMBOLS_MAX: Final = 4 * KERNELS_MAX
_OBJECT: Final = 1
_FUNCTION: Final = 2
_ENTRY: Final = 0x10  # set in a symbol's `other`: a kernel, not a device function
_POINTER_BYTES: Final = 8
_END_OF_PARAMS: Final = 1  # CUDA_ERROR_INVALID_VALUE

# Gives the size of a loaded function's parameter by its index, or None behind the last.
ParamSize: TypeAlias = Callable[[int, int], int | None]


def read_cubin(code: bytes) -> tuple[tuple[str, ...], tuple[GlobalInfo, ...]]:
    """Return the names of kernels and the variables. Raises CompileError for what is no cubin."""
    kernels: list[str] = []
    variables: list[GlobalInfo] = []
    try:
        # Sections of a spoiled file may all be the same one.
        for name, info, other, section, size in islice(_symbols(code), _SYMBOLS_MAX):
            if not name or section == 0:
                continue
            if info & 15 == _FUNCTION and other & _ENTRY:
                kernels.append(name)
            elif info & 15 == _OBJECT and info >> 4 and size and not name.startswith(("$", ".")):
                variables.append(GlobalInfo(name, f"{size} bytes", "", size))
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise CompileError("the module is no cubin", log=f"it is cut short: {error}") from error
    if not kernels and not variables:
        raise CompileError("the module is no cubin", log="it has no kernels and no variables")
    if len(kernels) + len(variables) > KERNELS_MAX:
        raise CompileError("the module is too large", log=f"more than {KERNELS_MAX} symbols")
    return tuple(kernels), tuple(variables)


def _symbols(code: bytes) -> Iterator[tuple[str, int, int, int, int]]:
    if not code.startswith(_MAGIC):
        raise CompileError("the module is no cubin", log="it is no 64-bit ELF file")
    header = _HEADER.unpack_from(code)
    machine, sections_at, count = header[1], header[5], header[11]
    if machine != _MACHINE_CUDA:
        raise CompileError("the module is no cubin", log=f"its machine is {machine}, not CUDA")
    sections: list[tuple[int, ...]] = [
        _SECTION.unpack_from(code, sections_at + number * _SECTION.size) for number in range(count)
    ]
    for section in sections:
        if section[1] != _SYMBOLS:
            continue
        names = sections[section[6]]
        table = code[names[4] : names[4] + names[5]]
        for place in range(section[4], section[4] + section[5], _SYMBOL.size):
            name, info, other, where, _value, size = _SYMBOL.unpack_from(code, place)
            end = table.index(b"\0", name, name + NAME_BYTES_MAX)
            yield table[name:end].decode(), info, other, where, size


def params_of(function: int, param_size: ParamSize) -> tuple[Param, ...]:
    """Return what a loaded kernel takes as far as the driver tells: sizes.

    A parameter of 8 bytes is taken as a buffer: machine code does not tell it from a number. Raises
    Unsupported.
    """
    params: list[Param] = []
    while (size := param_size(function, len(params))) is not None:
        if len(params) == KERNEL_ARGS_MAX:
            raise Unsupported(f"it has more than {KERNEL_ARGS_MAX} parameters")
        name = f"#{len(params)}"
        if size == _POINTER_BYTES:
            params.append(Param(name, ParamKind.BUFFER, "8 bytes", "", 0, writes=True))
        else:
            params.append(Param(name, ParamKind.VALUE, f"{size} bytes", "", size))
    return tuple(params)


def driver_param_size(function: int, index: int) -> int | None:
    """Ask libcuda. Raises Unsupported where it cannot tell."""
    try:
        ask = ctypes.CDLL("libcuda.so.1").cuFuncGetParamInfo
    except (OSError, AttributeError) as error:
        raise Unsupported(
            "the driver does not tell what the kernels of a cubin take (CUDA 12.4 does); give PTX "
            f"or CUDA C instead: {error}"
        ) from error
    offset, size = ctypes.c_size_t(), ctypes.c_size_t()
    status = ask(
        ctypes.c_void_p(function),
        ctypes.c_size_t(index),
        ctypes.byref(offset),
        ctypes.byref(size),
    )
    if status == _END_OF_PARAMS:
        return None
    if status:
        raise Unsupported(f"the driver does not tell what the kernel takes: error {status}")
    return size.value
