"""Contexts. Here a context is a scope: of the one device that there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gon_shim.opencl.answers import (
    Answers,
    address,
    answer,
    pointer,
    properties_of,
    uint,
    words_with_end,
)
from gon_shim.opencl.device import Device, device_of_kind, devices_of
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.objects import Object
from gon_shim.opencl.platform import PLATFORM

if TYPE_CHECKING:
    from _gon_opencl import Callback, CData, Handles, Numbers


class Scope(Object):
    """A context."""

    invalid = cl.CL_INVALID_CONTEXT

    def __init__(self, one: Device, properties: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.device = one
        self.properties = properties
        self.on_end: list[Callable[[], None]] = []

    def end(self) -> None:
        for call in reversed(self.on_end):
            call()


_ANSWERS: Answers[Scope] = {
    cl.CL_CONTEXT_REFERENCE_COUNT: lambda scope: uint(scope.references),
    cl.CL_CONTEXT_NUM_DEVICES: lambda _: uint(1),
    cl.CL_CONTEXT_DEVICES: lambda scope: pointer(scope.device.handle),
    cl.CL_CONTEXT_PROPERTIES: lambda scope: words_with_end(scope.properties),
}


def _checked(properties: CData) -> tuple[tuple[int, int], ...]:
    """Return a context's properties. Raises ClError."""
    found = properties_of(properties)
    for name, value in found:
        if name == cl.CL_CONTEXT_PLATFORM:
            require(value == address(PLATFORM), cl.CL_INVALID_PLATFORM)
        else:
            known = name == cl.CL_CONTEXT_INTEROP_USER_SYNC and value in (cl.CL_FALSE, cl.CL_TRUE)
            require(known, cl.CL_INVALID_PROPERTY)
    require(len({name for name, _ in found}) == len(found), cl.CL_INVALID_PROPERTY)
    return found


@entry("clCreateContext")
def create_context(
    properties: CData, count: int, devices: Handles, notify: Callback, data: CData
) -> CData:
    require(count and devices, cl.CL_INVALID_VALUE)
    require(notify or not data, cl.CL_INVALID_VALUE)
    found = _checked(properties)
    return Scope(devices_of(count, devices)[0], found).handle


@entry("clCreateContextFromType")
def create_context_from_type(properties: CData, kind: int, notify: Callback, data: CData) -> CData:
    require(notify or not data, cl.CL_INVALID_VALUE)
    found = _checked(properties)
    return Scope(device_of_kind(kind), found).handle


@entry("clRetainContext")
def retain_context(handle: CData) -> None:
    Scope.of(handle).retain()


@entry("clReleaseContext")
def release_context(handle: CData) -> None:
    Scope.of(handle).release()


@entry("clGetContextInfo")
def get_context_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    answer(_ANSWERS, Scope.of(handle), what, room, at, size_at)


@entry("clSetContextDestructorCallback")
def set_context_destructor(handle: CData, notify: Callback, data: CData) -> None:
    scope = Scope.of(handle)
    require(notify, cl.CL_INVALID_VALUE)
    scope.on_end.append(lambda: notify(handle, data))
