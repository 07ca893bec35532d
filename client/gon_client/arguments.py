"""Turns what a caller passes to a kernel into what travels, one function a parameter.

The functions are made once for a kernel, from its signature, so that a launch only runs them. Each
raises KernelArgumentError that names kernel, parameter and what was given.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from gon.errors import BadHandle, InvalidArgument, KernelArgumentError
from gon.images import SamplerTerms, is_sampler, kind_of
from gon.limits import VALUE_ARGS_BYTES_MAX
from gon.model import KernelInfo, LaunchArg, LocalBytes, Param, ParamKind
from gon_client.array import DeviceArray
from gon_client.buffer import Buffer
from gon_client.image import Image

if TYPE_CHECKING:
    from gon_client.device import Device

# NumPy's names of scalars, as struct names them.
_CODES = {
    "b1": "?",
    "i1": "b",
    "u1": "B",
    "i2": "h",
    "u2": "H",
    "i4": "i",
    "u4": "I",
    "i8": "q",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}

# Scalars of NumPy that are other names of the same type, as np.longlong is of int64.
_OTHER_NAMES: dict[type[object], object] = {
    scalar: np.dtype(scalar)
    for scalar in (np.intc, np.uintc, np.long, np.ulong, np.longlong, np.ulonglong)
}
_scalar_bytes = cast("Callable[[object], bytes]", np.generic.tobytes)

Take: TypeAlias = Callable[[object], LaunchArg]


def takes_of(kernel: KernelInfo, device: Device) -> tuple[Take, ...]:
    """Return a function for each parameter of the kernel. Raises KernelArgumentError."""
    total = sum(param.size_bytes for param in kernel.params if param.kind is ParamKind.VALUE)
    if total > VALUE_ARGS_BYTES_MAX:
        raise KernelArgumentError(
            f"kernel {kernel.name} takes {total} bytes of values: "
            f"at most {VALUE_ARGS_BYTES_MAX} are possible"
        )
    return tuple(_take_of(kernel.name, param, device) for param in kernel.params)


def is_structure(param: Param) -> bool:
    """Return whether a value is of a type that no NumPy scalar has: a structure or a vector."""
    if param.kind is not ParamKind.VALUE:
        return False
    return not param.dtype or np.dtype(param.dtype).str[1:] not in _CODES


def _take_of(kernel: str, param: Param, device: Device) -> Take:
    if is_sampler(param):
        return _take_sampler(kernel, param)
    match param.kind:
        case ParamKind.BUFFER if kind_of(param) is not None:
            return _take_image(kernel, param, device)
        case ParamKind.BUFFER:
            return _take_buffer(kernel, param, device)
        case ParamKind.LOCAL:
            return _take_local(kernel, param)
        case ParamKind.VALUE:
            return _take_value(kernel, param)


def _wrong(kernel: str, param: Param, needed: str, given: object) -> KernelArgumentError:
    what = f"{type(given).__module__}.{type(given).__qualname__}".removeprefix("builtins.")
    element = getattr(given, "dtype", None)
    if element is not None:
        what += f" of {element}"
    return KernelArgumentError(
        f"kernel {kernel}, parameter {param.name!r} ({param.type_name}): "
        f"{needed} is needed, {what} was given"
    )


def _take_buffer(kernel: str, param: Param, device: Device) -> Take:
    expected = np.dtype(param.dtype).str if param.dtype else ""

    def take(given: object) -> LaunchArg:
        if type(given) is DeviceArray and (not expected or given.dtype_name == expected):
            buffer, arg = given.buffer, given.arg
        elif isinstance(given, Buffer):
            buffer, arg = given, given.handle
        else:
            needed = f"a device array of {np.dtype(expected)}" if expected else "a device array"
            raise _wrong(kernel, param, f"{needed} or a Buffer", given)
        if buffer.closed or buffer.device is not device:
            why = "closed" if buffer.device is device else "another device's"
            raise BadHandle(f"kernel {kernel}, parameter {param.name!r}: the buffer is {why}")
        return arg

    return take


def _take_image(kernel: str, param: Param, device: Device) -> Take:
    kind = kind_of(param)

    def take(given: object) -> LaunchArg:
        if not isinstance(given, Image) or given.shape.kind is not kind:
            raise _wrong(kernel, param, "an image of that kind", given)
        if given.closed or given.device is not device:
            why = "closed" if given.device is device else "another device's"
            raise BadHandle(f"kernel {kernel}, parameter {param.name!r}: the image is {why}")
        device.check_free("a launch that takes an image")
        return given.handle

    return take


def _take_sampler(kernel: str, param: Param) -> Take:
    def take(given: object) -> LaunchArg:
        if not isinstance(given, SamplerTerms):
            raise _wrong(kernel, param, "a gon.images.SamplerTerms", given)
        return given.coded

    return take


def _take_local(kernel: str, param: Param) -> Take:
    def take(given: object) -> LaunchArg:
        if isinstance(given, LocalBytes) and 0 < given.size_bytes < 1 << 63:
            return given
        raise _wrong(kernel, param, "gon.LocalBytes(n) with n > 0", given)

    return take


def _take_value(kernel: str, param: Param) -> Take:
    """Return what takes a value: a NumPy scalar of exactly the type, a Python number that fits it,
    or anything of exactly its size for types that NumPy has no scalar for.
    """
    if is_structure(param):
        return _take_struct(kernel, param)
    dtype = np.dtype(param.dtype)
    exact: type[object] = dtype.type
    to_bytes = cast("Callable[[object], bytes]", dtype.type.tobytes)
    pack = cast("Callable[[object], bytes]", struct.Struct(f"<{_CODES[dtype.str[1:]]}").pack)
    needed = f"{dtype} or a Python number within it"
    same = [scalar for scalar, named in _OTHER_NAMES.items() if named == dtype]
    numbers: tuple[type[object], ...] = {"f": (int, float), "b": (bool,)}.get(dtype.kind, (int,))

    def take(given: object) -> LaunchArg:
        kind = type(given)
        if kind is exact:
            return to_bytes(given)
        if kind in numbers or (isinstance(given, numbers) and _is_plain(given)):
            try:
                return pack(given)
            except (OverflowError, struct.error):
                raise _wrong(kernel, param, needed, given) from None
        if kind in same:
            return _scalar_bytes(given)
        raise _wrong(kernel, param, needed, given)

    return take


def _is_plain(given: object) -> bool:
    """Return whether it is a number of Python's own kind: np.float64 is a float, bool an int."""
    return not isinstance(given, bool) and not hasattr(given, "dtype")


def _take_struct(kernel: str, param: Param) -> Take:
    size = param.size_bytes

    def take(given: object) -> LaunchArg:
        if isinstance(given, bytes):
            raw = given
        elif hasattr(given, "dtype"):
            raw = np.asarray(given).tobytes()
        else:
            needed = f"a NumPy value or bytes, {size or 'any number of'} bytes"
            raise _wrong(kernel, param, needed, given)
        if size and len(raw) != size:
            raise _wrong(kernel, param, f"a value of {size} bytes, not {len(raw)},", given)
        if len(raw) > VALUE_ARGS_BYTES_MAX:
            raise InvalidArgument(f"kernel {kernel}, parameter {param.name!r}: {len(raw)} bytes")
        return raw

    return take
