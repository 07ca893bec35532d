"""Interrupts, such as Ctrl-C, at each place where one may come: by tracing, so that none depends on
chance.

Python looks for signals once a call has returned, where a function begins, and where a loop jumps
back. In this package's own functions an interrupt may be raised at each of these.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import gon_client

_HERE = str(Path(gon_client.__file__).parent)
_LOOKS_AFTER = ("CALL", "RESUME", "JUMP_BACKWARD")


class Interrupts:
    """Raises KeyboardInterrupt at the `place`-th such place, counted from 1, of what is called."""

    def __init__(self, place: int) -> None:
        self._left = place

    def call(self, run: Callable[[], object]) -> bool:
        """Call `run`; return whether it was interrupted, False once it has no such place."""
        sys.settrace(self._enter)
        try:
            run()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
        return False

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> _Trace | None:
        if not frame.f_code.co_filename.startswith(_HERE):
            return None
        frame.f_trace_opcodes = True
        return _Trace(self)

    def look(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


class _Trace:
    """What follows one function's steps."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._before = ""

    def __call__(self, frame: FrameType, event: str, _argument: object) -> _Trace:
        if event == "opcode":
            before, at = self._before, frame.f_lasti
            self._before = dis.opname[frame.f_code.co_code[at]]
            if before.startswith(_LOOKS_AFTER):
                self._interrupts.look()
        return self
