"""Contexts. Here a context is a scope: of the one device that there is, and all share its memory.

Rules: each thread has a stack of them; what needs a device needs one on it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

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
    """A context."""

    def __init__(self, flags: int) -> None:
        self.flags = flags


class _Stack(threading.local):
    def __init__(self) -> None:
        self.handles: list[CData] = []


class _Primary:
    """The context that programs share; it lives as long as the process does."""

    def __init__(self) -> None:
        self.retained = 0
        self.scope = Scope(0)
        self.handle = _SCOPES.add(self.scope)


_SCOPES = Handles[Scope]("CUcontext", lib.CUDA_ERROR_INVALID_CONTEXT)
_STACK = _Stack()
_PRIMARY = _Primary()


def unit() -> Unit:
    """Return the unit of the current context. Raises CuError if this thread has none."""
    require(_STACK.handles, lib.CUDA_ERROR_INVALID_CONTEXT)
    _SCOPES.of(_STACK.handles[-1])
    return UNIT


def current() -> CData:
    """Return the current context's handle. Raises CuError if this thread has none."""
    unit()
    return _STACK.handles[-1]


@entry("cuDevicePrimaryCtxRetain")
def retain_primary(at: Pointers, device: int) -> None:
    check_device(device)
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    assert UNIT.device
    _PRIMARY.retained += 1
    at[0] = _PRIMARY.handle


@entry("cuDevicePrimaryCtxRelease_v2")
def release_primary(device: int) -> None:
    check_device(device)
    require(_PRIMARY.retained, lib.CUDA_ERROR_INVALID_CONTEXT)
    _PRIMARY.retained -= 1


@entry("cuDevicePrimaryCtxReset_v2")
def reset_primary(device: int) -> None:
    check_device(device)
    UNIT.lanes.sync()


@entry("cuDevicePrimaryCtxGetState")
def primary_state(device: int, flags: Numbers, active: Numbers) -> None:
    check_device(device)
    require(flags and active, lib.CUDA_ERROR_INVALID_VALUE)
    flags[0] = _PRIMARY.scope.flags
    active[0] = bool(_PRIMARY.retained)


@entry("cuDevicePrimaryCtxSetFlags_v2")
def set_primary_flags(device: int, flags: int) -> None:
    check_device(device)
    _PRIMARY.scope.flags = flags


@entry("cuCtxCreate_v2")
def create(at: Pointers, flags: int, device: int) -> None:
    check_device(device)
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    assert UNIT.device
    at[0] = _SCOPES.add(Scope(flags))
    _STACK.handles.append(at[0])


@entry("cuCtxDestroy_v2")
def destroy(handle: CData) -> None:
    require(handle != _PRIMARY.handle, lib.CUDA_ERROR_INVALID_CONTEXT)
    _SCOPES.take(handle)
    if _STACK.handles and _STACK.handles[-1] == handle:
        _STACK.handles.pop()
    UNIT.lanes.sync()


@entry("cuCtxPushCurrent_v2")
def push(handle: CData) -> None:
    _SCOPES.of(handle)
    _STACK.handles.append(handle)


@entry("cuCtxPopCurrent_v2")
def pop(at: Pointers) -> None:
    require(_STACK.handles, lib.CUDA_ERROR_INVALID_CONTEXT)
    handle = _STACK.handles.pop()
    if at:
        at[0] = handle


@entry("cuCtxSetCurrent")
def set_current(handle: CData) -> None:
    if number_of(handle):
        _SCOPES.of(handle)
    if _STACK.handles:
        _STACK.handles.pop()
    if number_of(handle):
        _STACK.handles.append(handle)


@entry("cuCtxGetCurrent")
def get_current(at: Pointers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = _STACK.handles[-1] if _STACK.handles else ffi.cast("CUcontext", 0)


@entry("cuCtxGetDevice")
def get_device(at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    at[0] = 0


@entry("cuCtxGetFlags")
def get_flags(at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    at[0] = _SCOPES.of(_STACK.handles[-1]).flags


@entry("cuCtxGetApiVersion")
def api_version(handle: CData, at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    if number_of(handle):
        _SCOPES.of(handle)
    at[0] = _API_VERSION


@entry("cuCtxSynchronize")
def synchronize() -> None:
    unit().lanes.sync()
