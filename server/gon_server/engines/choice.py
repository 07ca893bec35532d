"""Which engine runs a format that several can run. Pure.

    a program's own choice (`--engine=NAME` in its options) > the site's > the usual one > by name

Rules: what is named is taken or refused; among those that nobody named, the first that loads is
taken. Must not know: how engines are found and loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from gon.model import Program

# Formats, each with the name of its engine.
Choices: TypeAlias = tuple[tuple[str, str], ...]

_USUAL: Final = {"onnx": "onnxruntime"}
_ASKED: Final = re.compile(r"(?:^|\s)--engine=([\w-]{1,64})(?=\s|$)", re.ASCII)


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
