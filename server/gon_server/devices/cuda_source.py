"""What of a tenant's CUDA C and options reaches NVRTC: nothing that makes it read the host's files.

NVRTC opens any path that `#include` names, and prints lines of what it read in its log. A kernel on
a GPU cannot reach files, so what is refused here is what holds a tenant's program to its own text:
it may include headers that it brings along and those of CUDA, and of C what NVRTC knows by itself.

Rules: pure. Directives are found as a compiler finds them (program_text), also those in branches
that are not taken, and in comments: rather one too many.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from gon.errors import InvalidArgument
from gon.limits import (
    NAME_BYTES_MAX,
    OPTIONS_BYTES_MAX,
    PROGRAM_HEADERS_MAX,
    PROGRAM_NAMES_MAX,
    SOURCE_BYTES_MAX,
)
from gon.model import Program
from gon_server.devices.program_text import (
    LOOKS_FOR_FILE,
    PLAIN,
    Reading,
    readings,
    text_of,
)

PROGRAM_NAME: Final = "program.cu"

_INTEGERS: Final = "".join(
    f"typedef {kind} int{bits}_t;\ntypedef unsigned {kind} uint{bits}_t;\n"
    for bits, kind in ((16, "short"), (32, "int"), (64, "long long"))
)
_STDINT: Final = (
    f"#pragma once\ntypedef signed char int8_t;\ntypedef unsigned char uint8_t;\n{_INTEGERS}"
    "typedef long long intptr_t;\ntypedef unsigned long long uintptr_t;\n"
)
# Headers of C and of CUDA's host side that sources for nvcc include: NVRTC has what they declare
# for kernels without them, or these texts give it.
BUILT_IN: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "assert.h",
            "cassert",
            "cmath",
            "cstddef",
            "cstdio",
            "cstdlib",
            "cuda.h",
            "cuda_runtime.h",
            "cuda_runtime_api.h",
            "device_launch_parameters.h",
            "math.h",
            "stddef.h",
            "stdio.h",
            "stdlib.h",
        ),
        "",
    ),
    "cstdint": _STDINT,
    "stdint.h": _STDINT,
    "cfloat": "#include <cuda/std/cfloat>\n",
    "float.h": "#include <cuda/std/cfloat>\n",
    "climits": "#include <cuda/std/climits>\n",
    "limits.h": "#include <cuda/std/climits>\n",
}
# CUDA's own headers for kernels, which NVRTC reads from where CuPy finds CUDA.
_CUDA_HEADER: Final = re.compile(
    r"cooperative_groups\.h|cooperative_groups/\w+\.h|cuComplex\.h|cuda_bf16\.h"
    r"|cuda_fp(?:16|8|6|4)\.h|cuda_pipeline(?:_primitives)?\.h|curand_kernel\.h"
    r"|math_constants\.h|mma\.h|vector_types\.h|vector_functions\.h"
    r"|(?:cuda|nv)/(?:std/)?\w+|cub/(?:\w+/)?\w+\.cuh"
)

_HEADER_NAME: Final = re.compile(r"(?!.*\.\.)[\w+-][\w.+-]*(?:/[\w.+-]+)*", re.ASCII)
_NAME_EXPRESSION: Final = re.compile(r"[\w:<>,&*() +-]+", re.ASCII)
_OPTION: Final = re.compile(
    r"-w|-D\w+(?:=[\w.+*/%(),:<>|&^~!?-]*)?|-U\w+|--?std=c\+\+(?:11|14|17|20)"
    r"|--?use_fast_math|--?extra-device-vectorization"
    r"|--?(?:ftz|prec-div|prec-sqrt|fmad)=(?:true|false)"
    r"|--?maxrregcount=\d{1,3}|--?restrict|-lineinfo|--generate-line-info|-G|--device-debug"
    r"|-default-device|--device-as-default-execution-space|--?diag-suppress=\d+(?:,\d+)*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What NVRTC is given. `wants_cuda` says whether headers of CUDA's own are included."""

    text: str
    headers: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    options: tuple[str, ...]
    wants_cuda: bool


