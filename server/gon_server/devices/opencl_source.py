"""What of a tenant's program text and options reaches a compiler: nothing that makes it read the
host's files.

The compilers honour `#include`, `#import` and `#embed` with any path and print lines of what they
read in their log, so these are refused, as are options that name files. This keeps honest programs
clear of the host's files and their logs; what holds a hostile kernel, which is native code, is the
worker's process, not this module.

Rules: pure. Directives are found as compilers find them (program_text).
"""

from __future__ import annotations

import re
from typing import Final

from gon.errors import InvalidArgument
from gon.limits import OPTIONS_BYTES_MAX
from gon.program_limits import TEXT_BYTES_MAX
from gon_server.devices.program_text import LOOKS_FOR_FILE, PLAIN, readings, text_of

_OPTION: Final = re.compile(
    r"-w|-Werror|-cl-[a-z0-9-]+(?:=[A-Za-z0-9.+]+)?|-D\w+(?:=[\w.+*/%(),:<>|&^~!?-]*)?", re.ASCII
)


def check_source(code: bytes) -> str:
    """Return the program's text.

    Raises InvalidArgument, naming the line, for what must not be compiled.
    """
    text = text_of(code, TEXT_BYTES_MAX)
    for reading in readings(text):
        found = next(reading.reads_file(), None) or LOOKS_FOR_FILE.search(reading.spliced)
        if found is not None:
            line = reading.line_at(found.start("word"))
            raise InvalidArgument(
                f"line {line}: {found['word']} is refused: a program reads no files of the host"
            )
    return text


def check_options(options: str) -> str:
    """Return compiler options that are all known to name no file.

    Possible are -D, -w, -Werror and OpenCL's own -cl-…; values have no quotes or blanks. Raises
    InvalidArgument.
    """
    if len(options) > OPTIONS_BYTES_MAX or not PLAIN.fullmatch(options):
        raise InvalidArgument(
            f"compiler options are at most {OPTIONS_BYTES_MAX} characters of plain ASCII"
        )
    # "-D NAME" is "-DNAME" to every compiler; written as one, it can be looked at as one.
    words = re.sub(r"(^|\s)-D\s+", r"\1-D", options).split()
    for word in words:
        if not _OPTION.fullmatch(word) or LOOKS_FOR_FILE.search(word):
            raise InvalidArgument(
                f"compiler option {word!r} is refused; possible are -DNAME[=VALUE] without "
                "quotes or blanks, -w, -Werror and -cl-..."
            )
    return " ".join(words)
