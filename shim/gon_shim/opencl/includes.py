"""Headers put into a program's text here, where they are: the host reads no files for a program.

Rules: pure but for reading headers. Text that the compiler leaves out may include what is not
there: that becomes an `#error`, which speaks only where it counts.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from gon.errors import LimitExceeded
from gon.program_limits import TEXT_BYTES_MAX
from gon_shim.opencl.comments import COMMENT, STRING, uncommented
from gon_shim.opencl.guards import CONDITIONS, Certain, guarded
from gon_shim.opencl.limits import INCLUDE_DEPTH_MAX
from gon_shim.opencl.macros import Macro, defined, operand, undefined

# Comments and strings are walked over, for what is in them is no directive.
_TAIL: Final = rf"(?:{COMMENT}|{STRING}|\\[ \t\r]*\n|[^\n])*+"
_INCLUDE: Final = re.compile(
    rf"(?P<comment>{COMMENT})|{STRING}|"
    r'(?P<include>^[ \t]*#[ \t]*include[ \t]*(?:(?P<name>"[^"\n]+"|<[^>\n]+>)|(?=[A-Za-z_])'
    rf"(?P<operand>{_TAIL})){_TAIL})|"
    rf"(?:#|%:)(?:[ \t]|{COMMENT}|\\[ \t\r]*\n)*+(?P<condition>{CONDITIONS})\b{_TAIL}",
    re.MULTILINE,
)
_NAME: Final = re.compile(r'\s*(?:"([^"\n]+)"|<([^>\n]+)>)')
# What a host that reads no comments takes for a directive.
_LOOKS_SO: Final = re.compile(r"(^[ \t]*(?:#|%:)[ \t]*)(?=include|import|embed)", re.MULTILINE)
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
    """A header, its directory if it has one, and the name by which it counts once, if it does."""

    name: str
    body: str
    folder: Path | None
    guard: str


class _Including:
    """Puts headers into one program's text; `_room_bytes` is what they may have altogether, for one
    that includes another twice doubles it.
    """

    def __init__(self, options: Options, headers: Mapping[str, str]) -> None:
        self._options = options
        self._headers = headers
        self._room_bytes = TEXT_BYTES_MAX
        self._certain = Certain(options.macros)
        # What headers' texts become, and their guards.
        self._guarded: dict[str, tuple[str, str]] = {}

    def __repr__(self) -> str:
        return f"_Including({self._room_bytes} bytes more)"

    def expanded(self, text: str, within: tuple[_Header, ...] = ()) -> str:
        """Return a text with what it includes; `within` are the headers that led to it, of which
        the last has this text. Raises LimitExceeded.
        """
        made: list[str] = []
        end = line = 0
        last = text.rfind("include")
        certain, guard = self._certain, within[-1].guard if within else ""
        depth = certain.enter(text, guard)
        for found in _INCLUDE.finditer(text):
            if found.start() > last:
                break
            certain.come_to(found.start())
            if found["condition"]:
                certain.step(found["condition"])
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
        certain.leave(depth, guard)
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
        guard = header.guard
        if guard and guard in self._certain:
            return ""
        self._room_bytes -= len(header.body)
        if self._room_bytes < 0:
            raise LimitExceeded(f"what the program includes has more than {TEXT_BYTES_MAX} bytes")
        inner = self.expanded(header.body, (*within, header))
        return f'#line 1 "{header.name}"\n{inner}\n{goes_on}'

    def _header(self, named: re.Match[str], within: tuple[_Header, ...]) -> _Header | None:
        """Return a header, None if it is not there."""
        name = named[1] or named[2]
        body, folder = self._headers.get(name), None
        if body is None:
            here = within[-1].folder if within else None
            beside = [here] if here is not None and not named[2] else []
            body, folder = _read(name, [*beside, *self._options.folders])
        if body is None:
            return None
        if body not in self._guarded:
            self._guarded[body] = guarded(body.removeprefix(_BYTE_ORDER_MARK))
        return _Header(name, self._guarded[body][0], folder, self._guarded[body][1])


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