def check_program(program: Program) -> Checked:
    """Return what of a program may be compiled. Raises InvalidArgument, naming file and line."""
    given = _check_headers(program.headers)
    texts = {PROGRAM_NAME: text_of(program.code), **given}
    wanted = {name for file, text in texts.items() for name in _included(file, text, given.keys())}
    built_in = {name: BUILT_IN[name] for name in wanted & BUILT_IN.keys() - given.keys()}
    wants_cuda = bool(wanted - given.keys() - BUILT_IN.keys()) or any(
        "#include" in text for text in built_in.values()
    )
    return Checked(
        texts[PROGRAM_NAME],
        tuple({**given, **built_in}.items()),
        _check_names(program.names),
        _check_options(program.options),
        wants_cuda,
    )


def check_reads_nothing(file: str, text: str) -> None:
    """Raise InvalidArgument, naming the line, if the text includes anything at all."""
    for name in _included(file, text, ()):
        raise InvalidArgument(f"{file}: it includes {name!r}; programs of this format include none")


def _check_headers(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    if len(headers) > PROGRAM_HEADERS_MAX:
        raise InvalidArgument(f"{len(headers)} headers; at most {PROGRAM_HEADERS_MAX}")
    if sum(len(text) for _name, text in headers) > SOURCE_BYTES_MAX:
        raise InvalidArgument(f"headers of more than {SOURCE_BYTES_MAX} bytes")
    for name, text in headers:
        if not _HEADER_NAME.fullmatch(name) or len(name) > NAME_BYTES_MAX:
            raise InvalidArgument(f"header {name!r}: the name of a header is a relative path")
        if "\0" in text:
            raise InvalidArgument(f"header {name!r} contains a zero byte")
    return dict(headers)


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > PROGRAM_NAMES_MAX:
        raise InvalidArgument(f"{len(names)} name expressions; at most {PROGRAM_NAMES_MAX}")
    for name in names:
        if len(name) > NAME_BYTES_MAX or not _NAME_EXPRESSION.fullmatch(name):
            raise InvalidArgument(f"{name!r} is no name expression such as scale<float>")
    return names


def _included(file: str, text: str, given: Collection[str]) -> Iterator[str]:
    """Yield the headers a text includes. Raises InvalidArgument for one that it may not."""
    for reading in readings(text):
        looks = LOOKS_FOR_FILE.search(reading.spliced)
        if looks is not None:
            _refuse(file, reading, looks, "a program does not look for files of the host")
        for found in reading.reads_file():
            name = found["quoted"] or found["angled"]
            if found["word"] != "include":
                _refuse(file, reading, found, "a program reads no files of the host")
            if name is None:
                _refuse(file, reading, found, "it must name its header, not a macro")
            if name not in given and name not in BUILT_IN and not _CUDA_HEADER.fullmatch(name):
                given_names = ", ".join(sorted(given)) or "none"
                why = (
                    f"{name!r} is neither a header of CUDA nor among those given ({given_names}); "
                    "a program reads no files of the host"
                )
                _refuse(file, reading, found, why)
            yield name


def _refuse(file: str, reading: Reading, found: re.Match[str], why: str) -> NoReturn:
    line = reading.line_at(found.start("word"))
    raise InvalidArgument(f"{file}:{line}: {found['word']} is refused: {why}")


def _check_options(options: str) -> tuple[str, ...]:
    if len(options) > OPTIONS_BYTES_MAX or not PLAIN.fullmatch(options):
        raise InvalidArgument(
            f"compiler options are at most {OPTIONS_BYTES_MAX} characters of plain ASCII"
        )
    # "-D NAME" is "-DNAME" to NVRTC; written as one, it can be looked at as one.
    words = re.sub(r"(^|\s)-(D|U)\s+", r"\1-\2", options).split()
    for word in words:
        if not _OPTION.fullmatch(word) or LOOKS_FOR_FILE.search(word):
            raise InvalidArgument(
                f"compiler option {word!r} is refused; possible are -DNAME[=VALUE] without quotes "
                "or blanks, -UNAME, -w, -std=, --use_fast_math, -ftz=, -prec-div=, -prec-sqrt=, "
                "-fmad=, --maxrregcount=, --restrict, -lineinfo, -G, -default-device and "
                "-diag-suppress=; the architecture is the unit's"
            )
    return tuple(words)
