"""What of a tenant's program text and options reaches a compiler: nothing that makes it read the
host's files.

The compilers honour `#include`, `#import` and `#embed` with any path and print lines of what they
read in their log, so these are refused, as are options that name files. This keeps honest programs
clear of the host's files and their logs; what holds a hostile kernel, which is native code, is the
worker's process, not this module.

Rules: pure. Directives are found as a C compiler finds them: after trigraphs and spliced lines,
past comments.
"""

from __future__ import annotations

import re
from typing import Final

from gon.errors import InvalidArgument
from gon.limits import OPTIONS_BYTES_MAX, SOURCE_BYTES_MAX

# A line's first characters that are no space or comment are a '#' and a word that reads a file.
_READS_FILE: Final = re.compile(
    r"^(?:[^\n]*\*/)?[ \t\v\f]*(?:\#|%:)(?:[ \t\v\f]|/\*(?:[^*]|\*(?!/))*+\*/)*+"
    r"(?P<word>include_next|include|import|embed)\b",
    re.MULTILINE,
)
_LOOKS_FOR_FILE: Final = re.compile(r"\b(?P<word>__has_include(?:_next)?|__has_embed)\b")
_SPLICE: Final = re.compile(r"(?:\\|\?\?/)[ \t\v\f]*\n")
_OPTION: Final = re.compile(
    r"-w|-Werror|-cl-[a-z0-9-]+(?:=[A-Za-z0-9.+]+)?|-D\w+(?:=[\w.+*/%(),:<>|&^~!?-]*)?", re.ASCII
)
_PLAIN: Final = re.compile(r"[\x20-\x7e\t]*", re.ASCII)


def check_source(code: bytes) -> str:
    """Return the program's text.

    Raises InvalidArgument, naming the line, for what must not be compiled.
    """
    if not code:
        raise InvalidArgument("the program is empty")
    if len(code) > SOURCE_BYTES_MAX:
        raise InvalidArgument(f"a program of {len(code)} bytes; at most {SOURCE_BYTES_MAX}")
    if b"\0" in code:
        raise InvalidArgument("the program's text contains a zero byte")
    try:
        text = code.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"the program's text is not UTF-8: {error}") from error
    seen = text.replace("\r\n", "\n").replace("\r", "\n").replace("??=", "#")
    spliced = _SPLICE.sub("", seen)
    for pattern in (_READS_FILE, _LOOKS_FOR_FILE):
        found = pattern.search(spliced)
        if found is not None:
            line = _line_at(seen, spliced, found.start("word"))
            raise InvalidArgument(
                f"line {line}: {found['word']} is refused: a program reads no files of the host"
            )
    return text


def _line_at(seen: str, spliced: str, place: int) -> int:
    """Return the line of `seen` that holds what `spliced` has at `place`."""
    line = spliced.count("\n", 0, place) + 1
    gone = 0
    for splice in _SPLICE.finditer(seen):
        if splice.start() - gone > place:
            break
        line += 1
        gone += splice.end() - splice.start()
    return line


def check_options(options: str) -> str:
    """Return compiler options that are all known to name no file.

    Possible are -D, -w, -Werror and OpenCL's own -cl-…; values have no quotes or blanks. Raises
    InvalidArgument.
    """
    if len(options) > OPTIONS_BYTES_MAX or not _PLAIN.fullmatch(options):
        raise InvalidArgument(
            f"compiler options are at most {OPTIONS_BYTES_MAX} characters of plain ASCII"
        )
    # "-D NAME" is "-DNAME" to every compiler; written as one, it can be looked at as one.
    words = re.sub(r"(^|\s)-D\s+", r"\1-D", options).split()
    for word in words:
        if not _OPTION.fullmatch(word) or _LOOKS_FOR_FILE.search(word):
            raise InvalidArgument(
                f"compiler option {word!r} is refused; possible are -DNAME[=VALUE] without "
                "quotes or blanks, -w, -Werror and -cl-..."
            )
    return " ".join(words)
