"""Threads of the driver's own: one calls the functions that a program gave for its events, one
waits for the commands that have any.

Rules: a program's function is called by the first alone, so never with a lock of ours, nor within a
call of the program's. When the program ends, nothing is called any more.
"""

from __future__ import annotations

import queue as queues
import threading
from collections.abc import Callable
from typing import Final

from gon_shim.opencl.errors import told
from gon_shim.opencl.unit import UNIT


class Aside:
    """A thread that does what it is given, one after the other; it starts with the first."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._given: queues.SimpleQueue[Callable[[], object]] = queues.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_over = False

    def __repr__(self) -> str:
        return f"Aside({self._name}{', over' if self._is_over else ''})"

    def put(self, call: Callable[[], object]) -> None:
        """Let `call` be called soon."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self._given.put(call)

    def stop(self) -> None:
        """Call nothing from now on."""
        self._is_over = True
        self._given.put(lambda: None)

    def _run(self) -> None:
        while True:
            call = self._given.get()
            if self._is_over:
                return
            try:
                call()
            except Exception as error:  # noqa: BLE001 - what is given later is to be done, too
                told(self._name, error)


CALLER: Final = Aside("gon-opencl-calls")
WATCHER: Final = Aside("gon-opencl-events")
UNIT.on_close.extend((CALLER.stop, WATCHER.stop))
