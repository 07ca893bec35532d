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

from gon.limits import SOURCE_BYTES_MAX
from gon_shim.opencl.limits import INCLUDE_DEPTH_MAX
from gon_shim.opencl.macros import Macro, defined, operand

_INCLUDE: Final = re.compile(
    r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|([A-Za-z_][^\n]*)).*$', re.MULTILINE
)
_NAME: Final = re.compile(r'"([^"\n]+)"|<([^>\n]+)>')
_ONCE: Final = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once[ \t]*$", re.MULTILINE)
# What a compiler of OpenCL C is told, and the host's need not be: debugging, and what it does
# anyway.
_LEFT_OUT: Final = frozenset({"-g", "-cl-kernel-arg-info"})


class Options(NamedTuple):
    """What a program is built with: `kept` is for the host, the rest for its text."""

    kept: str
    folders: Sequence[Path] = ()
    macros: Mapping[str, Macro] = MappingProxyType({})


def split_options(options: str) -> Options:
    """Return options by who takes them. Raises ValueError."""
    kept: list[str] = []
    folders: list[Path] = []
    macros: dict[str, Macro] = {}
    words = iter(shlex.split(options))
    for word in words:
        if word.startswith("-I"):
            folders.append(Path(word[2:] or next(words, "")))
        elif word.startswith("-D"):
            given = word[2:] or next(words, "")
            name, macro = defined(given)
            macros[name] = macro
            if macro.is_plain:
                kept.append(f"-D{given}")
        elif word not in _LEFT_OUT:
            kept.append(word)
    return Options(" ".join(kept), folders, macros)


def written(text: str, options: Options, headers: Mapping[str, str]) -> str:
    """Return a program's text as the host takes it, by itself."""
    lines = [each.line(name) for name, each in options.macros.items() if not each.is_plain]
    if lines:
        lines.append("#line 1\n")
    return "".join([*lines, expanded(text, options, headers)])


def expanded(
    text: str,
    options: Options,
    headers: Mapping[str, str],
    depth: int = 0,
    here: Path | None = None,
) -> str:
    """Return a program's text with what it includes in the place of each `#include`; `headers` are
    given by name, `here` is the directory of a header whose text this is.
    """
    folders = options.folders
    made: list[str] = []
    end = size = 0
    for found in _INCLUDE.finditer(text):
        line = text.count("\n", 0, found.end()) + 2
        said = _NAME.match(operand(found[3], options.macros)) if found[3] else found
        if said is None:  # of a macro of the text's own: the host says what is wrong with it
            continue
        name = said[1] or said[2]
        body, folder = headers.get(name), None
        if body is None:
            body, folder = _read(name, folders if said[2] or here is None else [here, *folders])
        if body is None or depth >= INCLUDE_DEPTH_MAX or size > SOURCE_BYTES_MAX:
            body = f'#error "{name}: file not found"\n'
        else:
            inner = expanded(_guarded(body), options, headers, depth + 1, folder)
            body = f'#line 1 "{name}"\n{inner}\n#line {line} "program"\n'
        size += len(body)
        made += (text[end : found.start()], body)
        end = found.end() + 1
    return "".join([*made, text[end:]])


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
