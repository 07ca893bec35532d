"""Conditions of `#if`: integer expressions over macros.

Rules: pure. Arithmetic is C's on 64 bits; depth is bounded by NESTING_MAX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from gon.limits import NESTING_MAX
from gon_server.cuda_c.macros import Macros, Token, tokens_of


class ConditionError(Exception):
    """A condition that is no constant expression; the text says why."""


_LEVELS: Final[tuple[tuple[str, ...], ...]] = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)


_PRECEDENCE: Final = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs}
_TRUTHS: Final = frozenset({"||", "&&", "==", "!=", "<", ">", "<=", ">="})


def _divide(left: int, right: int) -> int:
    if not right:
        raise ConditionError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


BINARY: Final[Mapping[str, Callable[[int, int], int]]] = {
    "||": lambda a, b: int(bool(a) or bool(b)),
    "&&": lambda a, b: int(bool(a) and bool(b)),
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": lambda a, b: a - b * _divide(a, b),
}


def holds(text: str, macros: Macros) -> bool:
    """Return whether a condition holds. Raises ConditionError, MacroError."""
    tokens = macros.expand(_resolve_defined(tokens_of(text), macros))
    return bool(_Reader([token.text for token in tokens if not token.is_blank]).whole())


def _resolve_defined(tokens: list[Token], macros: Macros) -> list[Token]:
    words = [token for token in tokens if not token.is_blank]
    out: list[Token] = []
    index = 0
    while index < len(words):
        token = words[index]
        if token.text != "defined":
            out.append(token)
            index += 1
            continue
        bracket = index + 1 < len(words) and words[index + 1].text == "("
        at = index + 2 if bracket else index + 1
        if at >= len(words) or not words[at].is_name:
            raise ConditionError("defined needs a name")
        out.append(Token("1" if words[at].text in macros.defined else "0"))
        if bracket and (at + 1 >= len(words) or words[at + 1].text != ")"):
            raise ConditionError("defined( has no end")
        index = at + (2 if bracket else 1)
    return out


class _Number(NamedTuple):
    """What an expression is worth: of 64 bits, as the preprocessor has it."""

    value: int
    unsigned: bool = False


class _Reader:
    """A parser by precedence over the words of one condition. `live` says whether an operand is
    worked out: `0 && 1 / 0` is 0.
    """

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._at = 0
        self._depth = 0

    def whole(self) -> int:
        number = self._ternary(live=True)
        if self._at < len(self._words):
            raise ConditionError(f"{self._words[self._at]!r} is not expected in a condition")
        return number.value

    def _take(self, *wanted: str) -> str:
        if self._at < len(self._words) and self._words[self._at] in wanted:
            self._at += 1
            return self._words[self._at - 1]
        return ""

    def _ternary(self, *, live: bool) -> _Number:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise ConditionError("the condition is nested too deeply")
        number = self._binary(0, live=live)
        if self._take("?"):
            first = bool(number.value)
            yes = self._ternary(live=live and first)
            if not self._take(":"):
                raise ConditionError("'?' without ':'")
            no = self._ternary(live=live and not first)
            unsigned = yes.unsigned or no.unsigned
            number = _wrap((yes if first else no).value, unsigned=unsigned)
        self._depth -= 1
        return number

    def _binary(self, least: int, *, live: bool) -> _Number:
        left = self._operand(live=live)
        while self._at < len(self._words):
            operator = self._words[self._at]
            level = _PRECEDENCE.get(operator, -1)
            if level < least:
                break
            self._at += 1
            settled = (operator == "&&" and not left.value) or (operator == "||" and left.value)
            right = self._binary(level + 1, live=live and not settled)
            left = _combined(operator, left, right, live=live)
        return left

    def _operand(self, *, live: bool) -> _Number:
        operators: list[str] = []
        while operator := self._take("!", "-", "+", "~"):
            operators.append(operator)
        number = self._ternary_in_brackets(live=live) if self._take("(") else self._word()
        for operator in reversed(operators):
            value = number.value
            if operator == "!":
                number = _Number(int(not value))
            else:
                value = {"-": -value, "+": value, "~": ~value}[operator]
                number = _wrap(value, unsigned=number.unsigned)
        return number

    def _ternary_in_brackets(self, *, live: bool) -> _Number:
        number = self._ternary(live=live)
        if not self._take(")"):
            raise ConditionError("a bracket is not closed in a condition")
        return number

    def _word(self) -> _Number:
        if self._at >= len(self._words):
            raise ConditionError("a condition ends too soon")
        word = self._words[self._at]
        self._at += 1
        if word[0].isalpha() or word[0] in "_$":
            if word.startswith("__has_"):
                raise ConditionError(f"{word} looks for files of the host")
            return _Number(int(word == "true"))
        value = integer_of(word)
        if value is None or value >= 1 << 64:
            raise ConditionError(f"{word[:40]!r} is not expected in a condition")
        suffixed = word[0] != "'" and "u" in word[-3:].lower()
        return _Number(value, suffixed or value >= 1 << 63)


def _combined(operator: str, left: _Number, right: _Number, *, live: bool) -> _Number:
    if operator in ("<<", ">>"):
        return _wrap(BINARY[operator](left.value, right.value), unsigned=left.unsigned)
    unsigned = left.unsigned or right.unsigned
    a, b = (_wrap(number.value, unsigned=unsigned).value for number in (left, right))
    if operator in ("/", "%") and not b:
        if live:
            raise ConditionError("division by zero in a condition")
        return _Number(0, unsigned)
    value = BINARY[operator](a, b)
    return _Number(value) if operator in _TRUTHS else _wrap(value, unsigned=unsigned)


def _wrap(value: int, *, unsigned: bool) -> _Number:
    value %= 1 << 64
    return _Number(value - (1 << 64) if value >> 63 and not unsigned else value, unsigned)


def integer_of(word: str) -> int | None:
    """Return the value of an integer or character literal, None if it is none."""
    text = word.replace("'", "") if word[0] != "'" else word
    if text[0] == "'":
        return character_of(text)
    digits = text.rstrip("uUlLzZ")
    try:
        if digits[:2].lower() == "0x":
            return int(digits, 16)
        if digits[:2].lower() == "0b":
            return int(digits, 2)
        return int(digits, 8) if len(digits) > 1 and digits[0] == "0" else int(digits)
    except ValueError:
        return None


_ESCAPES: Final = {
    "n": 10,
    "t": 9,
    "r": 13,
    "a": 7,
    "b": 8,
    "f": 12,
    "v": 11,
    "e": 27,
    **{mark: ord(mark) for mark in "'\"?\\"},
}
_CODE: Final = re.compile(r"\\(?:x(?P<hex>[0-9a-fA-F]{1,2})|(?P<octal>[0-7]{1,3}))")


def character_of(text: str) -> int | None:
    """Return the value of a character literal, which is signed; None for one not understood."""
    inside = text[1:-1]
    if len(inside) == 1 and inside != "\\":
        return ord(inside)
    if found := _CODE.fullmatch(inside):
        code = int(found["hex"], 16) if found["hex"] else int(found["octal"], 8)
        return code - 256 if 128 <= code < 256 else code if code < 128 else None
    if len(inside) == 2 and inside[0] == "\\":
        return _ESCAPES.get(inside[1])
    return None
