"""The C preprocessor for CUDA C: one text without macros, and the line each line came from.

Headers are those the caller gives, by name, and those of CUDA and C++ whose content the translation
knows by itself, which give nothing. No file of the host is ever read.

Rules: pure and bounded: depth of headers, of conditions, what macros give, size of what comes out.
Comments become blanks. `#pragma unroll` stays, other pragmas say nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from gon.errors import CompileError, LimitExceeded
from gon.limits import INCLUDE_DEPTH_MAX, INCLUDES_MAX, SOURCE_BYTES_MAX
from gon_server.cuda_c.conditions import ConditionError, holds
from gon_server.cuda_c.macros import Macro, MacroError, Macros, Token, macro_of, text_of, tokens_of
from gon_server.cuda_c.source import PROGRAM_NAME, Lines, unsupported_at, wrong_at

# What a source sees of the compiler: NVRTC's own names, and an architecture that has what the
# translation has (atomicAdd of double, independent threads), and nothing newer.
PREDEFINED: Final[Mapping[str, str]] = {
    "__CUDACC__": "1",
    "__CUDACC_RTC__": "1",
    "__CUDA_ARCH__": "700",
    "__CUDACC_VER_MAJOR__": "12",
    "__CUDACC_VER_MINOR__": "9",
    "__NVCC__": "1",
    "__cplusplus": "201703L",
    "__STDC__": "1",
    "__CHAR_BIT__": "8",
    "__LP64__": "1",
    "__x86_64__": "1",
    "__linux__": "1",
    "__LINE__": "0",
    "__FILE__": '""',
    "__restrict": "__restrict__",
    "__inline__": "inline",
}
# Words of CUDA that stand for an attribute of C.
_ATTRIBUTES: Final = tuple(
    macro_of(f"{word}(n) __attribute__((aligned(n)))")
    for word in ("__align__", "__builtin_align__")
)

_SPLICE: Final = re.compile(r"\\[ \t\v\f]*\n")
_COMMENT: Final = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|/\*", re.DOTALL
)
_DIRECTIVE: Final = re.compile(r"[ \t\v\f]*(?:#|%:)[ \t\v\f]*(?P<word>\w*)(?P<rest>.*)", re.DOTALL)
_INCLUDE: Final = re.compile(r'\s*(?:"(?P<quoted>[^"]+)"|<(?P<angled>[^>]+)>)\s*')
_PRAGMA: Final = re.compile(r'\b_Pragma\s*\(\s*"(?P<inside>[^"\\]*)"\s*\)')
_SPLICED: Final = "\x01"


class _Condition:
    """One `#if … #endif`: whether the lines now are taken, and whether a branch was already."""

    __slots__ = ("had_else", "line", "outer", "seen", "taken")

    def __init__(self, *, outer: bool, taken: bool, line: int) -> None:
        self.outer = outer
        self.taken = outer and taken
        self.seen = taken
        self.had_else = False
        self.line = line


class Preprocessor:
    """Preprocesses one program."""

    def __init__(
        self,
        headers: Mapping[str, str],
        known_headers: frozenset[str],
        defines: Mapping[str, str],
    ) -> None:
        self.macros = Macros()
        self._headers = headers
        self._known = known_headers
        self._files: list[str] = []
        self._places: list[tuple[int, int]] = []
        self._out: list[str] = []
        self._size = 0
        self._once: set[str] = set()
        self.macros.defined.update({macro.name: macro for macro in _ATTRIBUTES})
        for name, value in {**PREDEFINED, **defines}.items():
            self._define(name, value)

    def _define(self, name: str, value: str) -> None:
        self.macros.defined[name] = Macro(name, tuple(tokens_of(value)))

    def run(self, text: str) -> tuple[str, Lines]:
        """Return the program without directives, and its lines.

        Raises CompileError, Unsupported, LimitExceeded.
        """
        self._file(PROGRAM_NAME, text, 0)
        return "\n".join(self._out) + "\n", Lines(tuple(self._files), tuple(self._places))

    def _file(self, name: str, text: str, depth: int) -> None:
        if depth > INCLUDE_DEPTH_MAX:
            raise LimitExceeded(f"{name}: headers include each other {depth} deep")
        number = len(self._files)
        if number > INCLUDES_MAX:
            raise LimitExceeded(f"{name}: headers are included more than {INCLUDES_MAX} times")
        self._files.append(name)
        conditions: list[_Condition] = []
        lines = _logical_lines(name, text)
        for line, content in lines:
            self._catch_up(number, line)
            directive = _DIRECTIVE.fullmatch(content)
            try:
                if directive is not None:
                    self._directive(name, number, line, directive, conditions, depth)
                elif not conditions or conditions[-1].taken:
                    self._text(number, line, content, lines)
            except (MacroError, ConditionError) as error:
                raise wrong_at(name, line, str(error)) from error
        if conditions:
            raise wrong_at(name, conditions[-1].line, "this #if has no #endif")

    def _catch_up(self, number: int, line: int) -> None:
        """Leave lines that gave nothing blank, so that the next one keeps its place."""
        if self._places:
            file, last = self._places[-1]
            for blank in range(last + 1, line) if file == number else ():
                self._emit(number, blank, "")

    def _emit(self, number: int, line: int, text: str) -> None:
        if "_Pragma" in text and (found := _PRAGMA.search(text)):
            self._emit(number, line, text[: found.start()])
            self._pragma(self._files[number], number, line, found["inside"])
            self._emit(number, line, text[found.end() :])
            return
        if "??" in text:  # no trigraphs, which a compiler of C would find in strings
            text = re.sub(r"(?<=\?)\?", r"\\?", text)
        self._size += len(text) + 1
        if self._size > SOURCE_BYTES_MAX:
            raise LimitExceeded(f"the preprocessed program is larger than {SOURCE_BYTES_MAX} bytes")
        self._out.append(text)
        self._places.append((number, line))

    def _text(self, number: int, line: int, content: str, lines: Iterator[tuple[int, str]]) -> None:
        macros = self.macros
        if not macros.concern(content):
            self._emit(number, line, content)
            return
        self._here(number, line)
        calls = macros.calls()
        tokens = added = _numbered(content, line)
        while calls.read(added):
            following = next(lines, None)
            if following is None:
                break
            if _DIRECTIVE.fullmatch(following[1]):
                raise MacroError("a directive among the arguments of a macro")
            added = _numbered(" " + following[1], following[0])
            tokens += added
        self._emit(number, line, text_of(macros.expand(tokens)))

    def _here(self, number: int, line: int) -> None:
        """Let `__LINE__` and `__FILE__` be those of a line."""
        self._define("__LINE__", str(line))
        self._define("__FILE__", f'"{self._files[number]}"')

    def _directive(
        self,
        name: str,
        number: int,
        line: int,
        found: re.Match[str],
        conditions: list[_Condition],
        depth: int,
    ) -> None:
        word, rest = found["word"], found["rest"]
        taken = not conditions or conditions[-1].taken
        self._here(number, line)
        if word in ("if", "ifdef", "ifndef"):
            value = taken and self._holds(word, rest)
            conditions.append(_Condition(outer=taken, taken=value, line=line))
        elif word in ("elif", "else", "endif"):
            self._branch(word, rest, conditions)
        elif taken:
            self._obey(name, number, line, word, rest, depth)

    def _holds(self, word: str, rest: str) -> bool:
        if word == "if":
            return holds(rest, self.macros)
        names = tokens_of(rest.strip())
        if not names or not names[0].is_name:
            raise MacroError(f"#{word} needs a name")
        return (names[0].text in self.macros.defined) == (word == "ifdef")

    def _branch(self, word: str, rest: str, conditions: list[_Condition]) -> None:
        if not conditions:
            raise MacroError(f"#{word} without #if")
        last = conditions[-1]
        if word == "endif":
            conditions.pop()
            return
        if last.had_else:
            raise MacroError(f"#{word} after #else")
        last.had_else = word == "else"
        value = last.outer and not last.seen and (word == "else" or holds(rest, self.macros))
        last.taken = value
        last.seen = last.seen or value

    def _obey(self, name: str, number: int, line: int, word: str, rest: str, depth: int) -> None:
        match word:
            case "define":
                macro = macro_of(rest)
                self.macros.defined[macro.name] = macro
            case "undef":
                self.macros.defined.pop(rest.strip(), None)
            case "include":
                self._include(name, line, rest, depth)
            case "error":
                raise wrong_at(name, line, f"#error{rest}")
            case "pragma":
                self._pragma(name, number, line, rest)
            case "" | "warning":
                pass
            case _:
                raise unsupported_at(name, line, f"#{word}: this directive is not taken")

    def _pragma(self, name: str, number: int, line: int, rest: str) -> None:
        words = rest.split()
        if words[:1] == ["once"]:
            self._once.add(name)
        elif words and re.match(r"pack\b", words[0]):
            raise unsupported_at(name, line, "#pragma pack: structures lie as CUDA lays them out")
        elif words[:1] and re.match(r"unroll\b", words[0]):
            text = text_of(self.macros.expand(tokens_of(rest.strip())))
            self._emit(number, line, f"#pragma {text}")

    def _include(self, name: str, line: int, rest: str, depth: int) -> None:
        found = _INCLUDE.fullmatch(rest) or _INCLUDE.fullmatch(
            text_of(self.macros.expand(tokens_of(rest.strip())))
        )
        if found is None:
            raise MacroError("#include needs a header's name")
        wanted = found["quoted"] or found["angled"]
        if wanted in self._headers:
            if wanted not in self._once:
                self._file(wanted, self._headers[wanted], depth + 1)
        elif wanted not in self._known:
            given = ", ".join(self._headers) or "none"
            raise CompileError(
                "the program does not compile",
                log=f"{name}:{line}: header {wanted!r} is not known, and not among those given "
                f"({given}); no file of the host is read",
            )


def _logical_lines(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield each line without comments, spliced lines joined, with the number of its first line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _SPLICED in text or "\0" in text:
        raise wrong_at(name, 1, "the text contains control characters")
    marked = _SPLICE.sub(_SPLICED, text) if "\\" in text else text

    def blank(found: re.Match[str]) -> str:
        piece = found[0]
        if piece[0] != "/":
            return piece.replace(_SPLICED, "")
        if piece == "/*":
            line = _line_of(marked, found.start())
            raise wrong_at(name, line, "this comment has no end")
        breaks = piece.count("\n") + piece.count(_SPLICED)
        return " " + _SPLICED * breaks if breaks else " "

    bare = _COMMENT.sub(blank, marked)
    line = 1
    for content in bare.split("\n"):
        joined = content.count(_SPLICED)
        plain = content.replace(_SPLICED, "") if joined else content
        if not plain.isascii():
            raise wrong_at(name, line, "only ASCII is possible outside comments")
        yield line, plain
        line += 1 + joined


def _numbered(content: str, line: int) -> list[Token]:
    """Return a line's tokens, with its own number for `__LINE__`."""
    tokens = tokens_of(content)
    return [Token(str(line)) if token.text == "__LINE__" else token for token in tokens]


def _line_of(marked: str, place: int) -> int:
    return marked.count("\n", 0, place) + marked.count(_SPLICED, 0, place) + 1
