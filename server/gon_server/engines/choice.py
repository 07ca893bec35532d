"""Which engine runs a format that several can run, and which none may have here. Pure.

    a program's own choice (`--engine=NAME` in its options) > the site's > the usual one > by name

Rules: what the site forbids nobody gets. What is named is taken or refused; among those that nobody
named, the first that loads is taken. Must not know: how engines are found and loaded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from gon.model import Program

# Formats, each with the name of its engine.
Choices: TypeAlias = tuple[tuple[str, str], ...]


class EngineRules(msgspec.Struct, frozen=True):
    """What a site says of the engines of a unit: those that it wants, and those that no program may
    have there: a FORMAT with all of its engines, or one, as FORMAT.ENGINE.
    """

    chosen: Choices = ()
    forbidden: tuple[str, ...] = ()

    def why_not(self, code_format: str, name: str) -> str:
        """Return what keeps programs from this engine, for people; "" where nothing does."""
        both = (code_format, f"{code_format}.{name}")
        return _said([rule for rule in self.forbidden if rule in both])

    def about(self, formats: Collection[str]) -> str:
        """Return what is forbidden of these formats, for people; "" if nothing is."""
        return _said([rule for rule in self.forbidden if rule.partition(".")[0] in formats])

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of which something is forbidden."""
        return tuple(dict.fromkeys(rule.partition(".")[0] for rule in self.forbidden))


NO_RULES: Final = EngineRules()
_USUAL: Final = {"onnx": "onnxruntime"}
_ASKED: Final = re.compile(r"(?:^|\s)--engine=([\w-]{1,64})(?=\s|$)", re.ASCII)


def _said(rules: Sequence[str]) -> str:
    return f"forbidden by the unit's site (forbid_engines: {', '.join(rules)})" if rules else ""


def in_order(code_format: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the engines of a format, the one first that is taken where nobody names one."""
    usual = _USUAL.get(code_format)
    return tuple(sorted(names, key=lambda name: (name != usual, name)))


def asked_engine(program: Program) -> tuple[str, Program]:
    """Return the engine that a program names, "" if it names none, and the program without that."""
    found = _ASKED.search(program.options) if program.options else None
    if found is None:
        return "", program
    rest = program.options[: found.start()] + program.options[found.end() :]
    return found[1], msgspec.structs.replace(program, options=rest.strip())
