"""The thread that runs functions of engines while a lease's other work goes on.

One function runs at a time, wherever it runs: engines are asked by one thread at a time. So what a
function is bound to, loads and frees meanwhile is ordered by who puts ops in line.

Rules: the thread begins with the first function that is given to it. Must not know: ops, streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, runtime_checkable

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
    """The Pending of a function that runs."""

    __slots__ = ("_future",)

    def __init__(self, future: Future[None]) -> None:
        self._future = future

    def done(self) -> bool:
        return self._future.done()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return once it has run. Raises what it raised, WaitTimeout."""
        try:
            self._future.result(timeout_s)
        except TimeoutError:
            raise WaitTimeout(f"the function still runs after {timeout_s} s") from None


class EngineThread:
    """Runs one function after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gon-engine")

    def run(self, function: Callable[[], None]) -> Pending:
        """Run a function behind those that were given before."""
        return Call(self._thread.submit(function))
