"""What a program loads as a module: told from its first bytes, for no length comes with it.

Rules: reads the program's memory and nothing else, and never more than a unit would take.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from _gon_cuda import ffi, lib
from gon.limits import SOURCE_BYTES_MAX
from gon_shim.cuda import elf
from gon_shim.cuda.errors import require

if TYPE_CHECKING:
    from _gon_cuda import CData

# A container of images for several GPUs, and what nvcc puts in a program to point to one.
_FAT_BINARY: Final = b"\x50\xed\x55\xba"
_FAT_WRAPPER: Final = b"\xb1\x43\x62\x46"
# Of PTX the first thing that is no comment.
_PTX: Final = re.compile(rb"(?:\s|//[^\n]*\n|/\*.*?\*/)*\.version\b", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Image:
    """A program and its format: that of a unit, or "fatbin", which no unit takes as it is."""

    code: bytes
    code_format: str


def read_image(at: CData) -> Image:
    """Return what lies at an address that the program gave. Raises CuError for too much."""
    magic = bytes(ffi.buffer(at, 4))
    if magic in (_FAT_BINARY, _FAT_WRAPPER):
        return Image(b"", "fatbin")
    if magic == elf.MAGIC:
        size = elf.size_of(bytes(ffi.buffer(at, elf.HEAD_BYTES)))
        require(size <= SOURCE_BYTES_MAX, lib.CUDA_ERROR_INVALID_IMAGE)
        return Image(bytes(ffi.buffer(at, size)), "cubin")
    text = ffi.string(ffi.cast("char *", at), SOURCE_BYTES_MAX + 1)
    require(len(text) <= SOURCE_BYTES_MAX, lib.CUDA_ERROR_INVALID_IMAGE)
    return Image(text, "ptx" if _PTX.match(text) else "cuda-c")
