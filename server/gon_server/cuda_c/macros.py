"""Macros of the C preprocessor: their definition and their bounded expansion.

Expansion is Prosser's algorithm: every token carries the names that must not be expanded in it any
more, so it ends by itself; how much it may give is bounded by MACRO_TOKENS_MAX for a whole program.

Rules: pure. Text goes in and out as tokens; who reads lines and directives is `preprocess`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gon.limits import MACRO_BYTES_MAX, MACRO_TOKENS_MAX, NESTING_MAX

_TOKEN: Final = re.compile(
    r"[A-Za-z_$][A-Za-z0-9_$]*"
    r"|\.?[0-9](?:[eEpP][+-]|'[0-9A-Za-z]|[0-9A-Za-z_.])*"
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
    r"|\#\#|\#|<<=|>>=|\.\.\.|->\*?|\+\+|--|&&|\|\||[<>=!+\-*/%&|^]=|<<|>>|::"
    r"|[ \t\v\f]+|.",
    re.DOTALL,
)
_NAME: Final = re.compile(r"[A-Za-z_$]")
_DIRECTIVE_DEFINE: Final = re.compile(
    r"\s*(?P<name>[A-Za-z_]\w*)(?P<params>\((?P<list>[^)]*)\))?(?P<body>.*)", re.DOTALL
)


class MacroError(Exception):
    """A definition or an expansion that is wrong; the text says why."""


class Token(NamedTuple):
    """A preprocessing token and the macros it came out of."""

    text: str
    hidden: frozenset[str] = frozenset()

    @property
    def is_name(self) -> bool:
        return _NAME.match(self.text) is not None

    @property
    def is_blank(self) -> bool:
        return self.text.isspace()


@dataclass(frozen=True, slots=True)
class Macro:
    """A definition; `params` is None for one that is not called. A last parameter "..." takes all
    that is left.
    """

    name: str
    body: tuple[Token, ...]
    params: tuple[str, ...] | None = None

    @property
    def is_variadic(self) -> bool:
        return self.params is not None and self.params[-1:] == ("__VA_ARGS__",)


def tokens_of(text: str) -> list[Token]:
    """Return a line's tokens, blanks among them."""
    return [Token(found) for found in _TOKEN.findall(text)]


def text_of(tokens: Sequence[Token]) -> str:
    return "".join(token.text for token in tokens)


def macro_of(text: str) -> Macro:
    """Return the macro that follows `#define`. Raises MacroError."""
    found = _DIRECTIVE_DEFINE.fullmatch(text)
    if found is None:
        raise MacroError("#define needs a name")
    name, body = found["name"], _trim(tokens_of(found["body"]))
    if name == "defined":
        raise MacroError("'defined' cannot be a macro")
    if found["params"] is None:
        return Macro(name, tuple(body))
    listed = found["list"].strip()
    params = tuple(param.strip() for param in listed.split(",")) if listed else ()
    if params[-1:] == ("...",):
        params = (*params[:-1], "__VA_ARGS__")
    if len(set(params)) != len(params) or not all(re.fullmatch(r"[A-Za-z_]\w*", p) for p in params):
        raise MacroError(f"the parameters of macro {name} are not names")
    return Macro(name, tuple(body), params)


def _trim(tokens: Sequence[Token]) -> list[Token]:
    start, end = 0, len(tokens)
    while start < end and tokens[start].is_blank:
        start += 1
    while end > start and tokens[end - 1].is_blank:
        end -= 1
    return list(tokens[start:end])


class OpenCalls:
    """Reads tokens, line by line, for calls of macros that are not closed."""

    def __init__(self, defined: Mapping[str, Macro]) -> None:
        self._defined = defined
        self._brackets: list[bool] = []  # of each that is open, whether a macro is called by it
        self._named = False

    def read(self, tokens: Sequence[Token]) -> bool:
        """Read more tokens; return whether a call goes on behind them."""
        for token in tokens:
            if token.text == "(":
                self._brackets.append(self._named)
            elif token.text == ")" and self._brackets:
                self._brackets.pop()
            if not token.is_blank:
                macro = self._defined.get(token.text)
                self._named = macro is not None and macro.params is not None
        return any(self._brackets)


