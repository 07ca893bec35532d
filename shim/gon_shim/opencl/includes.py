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
from typing import Final

from gon.limits import SOURCE_BYTES_MAX
from gon_shim.opencl.limits import INCLUDE_DEPTH_MAX

_INCLUDE: Final = re.compile(
    r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>).*$', re.MULTILINE
)
_ONCE: Final = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once[ \t]*$", re.MULTILINE)
# What a compiler of OpenCL C is told, and the host's need not be: debugging, and what it does
# anyway.
_LEFT_OUT: Final = frozenset({"-g", "-cl-kernel-arg-info"})


def split_options(options: str) -> tuple[str, list[Path]]:
    """Return options without the directories of headers, and those. Raises ValueError."""
    kept: list[str] = []
    folders: list[Path] = []
    words = iter(shlex.split(options))
    for word in words:
        if word.startswith("-I"):
            folders.append(Path(word[2:] or next(words, "")))
        elif word not in _LEFT_OUT:
            kept.append(word)
    return " ".join(kept), folders


def expanded(
    text: str,
    folders: Sequence[Path],
    headers: Mapping[str, str],
    depth: int = 0,
    here: Path | None = None,
) -> str:
    """Return a program's text with what it includes in the place of each `#include`; `headers` are
    given by name, `here` is the directory of a header whose text this is.
    """
    made: list[str] = []
    end = size = 0
    for found in _INCLUDE.finditer(text):
        line = text.count("\n", 0, found.end()) + 2
        name = found[1] or found[2]
        body, folder = headers.get(name), None
        if body is None:
            body, folder = _read(name, folders if found[2] or here is None else [here, *folders])
        if body is None or depth >= INCLUDE_DEPTH_MAX or size > SOURCE_BYTES_MAX:
            body = f'#error "{name}: file not found"\n'
        else:
            inner = expanded(_guarded(body), folders, headers, depth + 1, folder)
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
