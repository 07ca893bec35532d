"""Contexts. Here a context is a scope: of the one device that there is, and all share its memory.

What was made in one ends with it: memory, modules, streams and events.

Rules: each thread has a stack of them; what needs a device needs one on it. Who has a kind of
things that a context may have made says what ends them (`ends`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from _gon_cuda import ffi, lib
from gon_shim.cuda.device import check_device
from gon_shim.cuda.entry import entry
from gon_shim.cuda.errors import require
from gon_shim.cuda.handles import Handles, number_of
from gon_shim.cuda.unit import UNIT, Unit

if TYPE_CHECKING:
    from _gon_cuda import CData, Numbers, Pointers

_API_VERSION = 3020


class Scope:
    """A context: what was made in it ends with it."""

    def __init__(self, flags: int, *, is_alive: bool = True) -> None:
        self.flags = flags
        self.is_alive = is_alive
        self.handle = _SCOPES.add(self)

    def end(self) -> None:
        """Wait for all work, and end all that was made here. Raises an error of that work."""
        with ExitStack() as stack:
            for end in reversed(_ENDS):
                stack.callback(end, self)
            UNIT.lanes.sync()


class _Stack(threading.local):
    def __init__(self) -> None:
        self.scopes: list[Scope] = []


class _Primary:
    """The context that programs share: it begins with who retains it first, and ends with who
    releases it last. Who comes while it ends waits for that, with `changing`: it would lose what it
    makes.
    """

    def __init__(self) -> None:
        self.changing = threading.RLock()
        self.retained = 0
        self.scope = Scope(0, is_alive=False)


_SCOPES = Handles[Scope]("CUcontext", lib.CUDA_ERROR_INVALID_CONTEXT)
_STACK = _Stack()
_PRIMARY = _Primary()
# What ends the things of one kind that were made in a context.
_ENDS: Final[list[Callable[[Scope], None]]] = []


def ends(end: Callable[[Scope], None]) -> Callable[[Scope], None]:
    """Let a function be called when a context ends, with that."""
    _ENDS.append(end)
    return end


def current() -> Scope:
    """Return the current context. Raises CuError if this thread has none, or it has ended."""
    require(_STACK.scopes, lib.CUDA_ERROR_INVALID_CONTEXT)
    scope = _STACK.scopes[-1]
    require(scope.is_alive, lib.CUDA_ERROR_CONTEXT_IS_DESTROYED)
    return scope


def unit() -> Unit:
    """Return the unit of the current context. Raises CuError as `current` does."""
    current()
    return UNIT


def _scope_of(handle: CData) -> Scope:
    scope = _SCOPES.of(handle)
    require(scope.is_alive, lib.CUDA_ERROR_INVALID_CONTEXT)
    return scope


@entry("cuDevicePrimaryCtxRetain")
def retain_primary(at: Pointers, device: int) -> None:
    check_device(device)
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    UNIT.lease()
    with _PRIMARY.changing:
        _PRIMARY.retained += 1
        _PRIMARY.scope.is_alive = True
    at[0] = _PRIMARY.scope.handle


@entry("cuDevicePrimaryCtxRelease_v2")
def release_primary(device: int) -> None:
    check_device(device)
    with _PRIMARY.changing:
        require(_PRIMARY.retained, lib.CUDA_ERROR_INVALID_CONTEXT)
        _PRIMARY.retained -= 1
        if not _PRIMARY.retained:
            _PRIMARY.scope.is_alive = False
            _PRIMARY.scope.end()


@entry("cuDevicePrimaryCtxReset_v2")
def reset_primary(device: int) -> None:
    check_device(device)
    with _PRIMARY.changing:
        _PRIMARY.scope.end()  # it is still retained as often as it was


@entry("cuDevicePrimaryCtxGetState")
def primary_state(device: int, flags: Numbers, active: Numbers) -> None:
    check_device(device)
    require(flags and active, lib.CUDA_ERROR_INVALID_VALUE)
    flags[0] = _PRIMARY.scope.flags
    active[0] = _PRIMARY.scope.is_alive


@entry("cuDevicePrimaryCtxSetFlags_v2")
def set_primary_flags(device: int, flags: int) -> None:
    check_device(device)
    _PRIMARY.scope.flags = flags


@entry("cuCtxCreate_v2")
def create(at: Pointers, flags: int, device: int) -> None:
    check_device(device)
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    UNIT.lease()
    scope = Scope(flags)
    _STACK.scopes.append(scope)
    at[0] = scope.handle


@entry("cuCtxDestroy_v2")
def destroy(handle: CData) -> None:
    scope = _SCOPES.of(handle)
    require(scope is not _PRIMARY.scope, lib.CUDA_ERROR_INVALID_CONTEXT)
    _SCOPES.take(handle)
    scope.is_alive = False  # threads that have it as their own are told so
    if _STACK.scopes and _STACK.scopes[-1] is scope:
        _STACK.scopes.pop()
    scope.end()


@entry("cuCtxPushCurrent_v2")
def push(handle: CData) -> None:
    _STACK.scopes.append(_scope_of(handle))


@entry("cuCtxPopCurrent_v2")
def pop(at: Pointers) -> None:
    require(_STACK.scopes, lib.CUDA_ERROR_INVALID_CONTEXT)
    scope = _STACK.scopes.pop()
    if at:
        at[0] = scope.handle


@entry("cuCtxSetCurrent")
def set_current(handle: CData) -> None:
    scope = _scope_of(handle) if number_of(handle) else None
    if _STACK.scopes:
        _STACK.scopes.pop()
    if scope is not None:
        _STACK.scopes.append(scope)


@entry("cuCtxGetCurrent")
def get_current(at: Pointers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = _STACK.scopes[-1].handle if _STACK.scopes else ffi.cast("CUcontext", 0)


@entry("cuCtxGetDevice")
def get_device(at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    at[0] = 0


@entry("cuCtxGetFlags")
def get_flags(at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = current().flags


@entry("cuCtxGetApiVersion")
def api_version(handle: CData, at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    if number_of(handle):
        _scope_of(handle)
    at[0] = _API_VERSION


@entry("cuCtxSynchronize")
def synchronize() -> None:
    unit().lanes.sync()
