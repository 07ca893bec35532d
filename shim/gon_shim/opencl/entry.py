"""How a function of ours becomes an entry of the driver.

Rules: nothing that is raised leaves an entry but as a number of OpenCL's; an entry that nobody
wrote answers CL_INVALID_OPERATION.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from _gon_opencl import ffi
from gon_shim.opencl import library
from gon_shim.opencl.errors import ClError, told
from gon_shim.opencl.khronos import constants as cl

_Function = TypeVar("_Function", bound=Callable[..., object])

_ENTRIES = {each.name: each for each in library.entries() if each.is_in_python}
_bound: set[str] = set()


def entry(name: str) -> Callable[[_Function], _Function]:
    """Let a function be the entry `name`: it returns what the entry does, but for codes."""
    gives_code = _ENTRIES[name].gives_code

    def bind(function: _Function) -> _Function:
        if gives_code:
            # What a signal's handler raises before `_status` guards the function is no success.
            bind_to = ffi.def_extern(name=f"gon_{name}", error=cl.CL_OUT_OF_HOST_MEMORY)
            bind_to(_status(name, function))
        else:
            ffi.def_extern(name=f"gon_{name}")(_creation(name, function))
        _bound.add(name)
        return function

    return bind


def _status(name: str, function: Callable[..., object]) -> Callable[..., int]:
    def call(*given: object) -> int:
        try:
            function(*given)
        except BaseException as error:  # noqa: BLE001 - nothing passes through the program's C
            return told(name, error)
        return cl.CL_SUCCESS

    return call


def _creation(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """Wrap an entry that returns a handle and has a place for the code, last, or none."""
    has_code = _ENTRIES[name].has_code_last

    def call(*given: object) -> object:
        made: object = ffi.NULL
        code = cl.CL_SUCCESS
        try:
            made = function(*given[:-1]) if has_code else function(*given)
        except BaseException as error:  # noqa: BLE001 - nothing passes through the program's C
            code = told(name, error)
            if isinstance(error, ClError) and error.made is not None:
                made = error.made
        if has_code and given[-1]:
            given[-1][0] = code  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
        return made

    return call


def bind_rest() -> None:
    """Let every entry that nobody wrote say so."""
    for name in _ENTRIES.keys() - _bound:
        if _ENTRIES[name].result == "void":
            ffi.def_extern(name=f"gon_{name}")(_do_nothing)
        else:
            entry(name)(_refuse)


def _do_nothing(*_given: object) -> None: ...


def _refuse(*_given: object) -> None:
    raise ClError(cl.CL_INVALID_OPERATION)
