"""Headers put into a program's text here, where they are: the host reads no files for a program.

Rules: pure but for reading headers. Text that the compiler leaves out may include what is not
there: that becomes an `#error`, which speaks only where it counts.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from gon.errors import LimitExceeded
from gon.program_limits import TEXT_BYTES_MAX
from gon_shim.opencl.comments import COMMENT, STRING, uncommented
from gon_shim.opencl.limits import INCLUDE_DEPTH_MAX
from gon_shim.opencl.macros import Macro, defined, operand, undefined

# Comments and strings are walked over, for what is in them is no directive.
_TAIL: Final = rf"(?:{COMMENT}|{STRING}|\\[ \t\r]*\n|[^\n])*+"
_INCLUDE: Final = re.compile(
    rf"(?P<comment>{COMMENT})|{STRING}|"
    r'(?P<include>^[ \t]*#[ \t]*include[ \t]*(?:(?P<name>"[^"\n]+"|<[^>\n]+>)|(?=[A-Za-z_])'
    rf"(?P<operand>{_TAIL})){_TAIL})",
    re.MULTILINE,
)
_NAME: Final = re.compile(r'\s*(?:"([^"\n]+)"|<([^>\n]+)>)')
_ONCE: Final = re.compile(
    rf"{COMMENT}|{STRING}|(?P<once>^[ \t]*#[ \t]*pragma[ \t]+once\b[^\n/]*)", re.MULTILINE
)
# What a host that reads no comments takes for a directive.
_LOOKS_SO: Final = re.compile(r"(^[ \t]*(?:#|%:)[ \t]*)(?=include|import|embed)", re.MULTILINE)
# A header whose text counts once, by a name that it defines itself.
_GUARD: Final = re.compile(
    r"\s*#[ \t]*(?:ifndef[ \t]+|if[ \t]*![ \t]*defined[ \t(]+)(\w+)[ \t)]*"
    r"\n\s*#[ \t]*define[ \t]+\1\b.*\n[ \t]*#[ \t]*endif\s*",
    re.DOTALL,
)
_BYTE_ORDER_MARK: Final = "\ufeff"
# What a compiler of OpenCL C is told, and the host's need not be: debugging, and what it does
# anyway.
_LEFT_OUT: Final = frozenset({"-g", "-cl-kernel-arg-info"})


class Options(NamedTuple):
    """What a program is built with: `kept` is for the host, the rest for its text. `undefined` are
    names that the compiler may define itself.
    """

    kept: str
    folders: Sequence[Path] = ()
    macros: Mapping[str, Macro] = MappingProxyType({})
    undefined: Sequence[str] = ()


def split_options(options: str) -> Options:
    """Return options by who takes them; of one name the last says what it is. Raises ValueError."""
    kept: list[str] = []
    folders: list[Path] = []
    macros: dict[str, Macro] = {}
    gone: dict[str, None] = {}
    words = iter(shlex.split(options))
    for word in words:
        kind, given = word[:2], word[2:]
        if kind in ("-I", "-D", "-U") and not given:
            given = next(words, "")
        if kind == "-I":
            folders.append(Path(given))
        elif kind == "-D":
            name, macro = defined(given)
            macros[name] = macro
            gone.pop(name, None)
        elif kind == "-U":
            name = undefined(given)
            macros.pop(name, None)
            gone[name] = None
        elif word not in _LEFT_OUT:
            kept.append(word)
    plain = [each.option(name) for name, each in macros.items() if each.is_plain]
    return Options(" ".join([*kept, *plain]), folders, macros, tuple(gone))


def written(text: str, options: Options, headers: Mapping[str, str]) -> str:
    """Return a program's text as the host takes it, by itself: with what it includes in the place
    of each `#include`, of `headers` by name or of the options' folders. Raises LimitExceeded.
    """
    lines = [each.line(name) for name, each in options.macros.items() if not each.is_plain]
    lines += [f"#undef {name}\n" for name in options.undefined]
    if lines:
        lines.append("#line 1\n")
    text = text.removeprefix(_BYTE_ORDER_MARK)
    return "".join([*lines, _Including(options, headers).expanded(text)])


class _Header(NamedTuple):
    """A header, and its directory if it has one."""

    name: str
    body: str
    folder: Path | None


class _Including:
    """Puts headers into one program's text; `_room_bytes` is what they may have altogether, for one
    that includes another twice doubles it.
    """

    def __init__(self, options: Options, headers: Mapping[str, str]) -> None:
        self._options = options
        self._headers = headers
        self._room_bytes = TEXT_BYTES_MAX

    def __repr__(self) -> str:
        return f"_Including({self._room_bytes} bytes more)"

    def expanded(self, text: str, within: tuple[_Header, ...] = ()) -> str:
        """Return a text with what it includes; `within` are the headers that led to it, of which
        the last has this text. Raises LimitExceeded.
        """
        made: list[str] = []
        end = line = 0
        last = text.rfind("include")
        for found in _INCLUDE.finditer(text):
            if found.start() > last:
                break
            if not found["comment"] and not found["include"]:
                continue
            line += text.count("\n", end, found.end())
            made.append(text[end : found.start()])
            end = found.end()
            if found["comment"]:
                made.append(_LOOKS_SO.sub(r"\1-", found[0]))
            else:
                own_name = within[-1].name if within else "program"
                made.append(self._put(found, within, f'#line {line + 2} "{own_name}"'))
        return "".join([*made, text[end:]])

    def _put(self, found: re.Match[str], within: tuple[_Header, ...], goes_on: str) -> str:
        """Return what stands for an `#include`."""
        said = found["operand"]
        named = _NAME.match(operand(said, self._options.macros) if said else found["name"])
        if named is None:
            what = uncommented(said).strip().replace('"', "'")
            return f'#error "#include {what}: no option makes a name of it"'
        header = self._header(named, within)
        if header is None or len(within) >= INCLUDE_DEPTH_MAX:
            return f'#error "{named[1] or named[2]}: file not found"'
        if any(each.body == header.body for each in within) and _counts_once(header.body):
            return ""
        inner = self.expanded(_guarded(header.body), (*within, header))
        return f'#line 1 "{header.name}"\n{inner}\n{goes_on}'

    def _header(self, named: re.Match[str], within: tuple[_Header, ...]) -> _Header | None:
        """Return a header. Raises LimitExceeded."""
        name = named[1] or named[2]
        body, folder = self._headers.get(name), None
        if body is None:
            here = within[-1].folder if within else None
            beside = [here] if here is not None and not named[2] else []
            body, folder = _read(name, [*beside, *self._options.folders])
        if body is None:
            return None
        self._room_bytes -= len(body)
        if self._room_bytes < 0:
            raise LimitExceeded(f"what the program includes has more than {TEXT_BYTES_MAX} bytes")
        return _Header(name, body.removeprefix(_BYTE_ORDER_MARK), folder)


def _once(body: str) -> re.Match[str] | None:
    return next((found for found in _ONCE.finditer(body) if found["once"]), None)


def _counts_once(body: str) -> bool:
    """Whether a header's text that is there twice says nothing the second time."""
    return _once(body) is not None or _GUARD.fullmatch(uncommented(body)) is not None


def _guarded(body: str) -> str:
    """Return a header's text that is there once, if it says so: no file is left to know it by."""
    found = _once(body)
    if found is None:
        return body
    name = f"GON_ONCE_{hashlib.sha256(body.encode()).hexdigest()[:16]}"
    text = f"{body[: found.start()]}{body[found.end() :]}"
    return f"#ifndef {name}\n#define {name}\n#line 1\n{text}\n#endif\n"


def _read(name: str, folders: Sequence[Path]) -> tuple[str | None, Path | None]:
    """Return a header's text and its directory."""
    for folder in (*folders, Path()):
        path = folder / name
        try:
            body = path.read_bytes().decode(errors="replace")
        except (OSError, ValueError):  # also of a name with a zero byte
            continue
        return body.replace("\r\n", "\n").replace("\r", "\n"), path.parent
    return None, None
