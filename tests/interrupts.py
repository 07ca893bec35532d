"""What may come at each place of a call, such as an interrupt (Ctrl-C) or a finalizer: by tracing,
so that none depends on chance.

Python looks for signals, and since 3.12 for what the collector has to do, once a call has returned,
where a function begins, and where a loop jumps back. In this package's own functions something may
be done at each of these.
"""

from __future__ import annotations

import dis
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType

import gon.transport
import gon_client

CLIENT = str(Path(gon_client.__file__).parent)
TRANSPORT = str(Path(gon.transport.__file__).parent)
_LOOKS_AFTER = ("CALL", "RESUME", "JUMP_BACKWARD")


class Places:
    """Calls `at_each` at each such place, in functions of these folders, of what is called; at
    each `visits` times at most, that no loop goes on for ever because of it.
    """

    def __init__(
        self, at_each: Callable[[], None], *folders: str, visits: int = sys.maxsize
    ) -> None:
        self._at_each = at_each
        self._folders = folders
        self._visits = visits
        self._visited: Counter[tuple[CodeType, int]] = Counter()
        # Kept: Python, about to call one, may run a finalizer first, whose own call takes it out.
        self._hooks = self._enter, self._resume

    def at(self, code: CodeType, instruction: int) -> None:
        place = code, instruction
        self._visited[place] += 1
        if self._visited[place] <= self._visits:
            self._at_each()

    def call(self, run: Callable[[], object]) -> None:
        sys.settrace(self._hooks[0])
        try:
            run()
        finally:
            sys.settrace(None)
            sys.setprofile(None)

    def go_on(self) -> None:
        """Let the places be looked at again once `at_each` has raised, which ends their tracing: to
        be called before that. All of them are new.
        """
        self._visited.clear()
        sys.setprofile(self._hooks[1])

    def _resume(self, frame: FrameType, event: str, _argument: object) -> None:
        """Trace again; a place comes behind a call, so none was passed before this is called."""
        sys.setprofile(None)
        calls = event == "c_call"
        within: FrameType | None = frame
        while within is not None:
            if self._is_looked_at(within):
                within.f_trace_opcodes = True
                within.f_trace = _Trace(self, "CALL" if calls or within is not frame else "RESUME")
            within = within.f_back
        sys.settrace(self._hooks[0])

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> _Trace | None:
        if not self._is_looked_at(frame):
            return None
        frame.f_trace_opcodes = True
        return _Trace(self, "RESUME")

    def _is_looked_at(self, frame: FrameType) -> bool:
        return frame.f_code.co_filename.startswith(self._folders)


class Interrupts:
    """Raises KeyboardInterrupt at places of the client, of what is called: each of `places` is the
    how manieth it is behind the one before, from 1; of one that is passed `visits` times at most.
    """

    def __init__(self, *places: int, visits: int = sys.maxsize) -> None:
        self._left = list(places)
        self._places = Places(self._look, CLIENT, visits=visits)

    def call(self, run: Callable[[], object]) -> int:
        """Call `run`; return how many of them came: what is called may have fewer such places."""
        asked = len(self._left)
        with suppress(KeyboardInterrupt):
            self._places.call(run)
        return asked - len(self._left)

    def _look(self) -> None:
        if not self._left:
            return
        self._left[0] -= 1
        if self._left[0] == 0:
            del self._left[0]
            if self._left:
                self._places.go_on()
            raise KeyboardInterrupt


class _Trace:
    """What follows one function's steps; `before` is the kind of the one that was made last."""

    def __init__(self, places: Places, before: str) -> None:
        self._places = places
        self._before = before

    def __call__(self, frame: FrameType, event: str, _argument: object) -> _Trace:
        if event == "opcode":
            before, at = self._before, frame.f_lasti
            self._before = dis.opname[frame.f_code.co_code[at]]
            if before.startswith(_LOOKS_AFTER):
                self._places.at(frame.f_code, at)
        elif event == "exception":
            # A call that raises does not return.
            self._before = ""
        return self
