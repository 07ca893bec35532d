"""The engines of a process: found by the format that they take, loaded when they are needed.

    [any thread] open(format) ──▶ entry point gon.engines ──▶ module, library ──▶ Engine

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

ENGINES = "gon.engines"


class Shelf:
    """The engines of one process."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._engines: dict[str, Engine] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._locking = threading.Lock()

    def __repr__(self) -> str:
        return f"Shelf({', '.join(each.version for each in self._engines.values()) or 'empty'})"

    def has(self, code_format: str) -> bool:
        """Return whether the engine is loaded."""
        return code_format in self._engines

    def put(self, engine: Engine) -> None:
        """Have an engine that was made elsewhere."""
        self._engines[engine.format] = engine

    def open(self, code_format: str) -> Engine:
        """Return the engine of a format, loading it if it must be.

        Raises Unsupported where there is none, or its library does not load.
        """
        engine = self._engines.get(code_format)
        if engine is not None:
            return engine
        with self._locking:
            lock = self._locks.setdefault(code_format, threading.Lock())
        with lock:
            if code_format not in self._engines:
                self._engines[code_format] = open_engine(code_format, self._share)
            return self._engines[code_format]

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
    return frozenset(entry.name for entry in entry_points(group=ENGINES))


def open_engine(code_format: str, share: Share) -> Engine:
    """Load the engine of a format. Raises Unsupported."""
    for entry in entry_points(group=ENGINES, name=code_format):
        try:
            return cast("OpenEngine", entry.load())(share)
        except GonError:
            raise
        except Exception as error:  # whatever a broken installation of a library raises
            raise Unsupported(f"the engine of {code_format} cannot be loaded: {error}") from error
    raise Unsupported(f"there is no engine of {code_format} here")
