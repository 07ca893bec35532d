"""Macros that a program's options define: written as lines of its text, since a host takes only
plain ones as options; and what they make of an `#include` whose name is a macro.

Rules: pure. Of a name only what the options define is known, not what the text does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from gon_shim.opencl.comments import ends, uncommented
from gon_shim.opencl.limits import MACRO_STEPS_MAX, OPERAND_MAX

_WORD_OF_C: Final = r"[A-Za-z_]\w*"
# The last parameter may stand for all that follow: `...`, or with a name `rest...`.
_OPTION: Final = re.compile(rf"({_WORD_OF_C})(?:\(([\w, ]*(?:\.\.\. *)?)\))?(?:=(.*))?", re.DOTALL)
_PLAIN: Final = re.compile(r"[\w.+-]*", re.ASCII)
_CALL: Final = re.compile(rf"\s*({_WORD_OF_C})\s*(?:\((.*)\)\s*)?", re.DOTALL)
# A word, with what makes a string of it; what looks like one within a string is none.
_WORD: Final = re.compile(rf'"[^"]*"|(#\s*)?\b({_WORD_OF_C})\b')
# What a compiler joins with the next line, where it knows trigraphs too.
_SPLICES: Final = ("\\", "??/")


class Macro(NamedTuple):
    """A macro; `params` of one that is called."""

    body: str
    params: tuple[str, ...] | None = None

    def option(self, name: str) -> str:
        """Return the option that defines it, if it is plain."""
        return f"-D{name}={self.body}"

    def line(self, name: str) -> str:
        """Return the line of a program that defines it."""
        params = "" if self.params is None else f"({', '.join(self.params)})"
        return f"#define {name}{params} {self.body}\n"

    @property
    def is_plain(self) -> bool:
        """Whether every host takes it as an option."""
        return self.params is None and _PLAIN.fullmatch(self.body) is not None


def defined(option: str) -> tuple[str, Macro]:
    """Return what stands behind -D. Raises ValueError, also for what would take the next line
    along.
    """
    found = _OPTION.fullmatch(option)
    if found is None or "\n" in option or "\r" in option:
        raise ValueError(option)
    params = None if found[2] is None else tuple(each.strip() for each in found[2].split(","))
    body = "1" if found[3] is None else found[3]
    if body.rstrip().endswith(_SPLICES) or not ends(body):
        raise ValueError(option)
    return found[1], Macro(body, params)


def undefined(option: str) -> str:
    """Return what stands behind -U. Raises ValueError."""
    if re.fullmatch(_WORD_OF_C, option) is None:
        raise ValueError(option)
    return option


def operand(text: str, macros: Mapping[str, Macro]) -> str:
    """Return what an operand of `#include` becomes; unchanged if no macro makes anything of it."""
    text = uncommented(text)
    for _ in range(MACRO_STEPS_MAX):
        call = _CALL.fullmatch(text) if len(text) <= OPERAND_MAX else None
        macro = None if call is None else macros.get(call[1])
        if call is None or macro is None or len(macro.body) > OPERAND_MAX:
            break
        if macro.params is None:
            text = _replaced(macro.body, "", "", macros)
            continue
        # One parameter is what a name of a file has room for.
        if len(macro.params) != 1 or call[2] is None:
            break
        named = macro.params[0].removesuffix("...").strip() or "__VA_ARGS__"
        text = _replaced(macro.body, named, call[2].strip(), macros)
    return text


def _replaced(body: str, param: str, given: str, macros: Mapping[str, Macro]) -> str:
    """Return a macro's body with what is given for its parameter: beside `##` as it is, after `#`
    as a string, else with the macros in it replaced.
    """
    body = uncommented(body)
    parts = [body] if '"' in body else [part.strip() for part in body.split("##")]
    known = _WORD.sub(lambda found: _plain(found, macros), given)
    if len(known) > OPERAND_MAX:
        known = given

    def made(part: str, index: int) -> str:
        first, last = index == 0, index == len(parts) - 1

        def put(found: re.Match[str]) -> str:
            if found[2] is None or found[2] != param:
                return found[0]
            if found[1]:
                return f'"{given}"'
            beside = (not first and found.start() == 0) or (not last and found.end() == len(part))
            return given if beside else known

        return _WORD.sub(put, part)

    return "".join(made(part, index) for index, part in enumerate(parts))


def _plain(found: re.Match[str], macros: Mapping[str, Macro]) -> str:
    macro = None if found[2] is None else macros.get(found[2])
    return found[0] if macro is None or macro.params is not None else uncommented(macro.body)
