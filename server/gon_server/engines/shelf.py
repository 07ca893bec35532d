"""The engines of a process: found by the format that they take, loaded when they are needed.

    [any thread] open(format) ──▶ entry point gon.engines ──▶ module, library ──▶ Engine

An entry point is named FORMAT.ENGINE. Which of a format's engines is meant where none is named says
gon_server.engines.choice.

Rules: one of each, kept once it is there; what failed may be tried again. Several threads may ask:
one loads, the others wait for it. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import cast

from gon.errors import GonError, Unsupported
from gon_server.engines.base import Engine, OpenEngine, Share
from gon_server.engines.choice import NO_RULES, EngineRules, in_order

ENGINES = "gon.engines"


class Shelf:
    """The engines of one process."""

    def __init__(self, share: Share, rules: EngineRules = NO_RULES) -> None:
        """`rules` are the site's: an engine that they forbid is never loaded."""
        self.rules = rules
        self._share = share
        self._chosen = dict(rules.chosen)
        # By format and name; by format and "" the one that is meant where none is named.
        self._engines: dict[tuple[str, str], Engine] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._locking = threading.Lock()

    def __repr__(self) -> str:
        versions = dict.fromkeys(each.version for each in self._engines.values())
        return f"Shelf({', '.join(versions) or 'empty'})"

    def has(self, code_format: str) -> bool:
        """Return whether the engine is loaded that is meant where none is named."""
        return (code_format, "") in self._engines

    def put(self, engine: Engine) -> None:
        """Have an engine that was made elsewhere."""
        self._engines[engine.format, ""] = engine

    def open(self, code_format: str, name: str = "") -> Engine:
        """Return the engine of a format, the one of that name if given, loading it if it must be.

        Raises Unsupported where there is none, the site forbids it, or its library does not load.
        """
        engine = self._engines.get((code_format, name))
        if engine is not None:
            return engine
        with self._locking:
            lock = self._locks.setdefault(code_format, threading.Lock())
        with lock:
            engine = self._engines.get((code_format, name))
            if engine is None:
                engine = self._load(code_format, name or self._chosen.get(code_format, ""))
                self._engines[code_format, name] = engine
            return engine

    def _load(self, code_format: str, name: str) -> Engine:
        """Return the engine of that name, or the first that loads; the format's lock is held."""
        reason: Unsupported | None = None
        for each in (name,) if name else engines_of(code_format):
            try:
                if why := self.rules.why_not(code_format, each):
                    raise Unsupported(f"engine {each!r} of {code_format}: {why}")
                engine = self._engines.get((code_format, each))
                if engine is None:
                    engine = open_engine(code_format, each, self._share)
            except Unsupported as error:
                reason = reason or error
            else:
                self._engines[code_format, each] = engine
                return engine
        raise reason or Unsupported(f"there is no engine of {code_format} here")

    def open_some(self, formats: Sequence[str]) -> bool:
        """Load the engines of these formats, those that there are; return whether all were loaded
        before. Raises Unsupported, with the first reason, where none loads.
        """
        if all(self.has(each) for each in formats):
            return True
        reasons: list[Unsupported] = []
        for each in formats:
            try:
                self.open(each)
            except Unsupported as error:
                reasons.append(error)
        if len(reasons) == len(formats):
            raise reasons[0]
        return False


def engine_formats() -> frozenset[str]:
    """Return the formats that engines of this installation name, whether they load or not."""
    return frozenset(entry.name.rpartition(".")[0] for entry in entry_points(group=ENGINES))


def engines_of(code_format: str) -> tuple[str, ...]:
    """Return the names of a format's engines, whether they load or not, in the order of choice."""
    parts = [entry.name.rpartition(".") for entry in entry_points(group=ENGINES)]
    return in_order(code_format, {name for each, _, name in parts if each == code_format})


def open_engine(code_format: str, name: str, share: Share) -> Engine:
    """Load the engine of a format that has this name. Raises Unsupported."""
    for entry in entry_points(group=ENGINES, name=f"{code_format}.{name}"):
        try:
            return cast("OpenEngine", entry.load())(share)
        except GonError:
            raise
        except Exception as error:  # whatever a broken installation of a library raises
            raise Unsupported(f"the engine of {code_format} cannot be loaded: {error}") from error
    raise Unsupported(
        f"there is no engine {name!r} of {code_format} here; there are "
        f"{', '.join(engines_of(code_format)) or 'none'}"
    )
