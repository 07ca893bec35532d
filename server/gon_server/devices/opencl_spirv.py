"""What a SPIR-V module says of its kernels' parameters; drivers tell only how many there are.

Rules: pure. A module comes from a tenant: lengths and ids are believed only as far as they hold,
and what is cut short or unbalanced is refused before a compiler sees it (one was seen to crash on
it).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gon.errors import InvalidArgument
from gon.limits import SOURCE_BYTES_MAX

MAGIC: Final = 0x07230203
HEADER_WORDS: Final = 5
KERNEL_MODEL: Final = 6
OP_NAME, OP_ENTRY_POINT, OP_DECORATE = 5, 15, 71
OP_TYPE_INT, OP_TYPE_FLOAT, OP_TYPE_VECTOR, OP_TYPE_POINTER = 21, 22, 23, 32
OP_TYPE_IMAGE, OP_TYPE_SAMPLER = 25, 26
OP_FUNCTION, OP_PARAMETER, OP_FUNCTION_END = 54, 55, 56
# The least words of those, their own first word included.
LEAST_WORDS: Final = {
    OP_NAME: 3,
    OP_ENTRY_POINT: 4,
    OP_DECORATE: 3,
    OP_TYPE_INT: 4,
    OP_TYPE_FLOAT: 3,
    OP_TYPE_VECTOR: 4,
    OP_TYPE_POINTER: 4,
    OP_TYPE_IMAGE: 9,
    OP_TYPE_SAMPLER: 2,
    OP_FUNCTION: 5,
    OP_PARAMETER: 3,
    OP_FUNCTION_END: 1,
}
FUNC_PARAM_ATTR, NO_WRITE = 38, 6
# What images are of, by number; OpenCL's number of the first access, to which others are added.
IMAGES: Final = {0: "1d", 1: "2d", 2: "3d", 5: "1d_buffer"}
READ_ONLY: Final = 0x11A0
# Where a pointer points to.
CONSTANT, LOCAL, GLOBAL, BY_VALUE = 0, 4, 5, 7
SPACES: Final = {CONSTANT: "constant", LOCAL: "local", GLOBAL: "global", BY_VALUE: "private"}


@dataclass(frozen=True, slots=True)
class IlParam:
    """One parameter: `space` is "private" for values; `element` is the type of it or of what it
    points to, as OpenCL C calls it, "" where it has no name; `const` whether the kernel never
    writes through it. `opaque` is the type of an image or a sampler, which has none of those, and
    `access` OpenCL's number of how the image is accessed."""

    name: str
    space: str
    element: str
    const: bool
    opaque: str = ""
    access: int = 0


@dataclass(slots=True)
class _Seen:
    names: dict[int, str] = field(default_factory=dict[int, str])
    kernels: dict[int, str] = field(default_factory=dict[int, str])
    types: dict[int, str] = field(default_factory=dict[int, str])
    pointers: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    opaque: dict[int, tuple[str, int]] = field(default_factory=dict[int, tuple[str, int]])
    read_only: set[int] = field(default_factory=set[int])
    functions: dict[int, list[tuple[int, int]]] = field(
        default_factory=dict[int, list[tuple[int, int]]]
    )
    open_function: int | None = None


def kernels_of(code: bytes) -> dict[str, list[IlParam]]:
    """Return the parameters of each kernel.

    Raises InvalidArgument for what is no whole SPIR-V module.
    """
    seen = _Seen()
    for op, words in instructions(code):
        _note(seen, op, words)
    if seen.open_function is not None:
        raise InvalidArgument("the SPIR-V module ends within a function")
    return {
        name: [_param(seen, type_id, own_id) for type_id, own_id in seen.functions.get(entry, [])]
        for entry, name in seen.kernels.items()
    }


