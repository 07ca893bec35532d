"""Headers that count once: by which name, and where a text has them already for certain.

A header that others include as well would be put into the text once for each way to it, and of
those that all include each other there are more ways than anything has room for. Once its guard is
defined for certain, it is left out: it was put at the same level of conditionals, or at one around.

Rules: pure. Where something cannot be told the header is put again, which only takes room.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from gon_shim.opencl.comments import COMMENT, STRING, uncommented

_ONCE: Final = re.compile(
    rf"{COMMENT}|{STRING}|(?P<once>^[ \t]*#[ \t]*pragma[ \t]+once\b[^\n/]*)", re.MULTILINE
)
# How a header begins that has a name of its own.
_GUARD: Final = re.compile(
    r"\s*#[ \t]*(?:ifndef[ \t]+|if[ \t]*![ \t]*defined[ \t(]+)(?P<name>\w+)[ \t)]*"
    r"\n\s*#[ \t]*define[ \t]+(?P=name)\b"
)
# Words of conditionals, those of later C among them.
CONDITIONS: Final = "if|ifdef|ifndef|elif|elifdef|elifndef|else|endif"
_CONDITION: Final = re.compile(
    rf"^[ \t]*(?:#|%:)[ \t]*(?P<word>{CONDITIONS})\b[^\n]*", re.MULTILINE
)
_NAMED: Final = re.compile(r"^[ \t]*(?:#|%:)[ \t]*(define|undef)[ \t]+(\w+)", re.MULTILINE)
# What a compiler may define before it reads anything: the language's own names and OpenCL's, unless
# they end as those of headers do.
_PREDEFINED: Final = re.compile(
    r"(?!\w*_(?i:h|hh|hpp|hxx|cl|clh|inl|inc|include|included|guard)_*$)"
    r"(?:_[_A-Z]\w*|(?:cl|CL|CLK|FLT|DBL|HALF|[SU]?CHAR|U?SHRT|U?INT|U?LONG|M|FP|ATOMIC|HUGE)_\w+"
    r"|MAXFLOAT|INFINITY|NAN|NULL|linux|unix|i386|SPIR\w*)$"
)
_SPLICE: Final = re.compile(r"\\[ \t\r]*\n")


def guarded(body: str) -> tuple[str, str]:
    """Return a header's text, and the name by which it counts once, "" if it does not.

    One that says `#pragma once` is given such a name: no file is left to know it by.
    """
    found = next((found for found in _ONCE.finditer(body) if found["once"]), None)
    if found is None:
        return body, _guard(uncommented(body))
    name = f"GON_ONCE_{hashlib.sha256(body.encode()).hexdigest()[:16]}"
    text = f"{body[: found.start()]}{body[found.end() :]}"
    return f"#ifndef {name}\n#define {name}\n#line 1\n{text}\n#endif\n", name


def _guard(text: str) -> str:
    """Return the name whose definition all of a header depends on, "" if there is none."""
    begun = _GUARD.match(text)
    depth, end = 0, 0
    for found in _CONDITION.finditer(text) if begun else ():
        if end or (depth == 1 and found["word"].startswith("el")):
            return ""
        depth += _step(found["word"])
        end = 0 if depth else found.end()
    return begun["name"] if begun and end and not text[end:].strip() else ""


def _step(word: str) -> int:
    return 1 if word.startswith("if") else -1 if word == "endif" else 0


def _taken_back_at(text: str, guard: str) -> int:
    """Return where a text takes its guard back itself, or somewhere before."""
    if _SPLICE.search(text):
        return 0
    blank = rf"(?:[ \t]|{COMMENT})"
    undef = re.compile(rf"{COMMENT}|{STRING}|(?P<undef>(?:#|%:){blank}*undef{blank}+{guard}\b)")
    return next((found.start() for found in undef.finditer(text) if found["undef"]), 0)


class _Open:
    """A header that is being put, as long as its guard keeps it from being put within itself."""

    def __init__(self, guard: str, ends_at: int | None) -> None:
        self.guard = guard
        # Where it takes its guard back itself, or before.
        self.ends_at = ends_at


class Certain:
    """The guards that are defined for certain, wherever a text has come to."""

    def __init__(self, given: Iterable[str]) -> None:
        """`given` are names that are defined before."""
        self._here: set[str] = set()
        # What they were before each conditional that is open.
        self._before: list[set[str]] = []
        # Names that something else than their header defines, or takes back.
        self._foreign, self._taken_back = {*given}, set[str]()
        # Whether nobody can tell any more.
        self._is_lost = False
        self._open: list[_Open] = []

    def __repr__(self) -> str:
        return f"Certain({len(self._here)} at {len(self._before)})"

    def __contains__(self, guard: str) -> bool:
        is_open = any(each.guard == guard for each in self._open)
        return is_open or (guard in self._here and not self._is_lost)

    def enter(self, text: str, guard: str = "") -> int:
        """Hear that a text begins, that of a header which counts once if it has a guard.

        Returns what `leave` is to be told.
        """
        plain = uncommented(_SPLICE.sub("", text))
        for word, name in _NAMED.findall(plain):
            if word == "undef":
                self._taken_back.add(name)
                for each in (self._here, *self._before):
                    each.discard(name)
                self._close(name)
            elif name != guard:
                self._foreign.add(name)
        # A conditional that ends in another text, or seems to; a name that is what it was before.
        steps = sum(_step(found["word"]) for found in _CONDITION.finditer(plain))
        if steps or "pop_macro" in plain:
            self._is_lost = True
        if guard and guard not in self._taken_back:
            self._here.add(guard)
        takes_back = guard and ("undef", guard) in _NAMED.findall(plain)
        self._open.append(_Open(guard, _taken_back_at(text, guard) if takes_back else None))
        return len(self._before)

    def _close(self, guard: str) -> None:
        for each in self._open:
            if each.guard == guard:
                each.guard = ""

    def come_to(self, at: int) -> None:
        """Hear how far the text that was entered last has come."""
        last = self._open[-1]
        if last.ends_at is not None and last.ends_at <= at:
            last.guard = ""

    def step(self, word: str) -> None:
        """Hear of a directive of conditionals."""
        if word.startswith("if"):
            self._before.append({*self._here})
        elif self._before:
            self._here = {*self._before[-1]} if word.startswith("el") else self._before.pop()

    def leave(self, depth: int, guard: str = "") -> None:
        """Hear that a text ends; of its conditionals the last may not have been told of."""
        # What a guard lets in was there when it was defined, unless something else has done that.
        foreign = guard in self._foreign or guard in self._taken_back or _PREDEFINED.match(guard)
        is_own = bool(guard) and not foreign
        inside = depth + is_own
        if len(self._before) > inside:
            self._here = self._before[inside]
        del self._before[depth:]
        del self._open[-1]
