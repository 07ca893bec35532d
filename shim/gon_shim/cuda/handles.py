"""What a handle stands for.

A program never looks behind a handle, so it is a number that looks like a pointer; a table of each
kind knows what it stands for, so a handle that is none is noticed.

Rules: numbers are never given twice; those up to 2 are streams that CUDA gives a meaning.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from _gon_cuda import ffi
from gon_shim.cuda.errors import CuError

if TYPE_CHECKING:
    from _gon_cuda import CData

_Thing = TypeVar("_Thing")

# Of all kinds together: the handle of one kind is none of another.
_NUMBERS = itertools.count(0x1000, 0x10)


class Handles(Generic[_Thing]):
    """The handles of one kind, `c_type` in C; `invalid` is what one that is none is told as."""

    def __init__(self, c_type: str, invalid: int) -> None:
        self._c_type = c_type
        self._invalid = invalid
        self._live: dict[int, _Thing] = {}

    def add(self, thing: _Thing) -> CData:
        """Return a new handle."""
        number = next(_NUMBERS)
        self._live[number] = thing
        return ffi.cast(self._c_type, number)

    def of(self, handle: CData) -> _Thing:
        """Return what a handle stands for. Raises CuError."""
        try:
            return self._live[number_of(handle)]
        except KeyError:
            raise CuError(self._invalid) from None

    def take(self, handle: CData) -> _Thing:
        """Return what a handle stands for, and forget it. Raises CuError."""
        try:
            return self._live.pop(number_of(handle))
        except KeyError:
            raise CuError(self._invalid) from None

    def take_all(self, is_meant: Callable[[_Thing], bool]) -> list[_Thing]:
        """Return all that are meant, and forget them."""
        found = {number: thing for number, thing in self._live.copy().items() if is_meant(thing)}
        for number in found:
            self._live.pop(number, None)
        return [*found.values()]


def number_of(handle: CData) -> int:
    """Return a handle, or any pointer, as a number."""
    return int(ffi.cast("uintptr_t", handle))
