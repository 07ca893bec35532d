"""How a function of ours becomes an entry of the driver.

Rules: nothing that is raised leaves an entry but as a number of CUDA's; every entry that the
library declares has a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from _gon_cuda import ffi, lib
from gon.errors import GonError
from gon_shim.cuda.errors import CuError, code_of, say
from gon_shim.cuda.library import ENTRIES

_Function = TypeVar("_Function", bound=Callable[..., None])

_bound: set[str] = set()


def entry(*names: str) -> Callable[[_Function], _Function]:
    """Let a function be the entries `names`; it returns nothing, or raises."""

    def bind(function: _Function) -> _Function:
        for name in names:
            ffi.def_extern(name=f"gon_{name}")(_told(name, function))
            _bound.add(name)
        return function

    return bind


def check_bound() -> None:
    """Raise AssertionError if an entry that the library declares has no function."""
    assert _bound == set(ENTRIES), _bound ^ set(ENTRIES)


def _told(name: str, function: Callable[..., None]) -> Callable[..., int]:
    def call(*given: object) -> int:
        try:
            function(*given)
        except CuError as error:
            return error.code
        except GonError as error:
            say(f"{name}: {error}\n{error.log}" if error.log else f"{name}: {error}")
            return code_of(error)
        except BaseException as error:  # noqa: BLE001 - nothing passes through the program's C
            say(f"{name}: {error!r}")
            return lib.CUDA_ERROR_UNKNOWN
        return lib.CUDA_SUCCESS

    return call
