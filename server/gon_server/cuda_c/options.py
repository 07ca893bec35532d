"""Compiler options of CUDA C: those of NVRTC that mean something here, and those that may be there.

Rules: pure. An option that is not known is refused: it might change what the program means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gon.errors import InvalidArgument
from gon.limits import OPTIONS_BYTES_MAX

_DEFINE: Final = re.compile(r"(?:-D|--define-macro=)(?P<name>[A-Za-z_]\w*)(?:=(?P<value>.*))?")
_UNDEFINE: Final = re.compile(r"(?:-U|--undefine-macro=)(?P<name>[A-Za-z_]\w*)")
# Say nothing about what a program must compute: code generation, debugging, warnings, the language,
# leave to be less exact, which is not taken.
_SILENT: Final = re.compile(
    r"-w|-G|-lineinfo|--?(?:device-debug|generate-line-info|disable-warnings|restrict|"
    r"extra-device-vectorization|device-as-default-execution-space|default-device)"
    r"|--?std=c\+\+(?:03|11|14|17)|--?(?:gpu-architecture|arch)=\w+|--?maxrregcount=\d+"
    r"|--?(?:ftz|prec-div|prec-sqrt)=(?:true|false)|--?use_fast_math"
)


@dataclass(frozen=True, slots=True)
class Options:
    """`contracts` says whether a*b+c may be one rounding, which is CUDA's default."""

    defines: dict[str, str]
    undefines: frozenset[str]
    contracts: bool = True


def read_options(text: str) -> Options:
    """Return the options. Raises InvalidArgument naming the one that is not taken."""
    if len(text) > OPTIONS_BYTES_MAX or not text.isprintable():
        raise InvalidArgument(f"compiler options are at most {OPTIONS_BYTES_MAX} plain characters")
    defines: dict[str, str] = {}
    undefines: set[str] = set()
    contracts = True
    for word in re.sub(r"(^|\s)-([DU])\s+", r"\1-\2", text).split():
        if found := _DEFINE.fullmatch(word):
            defines[found["name"]] = "1" if found["value"] is None else found["value"]
        elif found := _UNDEFINE.fullmatch(word):
            undefines.add(found["name"])
            defines.pop(found["name"], None)
        elif re.fullmatch(r"--?fmad=(?:true|false)", word):
            contracts = word.endswith("true")
        elif not _SILENT.fullmatch(word):
            raise InvalidArgument(
                f"compiler option {word!r} is refused; possible are -DNAME[=VALUE], -UNAME, "
                "--fmad=, --use_fast_math, --std=, --gpu-architecture= and a few that say nothing"
            )
    return Options(defines, frozenset(undefines), contracts)