@dataclass(slots=True)
class Macros:
    """The macros defined so far; `left` and `left_bytes` are how much they may still give."""

    defined: dict[str, Macro] = field(default_factory=dict[str, Macro])
    left: int = MACRO_TOKENS_MAX
    left_bytes: int = MACRO_BYTES_MAX
    _depth: int = 0

    def concern(self, text: str) -> bool:
        """Return whether a line holds a macro's name; most do not."""
        names = self.defined
        return any(found in names for found in _WORDS.findall(text))

    def calls(self) -> OpenCalls:
        """Return what tells whether a call goes on behind tokens that are read."""
        return OpenCalls(self.defined)

    def expand(self, tokens: Sequence[Token]) -> list[Token]:
        """Return the tokens with every macro expanded. Raises MacroError."""
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise MacroError(f"calls of macros are nested more than {NESTING_MAX} deep")
        done = self._expanded(tokens)
        self._depth -= 1
        return done

    def _expanded(self, tokens: Sequence[Token]) -> list[Token]:
        waiting = list(reversed(tokens))
        done: list[Token] = []
        while waiting:
            token = waiting.pop()
            macro = self.defined.get(token.text)
            if macro is None or token.text in token.hidden:
                done.append(token)
                continue
            given = self._expansion(macro, token, waiting)
            if given is None:
                done.append(token)
                continue
            self.left -= len(given) + 1
            if self.left < 0:
                raise MacroError(
                    f"macros give more than {MACRO_TOKENS_MAX} tokens (in the expansion of "
                    f"{macro.name})"
                )
            waiting.extend(reversed(given))
        return done

    def _expansion(self, macro: Macro, token: Token, waiting: list[Token]) -> list[Token] | None:
        """Return what replaces the macro's name and arguments; None where it is not called."""
        if macro.params is None:
            return self._substitute(macro, {}, token.hidden | {macro.name})
        rest = list(reversed(waiting[-_LOOK_AHEAD:] if len(waiting) > _LOOK_AHEAD else waiting))
        start = _next(rest, 0)
        if start >= len(rest) or rest[start].text != "(":
            return None
        end = _close(rest, start)
        if end is None and len(rest) < len(waiting):
            rest = list(reversed(waiting))
            end = _close(rest, start)
        if end is None:
            raise MacroError(f"the call of macro {macro.name} is not closed")
        arguments = self._arguments(macro, rest[start + 1 : end])
        hidden = (token.hidden & rest[end].hidden) | {macro.name}
        del waiting[len(waiting) - end - 1 :]
        return self._substitute(macro, arguments, hidden)

    def _arguments(self, macro: Macro, inside: Sequence[Token]) -> dict[str, list[Token]]:
        params = macro.params or ()
        split: list[list[Token]] = [[]]
        depth = 0
        for token in inside:
            if (
                token.text == ","
                and not depth
                and not (macro.is_variadic and len(split) == len(params))
            ):
                split.append([])
                continue
            depth += (token.text in "([{") - (token.text in ")]}")
            split[-1].append(token)
        given = [_trim(part) for part in split]
        if not params and given == [[]]:
            given = []
        if macro.is_variadic and len(given) == len(params) - 1:
            given.append([])
        if len(given) != len(params):
            raise MacroError(
                f"macro {macro.name} takes {len(params)} arguments, {len(given)} are given"
            )
        return dict(zip(params, given, strict=True))

    def _substitute(
        self, macro: Macro, arguments: dict[str, list[Token]], hidden: frozenset[str]
    ) -> list[Token]:
        body, out = macro.body, list[Token]()
        expanded: dict[str, list[Token]] = {}
        index = 0
        while index < len(body):
            token = body[index]
            following = _next(body, index + 1)
            pastes = following < len(body) and body[following].text == "##"
            if token.text == "#" and following < len(body) and body[following].text in arguments:
                out.append(Token(_quoted(arguments[body[following].text])))
                index = following + 1
                continue
            if token.text == "##" and out:
                index = self._paste(macro, arguments, out, following)
                continue
            if token.text in arguments:
                raw = arguments[token.text]
                if pastes:
                    out.extend(raw or [Token("")])
                else:
                    if token.text not in expanded:
                        expanded[token.text] = self.expand(raw)
                    out.extend(expanded[token.text])
                    self.left -= len(expanded[token.text])
            else:
                out.append(token)
            index = following if pastes else index + 1
            if self.left < 0:
                raise MacroError(f"macros give more than {MACRO_TOKENS_MAX} tokens")
        self.left_bytes -= sum(len(t.text) for t in out)
        if self.left_bytes < 0:
            raise MacroError(f"macros give more than {MACRO_BYTES_MAX} bytes")
        return [Token(t.text, t.hidden | hidden) for t in out if t.text]

    def _paste(
        self, macro: Macro, arguments: dict[str, list[Token]], out: list[Token], index: int
    ) -> int:
        """Join the last token of `out` with the body's token at `index`; return where to go on."""
        if index >= len(macro.body):
            raise MacroError(f"## ends macro {macro.name}")
        token = macro.body[index]
        right = arguments.get(token.text, [token])
        left = out.pop()
        if token.text == "__VA_ARGS__" and left.text == ",":
            out.extend([left, *right] if right else [])
            return index + 1
        joined = left.text + (right[0].text if right else "")
        if joined and len(_TOKEN.findall(joined)) != 1:
            raise MacroError(f"{left.text} ## {right[0].text if right else ''} is no token")
        out.append(Token(joined))
        out.extend(right[1:])
        return index + 1


_WORDS: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
# A call's arguments are mostly short: what is behind them is looked at only when they are not.
_LOOK_AHEAD: Final = 64


def _next(tokens: Sequence[Token], index: int) -> int:
    while index < len(tokens) and tokens[index].is_blank:
        index += 1
    return index


def _close(tokens: Sequence[Token], start: int) -> int | None:
    """Return the index of the bracket that closes the one at `start`."""
    depth = 0
    for index in range(start, len(tokens)):
        text = tokens[index].text
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
            if not depth:
                return index
    return None


def _quoted(tokens: Sequence[Token]) -> str:
    parts: Iterator[str] = (
        " " if t.is_blank else re.sub(r'(["\\])', r"\\\1", t.text) if t.text[0] in "\"'" else t.text
        for t in tokens
    )
    return '"' + "".join(parts) + '"'
