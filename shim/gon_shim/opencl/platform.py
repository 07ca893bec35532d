"""The platform: there is one, where $GON_HOST names a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from _gon_opencl import ffi
from gon_shim.opencl.answers import Answers, answer, text, uint, version, word
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.objects import Object

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers

EXTENSIONS = ("cl_khr_icd",)


class Platform(Object):
    """The platform."""

    invalid = cl.CL_INVALID_PLATFORM


PLATFORM = Platform()

_ANSWERS: Answers[Platform] = {
    cl.CL_PLATFORM_PROFILE: lambda _: text("FULL_PROFILE"),
    cl.CL_PLATFORM_VERSION: lambda _: text("OpenCL 3.0 GoN"),
    cl.CL_PLATFORM_NUMERIC_VERSION: lambda _: uint(version(3, 0)),
    cl.CL_PLATFORM_NAME: lambda _: text("GoN"),
    cl.CL_PLATFORM_VENDOR: lambda _: text("GoN"),
    cl.CL_PLATFORM_EXTENSIONS: lambda _: text(" ".join(EXTENSIONS)),
    cl.CL_PLATFORM_EXTENSIONS_WITH_VERSION: lambda _: b"".join(
        uint(version(1, 0)) + name.encode().ljust(64, b"\0") for name in EXTENSIONS
    ),
    cl.CL_PLATFORM_HOST_TIMER_RESOLUTION: lambda _: word(1),
    cl.CL_PLATFORM_ICD_SUFFIX_KHR: lambda _: text("GON"),
}


@entry("clGetPlatformIDs")
def get_platforms(room: int, platforms: Handles, count: Numbers) -> None:
    require(platforms or count, cl.CL_INVALID_VALUE)
    require(room or not platforms, cl.CL_INVALID_VALUE)
    if platforms:
        platforms[0] = ffi.cast("cl_platform_id", PLATFORM.handle)
    if count:
        count[0] = 1


@entry("clGetPlatformInfo")
def get_platform_info(platform: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    answer(_ANSWERS, platform_of(platform), what, room, at, size_at)


def platform_of(handle: CData) -> Platform:
    """Return the platform, also for none: that is the implementation's choice."""
    return Platform.of(handle) if handle else PLATFORM


@entry("clUnloadPlatformCompiler")
def unload_platform_compiler(platform: CData) -> None:
    Platform.of(platform)


@entry("clUnloadCompiler")
def unload_compiler() -> None:
    """Do nothing: compilers are the host's."""
