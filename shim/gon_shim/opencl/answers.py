"""What queries answer, as bytes, and where they go."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast

from _gon_opencl import ffi
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.khronos import constants as cl

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers

POINTER_BYTES: Final = 8

_Thing = TypeVar("_Thing")
# What each number of a query gives for a thing.
Answers: TypeAlias = Mapping[int, Callable[[_Thing], bytes]]


def uint(value: int) -> bytes:
    """Return a cl_uint, cl_bool or cl_int."""
    return struct.pack("<I", value & 0xFFFFFFFF)


def word(value: int) -> bytes:
    """Return a size_t, cl_ulong or cl_bitfield."""
    return struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF)


def words(values: Iterable[int]) -> bytes:
    return b"".join(map(word, values))


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def pointer(value: CData) -> bytes:
    return word(address(value))


def address(value: CData) -> int:
    """Return a pointer as a number."""
    return int(cast("int", ffi.cast("uintptr_t", value)))


def pointer_at(at: CData) -> CData:
    """Return the pointer that lies at an address."""
    return cast("Handles", ffi.cast("void **", at))[0]


def version(major: int, minor: int, patch: int = 0) -> int:
    """Return a cl_version."""
    return major << 22 | minor << 12 | patch


def give(value: bytes, room: int, at: CData, size_at: Numbers) -> None:
    """Answer a query. Raises ClError where there is too little room."""
    if at:
        require(room >= len(value), cl.CL_INVALID_VALUE)
        ffi.memmove(at, value, len(value))
    if size_at:
        size_at[0] = len(value)


def answer(
    answers: Answers[_Thing], thing: _Thing, what: int, room: int, at: CData, size_at: Numbers
) -> None:
    """Answer a query by a table. Raises ClError for what it does not know."""
    made = answers.get(what)
    if made is None:
        raise ClError(cl.CL_INVALID_VALUE)
    give(made(thing), room, at, size_at)


def numbers_of(at: CData, count: int) -> tuple[int, ...]:
    """Return `count` values of size_t."""
    return struct.unpack(f"<{count}Q", bytes(ffi.buffer(at, 8 * count)))


def properties_of(at: CData) -> tuple[tuple[int, int], ...]:
    """Return a list of properties and their values, which ends with a zero."""
    found: list[tuple[int, int]] = []
    if at:
        values = cast("Numbers", ffi.cast("uint64_t *", at))
        index = 0
        while values[index]:
            found.append((values[index], values[index + 1]))
            index += 2
    return tuple(found)


def told_properties(at: CData) -> bytes:
    """Return what is told of properties of a memory object, of which there are none: the end of
    their list, if there is one. Raises ClError.
    """
    require(not properties_of(at), cl.CL_INVALID_PROPERTY)
    return word(0) if at else b""


def words_with_end(found: tuple[tuple[int, int], ...]) -> bytes:
    """Return properties as the program gave them; nothing for none."""
    return words([*(value for pair in found for value in pair), 0]) if found else b""
