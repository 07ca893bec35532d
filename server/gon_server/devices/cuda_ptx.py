"""What PTX says of a module: its kernels, what each takes in bytes, and its variables.

PTX is what NVRTC gives beside machine code and what a program may bring itself. It tells sizes, and
by `.ptr`, which newer compilers write, which parameters are pointers.

Rules: pure; a declaration that is not understood leaves its kernel out, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gon.errors import CompileError
from gon.model import Dim3, GlobalInfo, Param, ParamKind

_COMMENT: Final = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# Variables that no program has named: text of `printf`.
_COMPILERS_OWN: Final = ("$", "__unnamed_")
_NAME: Final = r"[A-Za-z_$%.][\w$%.]{0,4095}"
_ENTRY: Final = re.compile(
    rf"\.entry\s+(?P<name>{_NAME})\s*(?:\((?P<params>[^)]{{0,65536}})\))?"
    r"(?P<limits>[^{;]{0,1024})[{;]"
)
_PARAM: Final = re.compile(
    r"\.param\s+(?:\.align\s+\d+\s+)?\.(?P<type>[a-z]+\d+)"
    r"(?P<ptr>\s+\.ptr(?:\s*\.(?P<space>const|global|local|shared))?(?:\s+\.align\s+\d+)?)?"
    rf"\s+(?P<name>{_NAME})\s*(?:\[\s*(?P<count>\d+)\s*\])?"
)
_BLOCK: Final = re.compile(r"\.reqntid\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?")
_VARIABLE: Final = re.compile(
    r"^\s*(?:\.(?:visible|weak|common)\s+)?\.(?:global|const)\s+(?:\.align\s+\d+\s+)?"
    r"(?:\.attribute\([^)]*\)\s+)?(?:\.v(?P<lanes>[24])\s+)?\.(?P<type>[a-z]+\d+)\s+"
    rf"(?P<name>{_NAME})(?P<dims>(?:\s*\[\s*\d+\s*\])*)\s*[=;,]",
    re.MULTILINE,
)
# Types that say how their bits are read; `.b` and the unsigned integers stand for any of a size.
_DTYPES: Final = {
    "f16": "float16",
    "f32": "float32",
    "f64": "float64",
    "s8": "int8",
    "s16": "int16",
    "s32": "int32",
    "s64": "int64",
}


@dataclass(frozen=True, slots=True)
class PtxParam:
    """A parameter: its size, and whether it is marked as a pointer."""

    type_name: str
    size_bytes: int
    marked: bool
    is_array: bool


@dataclass(frozen=True, slots=True)
class PtxEntry:
    """A kernel by its symbol; `problem` says why it cannot be launched, "" if it can."""

    symbol: str
    params: tuple[PtxParam, ...]
    required_block: Dim3 | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PtxModule:
    """Kernels and variables in the order of the text."""

    entries: tuple[PtxEntry, ...]
    variables: tuple[GlobalInfo, ...]

    @property
    def marks_pointers(self) -> bool:
        """Whether the compiler that made it marks pointers."""
        return any(param.marked for entry in self.entries for param in entry.params)


def read_ptx(code: bytes) -> PtxModule:
    """Return what the text declares. Raises CompileError for what is not PTX."""
    try:
        text = _COMMENT.sub(" ", code.decode("ascii"))
    except UnicodeDecodeError as error:
        raise CompileError("the module is no PTX", log=str(error)) from error
    if ".version" not in text or ".target" not in text:
        raise CompileError("the module is no PTX", log="it has no .version and no .target")
    entries = tuple(_entry(found) for found in _ENTRY.finditer(text))
    variables = tuple(
        _variable(found)
        for found in _VARIABLE.finditer(text)
        if not found["name"].startswith(_COMPILERS_OWN)
    )
    return PtxModule(entries, variables)


def _entry(found: re.Match[str]) -> PtxEntry:
    params: list[PtxParam] = []
    problem = ""
    pieces = (found["params"] or "").strip()
    for number, piece in enumerate(pieces.split(",") if pieces else ()):
        param = _PARAM.fullmatch(piece.strip())
        if param is None:
            problem = f"its parameter #{number} is declared as {piece.strip()!r}"
            break
        if param["space"] not in (None, "global", "const"):
            problem = f"its parameter #{number} points to {param['space']} memory"
            break
        size = _bits(param["type"]) // 8 * int(param["count"] or 1)
        params.append(
            PtxParam(f".{param['type']}", size, bool(param["ptr"]), param["count"] is not None)
        )
    asked = _BLOCK.search(found["limits"])
    required = (int(asked[1]), int(asked[2] or 1), int(asked[3] or 1)) if asked else None
    return PtxEntry(found["name"], tuple(params), required, problem)


def _variable(found: re.Match[str]) -> GlobalInfo:
    count = int(found["lanes"] or 1)
    for size in re.findall(r"\d+", found["dims"]):
        count *= int(size)
    kind = found["type"]
    return GlobalInfo(found["name"], f".{kind}", _DTYPES.get(kind, ""), _bits(kind) // 8 * count)


def _bits(type_name: str) -> int:
    return int(re.sub(r"\D", "", type_name))


def params_of(entry: PtxEntry, *, marks_pointers: bool) -> tuple[Param, ...]:
    """Return a kernel's parameters as far as PTX tells them.

    A parameter marked by `.ptr` is a buffer. In a module that marks none, every single 64-bit
    unsigned or untyped one is: the text does not tell it from a number.
    """
    return tuple(
        _param(number, param, marks_pointers=marks_pointers)
        for number, param in enumerate(entry.params)
    )


def _param(number: int, param: PtxParam, *, marks_pointers: bool) -> Param:
    name = f"#{number}"
    guessed = not marks_pointers and not param.is_array and param.type_name in (".u64", ".b64")
    if param.marked or guessed:
        return Param(name, ParamKind.BUFFER, f"{param.type_name} .ptr", "", 0, writes=True)
    dtype = "" if param.is_array else _DTYPES.get(param.type_name[1:], "")
    return Param(name, ParamKind.VALUE, param.type_name, dtype, param.size_bytes)


def plain_name(symbol: str) -> str:
    """Return the name that C++ knows a function outside of namespaces and templates by; the symbol
    itself for any other.
    """
    found = re.match(r"_Z(\d+)", symbol)
    if found is None:
        return symbol
    start, size = found.end(), int(found[1])
    name, rest = symbol[start : start + size], symbol[start + size :]
    whole = len(name) == size and name.isidentifier() and not rest.startswith("I")
    return name if whole else symbol
