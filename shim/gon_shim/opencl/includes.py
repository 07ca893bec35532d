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
from gon_shim.opencl.limits import INCLUDE_DEPTH_MAX
from gon_shim.opencl.macros import Macro, defined, operand, undefined

_INCLUDE: Final = re.compile(
    r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|([A-Za-z_][^\n]*)).*$', re.MULTILINE
)
_NAME: Final = re.compile(r'"([^"\n]+)"|<([^>\n]+)>')
_ONCE: Final = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once[ \t]*$", re.MULTILINE)
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
    return "".join([*lines, _Including(options, headers).expanded(text)])


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

    def expanded(
        self, text: str, own_name: str = "program", here: Path | None = None, depth: int = 0
    ) -> str:
        """Return a text with what it includes; `here` is the directory of a header whose text this
        is. Raises LimitExceeded.
        """
        made: list[str] = []
        end = line = 0
        for found in _INCLUDE.finditer(text):
            line += text.count("\n", end, found.end() + 1)
            made.append(text[end : found.start()])
            end = found.end() + 1
            said = operand(found[3], self._options.macros) if found[3] else ""
            named = _NAME.match(said) if said else found
            if named is None:  # of a macro of the text's own: the host says what is wrong with it
                made.append(text[found.start() : end])
                continue
            name = named[1] or named[2]
            body, folder = self._header(named, here)
            if body is None or depth >= INCLUDE_DEPTH_MAX:
                made.append(f'#error "{name}: file not found"\n')
                continue
            inner = self.expanded(_guarded(body), name, folder, depth + 1)
            made.append(f'#line 1 "{name}"\n{inner}\n#line {line + 1} "{own_name}"\n')
        return "".join([*made, text[end:]])

    def _header(self, named: re.Match[str], here: Path | None) -> tuple[str | None, Path | None]:
        """Return a header's text, and its directory if it has one."""
        name = named[1] or named[2]
        body, folder = self._headers.get(name), None
        if body is None:
            folders = self._options.folders
            beside = [here] if here is not None and not named[2] else []
            body, folder = _read(name, [*beside, *folders])
        self._room_bytes -= len(body or "")
        if self._room_bytes < 0:
            raise LimitExceeded(f"what the program includes has more than {TEXT_BYTES_MAX} bytes")
        return body, folder


def _guarded(body: str) -> str:
    """Return a header's text that is there once, if it says so: no file is left to know it by."""
    found = _ONCE.search(body)
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
            return path.read_text(), path.parent
        except (OSError, UnicodeDecodeError):
            continue
    return None, None
