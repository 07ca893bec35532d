"""Maxima of programs that are uploaded before they are loaded, and of what runs them: as
gon/limits.py, for both sides.

A program of up to SOURCE_BYTES_MAX travels within its operation. Those of engines may be larger,
for they hold weights, and so may texts, for they hold tables: such a one travels as a buffer's
bytes do, and is loaded from there.
"""

from __future__ import annotations

from typing import Final

from gon.limits import BUILT_BYTES_MAX, GIB, MIB, PROGRAM_BYTES_MAX

# A text that is compiled: hashcat's have 2.5 MiB with their headers. Intel's compiler takes 120
# times the size of tables and 300 times that of functions (measured), of the 2 GiB that a builder
# may have.
TEXT_BYTES_MAX: Final = 16 * MIB
# The formats of programs that may be uploaded: some hold weights, others are texts.
_WITH_WEIGHTS: Final = frozenset({"onnx", "stablehlo", "vmvx"})
_TEXTS: Final = frozenset({"opencl-c"})
# The largest program that a host takes unless it is told another maximum: networks for vision and
# speech have 10 to 500 MB.
UPLOADED_BYTES = 512 * MIB
# The most that a host may be told: a host holds a program four times while it is built, and ONNX's
# form ends at 2 GiB.
UPLOADED_BYTES_MAX = 1 * GIB

# What the engines of one lease may take of the host's memory beside its buffers: loaded programs,
# intermediate results, and the stacks of a large host's threads, which count whole (128 of 8 MiB).
ENGINE_MEMORY_BYTES = 4 * GIB


def most_uploaded(code_format: str, program_bytes: int) -> int:
    """Return the most that an uploaded program of a format may have, where a host takes
    `program_bytes`; 0 where programs of that format are not uploaded.
    """
    if code_format in _WITH_WEIGHTS:
        return program_bytes
    return min(program_bytes, TEXT_BYTES_MAX) if code_format in _TEXTS else 0


def sealed_program_bytes(uploaded_bytes: int) -> int:
    """Return the most that a program takes as one process of a host hands it to another, where
    uploaded ones have at most so much.
    """
    return PROGRAM_BYTES_MAX + uploaded_bytes


def built_bytes(uploaded_bytes: int) -> int:
    """Return the most that building one program may give: it holds the program's weights too."""
    return BUILT_BYTES_MAX + uploaded_bytes
