"""A kernel's parameters: what each takes, found out from the driver before anything is launched.

The driver tells of a parameter its name, type and address space, but not the size of a value; that
is found by asking which size it takes. A driver that takes any size for a type it does not know
(PoCL, for structs) is asked in the language instead: what does `sizeof` give?

Rules: a parameter whose size stays unknown is refused; no bytes are handed over on trust.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, cast

import pyopencl as cl
from msgspec.structs import replace

from gon.errors import Unsupported
from gon.images import SAMPLER_BYTES, SAMPLER_TYPE, TYPES
from gon.limits import VALUE_ARGS_BYTES_MAX
from gon.model import Param, ParamKind
from gon_server.devices import opencl_driver as driver
from gon_server.devices.opencl_spirv import IlParam

# Returns the size of a type that the source names, 0 if it cannot be told.
SizeOf: TypeAlias = Callable[[str], int]

# Scalars by OpenCL's names: what NumPy calls them, and their size.
SCALARS: Final[dict[str, tuple[str, int]]] = {
    "char": ("int8", 1),
    "uchar": ("uint8", 1),
    "unsigned char": ("uint8", 1),
    "short": ("int16", 2),
    "ushort": ("uint16", 2),
    "unsigned short": ("uint16", 2),
    "int": ("int32", 4),
    "uint": ("uint32", 4),
    "unsigned int": ("uint32", 4),
    "long": ("int64", 8),
    "ulong": ("uint64", 8),
    "unsigned long": ("uint64", 8),
    "half": ("float16", 2),
    "float": ("float32", 4),
    "double": ("float64", 8),
}
_VECTOR: Final = re.compile(r"(u?(?:char|short|int|long)|half|float|double)(2|3|4|8|16)")
# Types of parameters that no argument of ours can be.
OPAQUE_TYPES: Final = frozenset({"sampler_t", "queue_t", "event_t", "clk_event_t", "reserve_id_t"})
TYPE_PIPE: Final = 8


class ParamReader:
    """Reads parameters of a program's kernels; `size_of` answers what the driver does not."""

    __slots__ = ("_has_images", "_most", "_size_of")

    def __init__(self, unit: driver.Unit, size_of: SizeOf) -> None:
        self._most = min(unit.max_parameter_size, VALUE_ARGS_BYTES_MAX)
        self._size_of = size_of
        self._has_images = bool(unit.image_support)

    def told(self, kernel: driver.Kernel, index: int) -> Param:
        """Return a parameter as the driver tells of it. Raises Unsupported, DriverError."""
        about = cl.kernel_arg_info
        name = str(kernel.get_arg_info(index, about.NAME))
        type_name = str(kernel.get_arg_info(index, about.TYPE_NAME))
        space = int(cast(int, kernel.get_arg_info(index, about.ADDRESS_QUALIFIER)))
        qualifiers = int(cast(int, kernel.get_arg_info(index, about.TYPE_QUALIFIER)))
        access = int(cast(int, kernel.get_arg_info(index, about.ACCESS_QUALIFIER)))
        told = (space, access, qualifiers)
        if self._has_images and type_name in TYPES:
            return image(name, type_name, access)
        if self._has_images and type_name == SAMPLER_TYPE:
            return sampler(name)
        opaque = access != driver.ACCESS_NONE or qualifiers & TYPE_PIPE
        if opaque or type_name in OPAQUE_TYPES:
            raise Unsupported(f"its parameter {name} is a {type_name}, which no argument can be")
        if space == driver.ADDRESS_PRIVATE:
            param = self._value(kernel, index, name, type_name)
        else:
            const = space != driver.ADDRESS_GLOBAL or bool(qualifiers & driver.TYPE_CONST)
            param = _pointer(name, type_name, const=const, local=space == driver.ADDRESS_LOCAL)
        return replace(param, qualifiers=told)

    def from_il(self, kernel: driver.Kernel, index: int, il: IlParam) -> Param:
        """Return a parameter as the SPIR-V module tells of it. Raises Unsupported."""
        name = il.name or f"#{index}"
        if il.opaque:
            if not self._has_images or il.opaque not in (*TYPES, SAMPLER_TYPE):
                raise Unsupported(f"its parameter {name} is a {il.opaque}, which is not there")
            return image(name, il.opaque, il.access) if il.opaque in TYPES else sampler(name)
        if il.space == "private":
            return self._value(kernel, index, name, il.element)
        if not il.space:
            raise Unsupported(f"its parameter {name} points to where no argument can be")
        return _pointer(name, f"{il.element}*", const=il.const, local=il.space == "local")

    def _value(self, kernel: driver.Kernel, index: int, name: str, type_name: str) -> Param:
        dtype, usual = _value_type(type_name)
        size = self._value_bytes(kernel, index, type_name, usual)
        if not 0 < size <= self._most:
            raise Unsupported(f"its parameter {name} of type {type_name} has no size that is known")
        return Param(name, ParamKind.VALUE, type_name, dtype if size == usual else "", size)

    def _value_bytes(self, kernel: driver.Kernel, index: int, type_name: str, usual: int) -> int:
        if usual and _takes(kernel, index, usual):
            return usual
        if _takes(kernel, index, 3) and _takes(kernel, index, 5):
            return self._size_of(type_name)
        return next((size for size in _sizes(self._most) if _takes(kernel, index, size)), 0)


def image(name: str, type_name: str, access: int) -> Param:
    """Return a parameter that takes an image of OpenCL's access."""
    told = (driver.ADDRESS_GLOBAL, access, 0)
    writes = access != driver.ACCESS_READ_ONLY
    return Param(name, ParamKind.BUFFER, type_name, writes=writes, qualifiers=told)


def sampler(name: str) -> Param:
    """Return a parameter that takes a sampler."""
    told = (driver.ADDRESS_PRIVATE, driver.ACCESS_NONE, 0)
    return Param(name, ParamKind.VALUE, SAMPLER_TYPE, "", SAMPLER_BYTES, qualifiers=told)


def _takes(kernel: driver.Kernel, index: int, size: int) -> bool:
    try:
        driver.value_setter(kernel)(index, bytes(size))
    except driver.DriverError:
        return False
    return True


def _sizes(most: int) -> Iterator[int]:
    """Yield every size, the likely ones first."""
    yield from range(4, most + 1, 4)
    yield from (size for size in range(1, most + 1) if size % 4)


def _pointer(name: str, type_name: str, *, const: bool, local: bool) -> Param:
    dtype = SCALARS.get(type_name.removesuffix("*").rstrip(), ("", 0))[0]
    kind = ParamKind.LOCAL if local else ParamKind.BUFFER
    return Param(name, kind, type_name, dtype, 0, not const and not local)


def _value_type(type_name: str) -> tuple[str, int]:
    """Return NumPy's name ("" where it has none) and the usual size (0 if unknown) of a value's
    type.
    """
    vector = _VECTOR.fullmatch(type_name)
    if vector is None:
        return SCALARS.get(type_name, ("", 0))
    lanes = int(vector[2])
    return "", SCALARS[vector[1]][1] * (4 if lanes == 3 else lanes)
