"""The thread that runs functions of engines while a lease's other work goes on.

One function runs at a time, wherever it runs: engines are asked by one thread at a time. So what a
function is bound to, loads and frees meanwhile is ordered by who puts ops in line.

Rules: the thread begins with the first function that is given to it; where there is none to be had,
functions run where they are given. A process that ends does not wait for what runs. Must not know:
ops, streams.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Protocol, TypeAlias, runtime_checkable

from gon.device import Pending
from gon.errors import WaitTimeout
from gon.model import Dim3, Handle, LaunchArg
from gon_server.paces import Paces


@runtime_checkable
class RunsAside(Protocol):
    """What a device may give besides: functions that another thread may run, on memory in place."""

    @property
    def paces(self) -> Paces:
        """Which functions take long; who runs one aside tells it."""
        ...

    def is_aside(self, kernel: int) -> bool:
        """Return whether this is such a function."""
        ...

    def call(
        self, kernel: Handle, grid: Dim3, block: Dim3, shared_bytes: int, args: Sequence[LaunchArg]
    ) -> None:
        """Run a function as `launch` does, but for the wait for its stream, in any thread."""
        ...


class Call:
    """A function to be run, and its Pending."""

    __slots__ = ("_error", "_function", "_over")

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._over = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Run it; whatever it raises is for who waits."""
        try:
            self._function()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self._error = error
        finally:
            self._over.set()

    def done(self) -> bool:
        return self._over.is_set()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return once it has run. Raises what it raised, WaitTimeout."""
        if not self._over.wait(timeout_s):
            raise WaitTimeout(f"the function still runs after {timeout_s} s")
        if self._error is not None:
            raise self._error


# None ends who serves it.
_Calls: TypeAlias = "SimpleQueue[Call | None]"


class EngineThread:
    """Runs one function after the other; its thread ends with it."""

    def __init__(self) -> None:
        self._calls: _Calls = SimpleQueue()
        self._runs = False

    def run(self, function: Callable[[], None]) -> Pending:
        """Run a function behind those that were given before."""
        call = Call(function)
        if self._runs or self._begin():
            self._calls.put(call)
        else:
            call.run()
        return call

    def _begin(self) -> bool:
        """Begin the thread; return whether there is one: it takes memory, which may be used up."""
        thread = threading.Thread(
            target=_serve, args=(self._calls,), name="gon-engine", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return False
        self._runs = True
        weakref.finalize(self, self._calls.put, None).atexit = False
        return True


def _serve(calls: _Calls) -> None:
    while (call := calls.get()) is not None:
        call.run()
