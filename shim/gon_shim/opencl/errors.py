"""Failures as OpenCL's numbers: what an entry raises, and which number each error of ours is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from gon.errors import Code, GonError
from gon_shim.opencl.khronos import constants as cl

if TYPE_CHECKING:
    from _gon_opencl import CData

VERBOSE_VARIABLE: Final = "GON_ICD_VERBOSE"

_CODES: Final[dict[Code, int]] = {
    Code.INVALID_ARGUMENT: cl.CL_INVALID_VALUE,
    Code.BAD_HANDLE: cl.CL_INVALID_VALUE,
    Code.KERNEL_ARGUMENT: cl.CL_INVALID_KERNEL_ARGS,
    Code.LAUNCH_TOO_LARGE: cl.CL_INVALID_WORK_GROUP_SIZE,
    Code.COMPILE: cl.CL_BUILD_PROGRAM_FAILURE,
    Code.UNSUPPORTED: cl.CL_INVALID_OPERATION,
    Code.OUT_OF_MEMORY: cl.CL_MEM_OBJECT_ALLOCATION_FAILURE,
    Code.LIMIT_EXCEEDED: cl.CL_OUT_OF_RESOURCES,
    Code.DEVICE: cl.CL_OUT_OF_RESOURCES,
    Code.HOST_UNREACHABLE: cl.CL_DEVICE_NOT_AVAILABLE,
    Code.LEASE_REFUSED: cl.CL_DEVICE_NOT_AVAILABLE,
    Code.LEASE_LOST: cl.CL_DEVICE_NOT_AVAILABLE,
    Code.LINK_LOST: cl.CL_DEVICE_NOT_AVAILABLE,
}


class ClError(Exception):
    """An entry fails with this number; `made` is what it returns all the same."""

    def __init__(self, code: int, made: CData | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.made = made


def require(holds: object, code: int) -> None:
    """Raise ClError unless `holds`."""
    if not holds:
        raise ClError(code)


def code_of(error: GonError) -> int:
    """Return the number an error of ours is told as."""
    return _CODES.get(error.code, cl.CL_OUT_OF_RESOURCES)


def told(name: str, error: BaseException) -> int:
    """Return the number that whatever `name` raised is told as; say what a number does not."""
    if isinstance(error, ClError):
        return error.code
    say(f"{name}: {error!r}")
    return code_of(error) if isinstance(error, GonError) else cl.CL_OUT_OF_HOST_MEMORY


def say(text: str) -> None:
    """Write a line for whoever asked for it by GON_ICD_VERBOSE: a number says little."""
    if os.environ.get(VERBOSE_VARIABLE):
        print(f"GoN OpenCL: {text}", file=sys.stderr, flush=True)  # noqa: T201
