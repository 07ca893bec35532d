"""The platform: there is one, where $GON_HOST names a host. What it is asked is answered in C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from _gon_opencl import lib
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import require
from gon_shim.opencl.khronos import constants as cl

if TYPE_CHECKING:
    from _gon_opencl import CData

PLATFORM: Final = lib.gon_platform()


def check_platform(handle: CData) -> None:
    """Raise ClError for another one; none is the same: that is the implementation's choice."""
    require(not handle or handle == PLATFORM, cl.CL_INVALID_PLATFORM)


@entry("clUnloadPlatformCompiler")
def unload_platform_compiler(platform: CData) -> None:
    require(platform == PLATFORM, cl.CL_INVALID_PLATFORM)


@entry("clUnloadCompiler")
def unload_compiler() -> None:
    """Do nothing: compilers are the host's."""
