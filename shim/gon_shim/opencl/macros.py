"""Macros that a program's options define: written as lines of its text, since a host takes only
plain ones as options; and what they make of an `#include` whose name is a macro.

Rules: pure. Of a name only what the options define is known, not what the text does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from gon_shim.opencl.limits import MACRO_STEPS_MAX

_OPTION: Final = re.compile(r"([A-Za-z_]\w*)(?:\(([\w, ]*)\))?(?:=(.*))?", re.DOTALL)
_PLAIN: Final = re.compile(r"[\w.+-]*", re.ASCII)
_CALL: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_WORD: Final = re.compile(r"(#?)\b([A-Za-z_]\w*)\b")
_Change = Callable[[re.Match[str]], str]


class Macro(NamedTuple):
    """A macro; `params` of one that is called."""

    body: str
    params: tuple[str, ...] | None = None

    def line(self, name: str) -> str:
        """Return the line of a program that defines it."""
        params = "" if self.params is None else f"({', '.join(self.params)})"
        return f"#define {name}{params} {self.body}\n"

    @property
    def is_plain(self) -> bool:
        """Whether every host takes it as an option."""
        return self.params is None and _PLAIN.fullmatch(self.body) is not None


def defined(option: str) -> tuple[str, Macro]:
    """Return what stands behind -D. Raises ValueError."""
    found = _OPTION.fullmatch(option)
    if found is None or "\n" in option:
        raise ValueError(option)
    params = None if found[2] is None else tuple(each.strip() for each in found[2].split(","))
    return found[1], Macro("1" if found[3] is None else found[3], params)


def operand(text: str, macros: Mapping[str, Macro]) -> str:
    """Return what an operand of `#include` becomes; unchanged if no macro makes anything of it."""
    for _ in range(MACRO_STEPS_MAX):
        call = _CALL.fullmatch(text)
        macro = None if call is None else macros.get(call[1])
        if call is None or macro is None:
            break
        if macro.params is None:
            text = macro.body
            continue
        # One parameter is what a name of a file has room for.
        if len(macro.params) != 1 or call[2] is None:
            break
        text = _WORD.sub(_put(macro.params[0], call[2], macros), macro.body)
    return text


def _put(param: str, given: str, macros: Mapping[str, Macro]) -> _Change:
    def change(found: re.Match[str]) -> str:
        if found[2] != param:
            return found[0]
        return f'"{given.strip()}"' if found[1] else _WORD.sub(known, given)

    def known(found: re.Match[str]) -> str:
        macro = macros.get(found[2])
        return found[0] if macro is None or macro.params is not None else macro.body

    return change
