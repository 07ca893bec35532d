"""A program's text as compilers read it: where directives are that reach for files of the host.

Compilers differ, by standard, in what splices lines, in what ends them, and so in where a comment
ends; what is a comment to one is a directive to another. A text is read in every way there is, and
what is found in one of them counts.

Rules: pure; knows no compiler by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gon.errors import InvalidArgument
from gon.limits import SOURCE_BYTES_MAX

# What may stand before a directive's word: blanks, and comments with their ends.
_BLANK: Final = r"(?:[ \t\v\f\r]++|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/)*+"
_BLANKS: Final = re.compile(_BLANK)
# Where a directive may begin: in a line of its own, or after a comment.
_BEGINS: Final = re.compile(r"(?:^|\*/)[ \t\v\f\r]*+(?:#|%:)", re.MULTILINE)
# A directive that reads a file: its `word`, and what it names.
_READS_FILE: Final = re.compile(
    r"(?P<word>include_next|include|import|embed)\b"
    rf"(?:{_BLANK}(?:\"(?P<quoted>[^\"\n]*)\"|<(?P<angled>[^>\n]*)>))?"
)
LOOKS_FOR_FILE: Final = re.compile(r"\b(?P<word>__has_include(?:_next)?|__has_embed)\b")
# What splices a line to the next: "\\" before its end, or blanks before that too; "??/" stands for
# "\\" where trigraphs are known.
_SPLICES: Final = tuple(
    re.compile(rf"(?:\\{trigraph}){blanks}\n")
    for trigraph in ("", r"|\?\?/")
    for blanks in ("", r"[ \t\v\f\r]*")
)
# What compiler options are made of.
PLAIN: Final = re.compile(r"[\x20-\x7e\t]*", re.ASCII)
# Characters between a directive's # and its word, and of what follows: programs have none, and at
# most a path.
BLANKS_MAX: Final = 128
NAMING_MAX: Final = 4096
_BYTE_ORDER_MARK: Final = "\ufeff"


def text_of(code: bytes, bytes_max: int = SOURCE_BYTES_MAX) -> str:
    """Return a program's text. Raises InvalidArgument for what is none, or larger."""
    if not code:
        raise InvalidArgument("the program is empty")
    if len(code) > bytes_max:
        raise InvalidArgument(f"a program of {len(code)} bytes; at most {bytes_max}")
    if b"\0" in code:
        raise InvalidArgument("the program's text contains a zero byte")
    try:
        return code.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"the program's text is not UTF-8: {error}") from error


@dataclass(frozen=True, slots=True)
class Reading:
    """A text in one way of reading it: with its lines as they are `seen`, and as they are `spliced`
    by what `splice` finds.
    """

    seen: str
    spliced: str
    splice: re.Pattern[str]

    def reads_file(self) -> Iterator[re.Match[str]]:
        """Yield directives that read a file: their `word`, and the `quoted` or `angled` name.

        Raises InvalidArgument where a word is hidden behind a long comment: each directive in a
        comment could be one whose word is where that ends, which takes the square of the text.
        """
        text = self.spliced
        for begins in _BEGINS.finditer(text):
            at = begins.end()
            last = at + BLANKS_MAX
            blanks = _BLANKS.match(text, at, last)
            at = blanks.end() if blanks else at
            if at == last or text.startswith("/*", at):
                raise InvalidArgument(
                    f"line {self.line_at(begins.end() - 1)}: a comment after # that has no end "
                    f"within {BLANKS_MAX} characters"
                )
            found = _READS_FILE.match(text, at, at + NAMING_MAX)
            if found is not None:
                yield found

    def line_at(self, place: int) -> int:
        """Return the line that holds what has this place in the spliced text, from 1 on."""
        gone = 0
        for found in self.splice.finditer(self.seen):
            if found.start() - gone > place:
                break
            gone += found.end() - found.start()
        return self.seen.count("\n", 0, place + gone) + 1


def readings(text: str) -> Iterator[Reading]:
    """Yield every way to read a text; most texts have one."""
    known: set[str] = set()
    text = text.removeprefix(_BYTE_ORDER_MARK)
    lines = text.replace("\r\n", "\n")
    for ended in (lines.replace("\r", "\n"), lines, text):
        for seen in (ended.replace("??=", "#"), ended):
            for splice in _SPLICES:
                spliced = splice.sub("", seen)
                if spliced not in known:
                    known.add(spliced)
                    yield Reading(seen, spliced, splice)