def instructions(code: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield each instruction's number and the words behind it. Raises InvalidArgument."""
    if len(code) > SOURCE_BYTES_MAX or len(code) % 4 or len(code) < 4 * HEADER_WORDS:
        raise InvalidArgument(f"{len(code)} bytes are no SPIR-V module")
    words = struct.unpack(f"<{len(code) // 4}I", code)
    if words[0] != MAGIC:
        raise InvalidArgument(f"a SPIR-V module begins with {MAGIC:#x}, this with {words[0]:#x}")
    place = HEADER_WORDS
    while place < len(words):
        count, op = words[place] >> 16, words[place] & 0xFFFF
        if count < LEAST_WORDS.get(op, 1) or place + count > len(words):
            raise InvalidArgument(f"the SPIR-V module is cut short or broken at word {place}")
        yield op, words[place + 1 : place + count]
        place += count


def _note(seen: _Seen, op: int, words: tuple[int, ...]) -> None:
    if op == OP_NAME:
        seen.names[words[0]] = text_of(words[1:])
    elif op == OP_ENTRY_POINT and words[0] == KERNEL_MODEL:
        seen.kernels[words[1]] = text_of(words[2:])
    elif op == OP_DECORATE and words[1:3] == (FUNC_PARAM_ATTR, NO_WRITE):
        seen.read_only.add(words[0])
    elif op == OP_TYPE_INT:
        seen.types[words[0]] = {8: "uchar", 16: "ushort", 32: "uint", 64: "ulong"}.get(words[1], "")
    elif op == OP_TYPE_FLOAT:
        seen.types[words[0]] = {16: "half", 32: "float", 64: "double"}.get(words[1], "")
    elif op == OP_TYPE_VECTOR:
        element = seen.types.get(words[1], "")
        seen.types[words[0]] = f"{element}{words[2]}" if element else ""
    elif op == OP_TYPE_IMAGE:
        seen.opaque[words[0]] = _image(words)
    elif op == OP_TYPE_SAMPLER:
        seen.opaque[words[0]] = ("sampler_t", 0)
    elif op == OP_TYPE_POINTER:
        seen.pointers[words[0]] = (words[1], words[2])
    elif op == OP_FUNCTION:
        if seen.open_function is not None:
            raise InvalidArgument("the SPIR-V module has a function within a function")
        seen.open_function = words[1]
        seen.functions[words[1]] = []
    elif op == OP_PARAMETER:
        if seen.open_function is None:
            raise InvalidArgument("the SPIR-V module has a parameter outside a function")
        seen.functions[seen.open_function].append((words[0], words[1]))
    elif op == OP_FUNCTION_END:
        seen.open_function = None


def _image(words: tuple[int, ...]) -> tuple[str, int]:
    """Return how OpenCL C calls an image's type, "" where it has none, and its access."""
    dimensions, depth, arrayed = IMAGES.get(words[2], ""), words[3] == 1, bool(words[4])
    if not dimensions or words[5]:  # with samples
        return "", 0
    name = f"image{dimensions}{'_array' if arrayed else ''}{'_depth' if depth else ''}_t"
    return name, READ_ONLY + (words[8] if len(words) > 8 else 0)


def _param(seen: _Seen, type_id: int, own_id: int) -> IlParam:
    name = seen.names.get(own_id, "")
    if type_id in seen.opaque:
        opaque, access = seen.opaque[type_id]
        return IlParam(name, "", "", const=True, opaque=opaque, access=access)
    pointer = seen.pointers.get(type_id)
    if pointer is None:
        return IlParam(name, SPACES[BY_VALUE], seen.types.get(type_id, ""), const=True)
    space, element = pointer
    const = space == CONSTANT or own_id in seen.read_only
    return IlParam(name, SPACES.get(space, ""), seen.types.get(element, ""), const)


def text_of(words: tuple[int, ...]) -> str:
    """Return the text that words hold, up to its end."""
    octets = struct.pack(f"<{len(words)}I", *words)
    return octets.partition(b"\0")[0].decode(errors="replace")
