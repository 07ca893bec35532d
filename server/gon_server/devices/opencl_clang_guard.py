"""Keeps clang from obeying a program where it is more than C++: clang reads files, a program must
not.

What it is given is preprocessed, and goes through clang's own preprocessor again, so nothing may be
left that is a directive there, or could hide one: after macros have been expanded a line may begin
with `#` again. Until the first such sign, this module and clang agree on where literals end.

Rules: pure. What cannot stand in preprocessed C++ is refused, naming the user's line.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from gon_server.cuda_c.source import Lines

# Text outside of literals: `word` may be a name, `number` has C++'s digit separators.
_TOKEN: Final = re.compile(
    r"(?P<string>(?:u8|[uUL])?\"(?:[^\"\\\n]|\\.)*\")"
    r"|(?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)"
    r"|(?P<char>(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+')"
    r"|(?P<raw>(?:u8|[uUL])?R\")"
    r"|(?P<long>\blong(?:[ \t\v\f]+long)+\b)"
    r"|(?P<word>[A-Za-z_$]\w*)"
    r"|(?P<alien>\#|%:|\?\?|/\*|//|\\|[\"'@`]|[^\x09-\x0d\x20-\x7e])"
)
_UNROLL: Final = re.compile(r"#pragma unroll[\w ()+*/-]*")
_WIDE: Final = re.compile(r"([uU]?)(?:ll|LL)([uU]?)$")
# What speaks to the compiler or the machine rather than in C++.
_NOT_TAKEN: Final = re.compile(
    r"(?P<asm>asm|__asm|__asm__)|(?P<pragma>_Pragma|__pragma)"
    r"|(?P<ours>gon_\w*|GON_\w*|__spirv_\w*|__opencl_\w*|__declspec)"
)
_WHY: Final = {
    "asm": "assembly is a CUDA GPU's",
    "pragma": "pragmas other than unroll are not taken",
    "ours": "this name is kept for the front end",
}


def guarded(text: str, lines: Lines) -> tuple[str, frozenset[str]]:
    """Return a preprocessed text in which clang finds no directive and no comment, `long long` as
    the `long` that it is, and the names in it. Raises Unsupported.
    """
    out: list[str] = []
    words: set[str] = set()

    def token(row: int, found: re.Match[str]) -> str:
        kind, piece = found.lastgroup, found[0]
        if kind == "word":
            words.add(piece)
            if refused := _NOT_TAKEN.fullmatch(piece):
                raise lines.unsupported(row, f"{piece}: {_WHY[refused.lastgroup or 'ours']}")
        elif kind == "number":
            return _WIDE.sub(r"\1L\2", piece)
        elif kind == "long":
            return "long"
        elif kind == "raw":
            raise lines.unsupported(row, "raw strings are not taken")
        elif kind == "alien":
            raise lines.unsupported(row, f"{piece!r} cannot stand here")
        return piece

    for row, line in enumerate(text.split("\n")):
        if not _UNROLL.fullmatch(line):
            line = _TOKEN.sub(partial(token, row), line)
        out.append(line)
    return "\n".join(out), frozenset(words)
