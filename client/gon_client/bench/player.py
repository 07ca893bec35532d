"""A player: the process that opens one place and plays rounds there for as long as the run asks.

Run as `python -m gon_client.bench.player CAST` by gon_client.bench.places, pinned by whoever starts
it. Rules: a failure is told in a message; the end of the run's stream ends the player, which gives
its lease back.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from gon.errors import GonError, Unsupported
from gon_client.bench import messages, workloads
from gon_client.bench.baselines import BindingBaseline, CallBaselines, PlainBaselines
from gon_client.bench.catalogue import BINDING, ENQUEUES, LIBRARY, NATIVE, PLAIN
from gon_client.bench.messages import Cast, Failed, Missing, Play, Played, Ready
from gon_client.bench.native import NativeEcho
from gon_client.bench.stage import AXPY_ELEMENTS, SOURCE, Address, Stage, open_stage


class Part(Protocol):
    """What plays rounds at one place."""

    @property
    def name(self) -> str: ...

    def play(self, play: Play) -> list[float]: ...


class StagePart:
    """Workloads on a device."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def name(self) -> str:
        return self._stage.name

    def play(self, play: Play) -> list[float]:
        return workloads.play(self._stage, play)


class PlainPart:
    """The plain baselines."""

    name = "plain Python"

    def __init__(self, baselines: PlainBaselines) -> None:
        self._baselines = baselines

    def play(self, play: Play) -> list[float]:
        return self._baselines.play(play.workload, play.size_bytes, play.samples)


class NativePart:
    """The C echo."""

    def __init__(self, echo: NativeEcho) -> None:
        self._echo = echo
        self.name = echo.name

    def play(self, play: Play) -> list[float]:
        return self._echo.play(play.samples)


class BindingPart:
    """Launches by a driver's own binding, or its own calls."""

    def __init__(self, baseline: BindingBaseline) -> None:
        self._baseline = baseline
        self.name = baseline.name

    def play(self, play: Play) -> list[float]:
        return self._baseline.play(play.launches, play.samples)


class LibraryPart:
    """Programs of engines by their libraries' own calls."""

    name = "the engines' libraries"

    def __init__(self) -> None:
        self._calls = CallBaselines()

    def play(self, play: Play) -> list[float]:
        return self._calls.play(play.workload, play.size_bytes, play.samples)


@contextmanager
def open_part(cast: Cast) -> Generator[Part]:
    """Open the player's place, and close it."""
    if cast.where == PLAIN:
        plain = PlainBaselines(cast.host_cpus)
        try:
            yield PlainPart(plain)
        finally:
            plain.close()
    elif cast.where == NATIVE:
        native = NativeEcho(cast.host_cpus)
        try:
            yield NativePart(native)
        finally:
            native.close()
    elif cast.where in (BINDING, ENQUEUES):
        binding = BindingBaseline(cast.where, SOURCE, "axpy", AXPY_ELEMENTS)
        try:
            yield BindingPart(binding)
        finally:
            binding.close()
    elif cast.where == LIBRARY:
        yield LibraryPart()
    else:
        with open_stage(Address(cast.where, cast.host, cast.unit, cast.way_cpus)) as stage:
            yield StagePart(stage)


def serve(sock: socket.socket, cast: Cast) -> None:
    """Open the place and answer until the run is over."""
    with open_part(cast) as part:
        messages.send(sock, Ready(part.name))
        gc.collect()
        gc.freeze()
        while (asked := messages.receive(sock)) is not None:
            assert isinstance(asked, Play), "a run asks for rounds"
            try:
                played: messages.Message = Played(part.play(asked))
            except Unsupported as error:
                played = Missing(error.message)
            messages.send(sock, played)
        gc.unfreeze()  # the collector ends what is in cycles: libraries complain of what is left


def main() -> int:
    """Play until told otherwise; return the exit status."""
    # A terminal's interrupt goes to everyone; the run ends its players by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cast = msgspec.json.decode(sys.argv[1], type=Cast)
    with socket.socket(fileno=cast.fd) as sock:
        try:
            serve(sock, cast)
        except (GonError, OSError, ImportError) as error:  # a backend's library may be missing
            messages.send(sock, Failed(str(error)))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
