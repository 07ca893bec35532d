"""Failures as CUDA's numbers: what an entry raises, and which number each error of ours is."""

from __future__ import annotations

import os
import sys
from typing import Final

from _gon_cuda import lib
from gon.errors import Code, GonError

VERBOSE_VARIABLE: Final = "GON_CUDA_VERBOSE"

_CODES: Final[dict[Code, int]] = {
    Code.INVALID_ARGUMENT: lib.CUDA_ERROR_INVALID_VALUE,
    Code.BAD_HANDLE: lib.CUDA_ERROR_INVALID_HANDLE,
    Code.KERNEL_ARGUMENT: lib.CUDA_ERROR_INVALID_VALUE,
    Code.LAUNCH_TOO_LARGE: lib.CUDA_ERROR_INVALID_VALUE,
    Code.COMPILE: lib.CUDA_ERROR_INVALID_SOURCE,
    Code.UNSUPPORTED: lib.CUDA_ERROR_NOT_SUPPORTED,
    Code.OUT_OF_MEMORY: lib.CUDA_ERROR_OUT_OF_MEMORY,
    Code.DEVICE: lib.CUDA_ERROR_LAUNCH_FAILED,
    Code.HOST_UNREACHABLE: lib.CUDA_ERROR_NO_DEVICE,
    Code.LEASE_REFUSED: lib.CUDA_ERROR_NO_DEVICE,
    Code.LEASE_LOST: lib.CUDA_ERROR_DEVICE_UNAVAILABLE,
    Code.LINK_LOST: lib.CUDA_ERROR_DEVICE_UNAVAILABLE,
}


class CuError(Exception):
    """An entry fails with this number."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def require(holds: object, code: int) -> None:
    """Raise CuError unless `holds`."""
    if not holds:
        raise CuError(code)


def code_of(error: GonError) -> int:
    """Return the number an error of ours is told as."""
    return _CODES.get(error.code, lib.CUDA_ERROR_UNKNOWN)


def say(text: str) -> None:
    """Write a line for whoever asked for it by GON_CUDA_VERBOSE: a number says little."""
    if os.environ.get(VERBOSE_VARIABLE):
        print(f"GoN CUDA: {text}", file=sys.stderr, flush=True)  # noqa: T201
