"""The run's side of its players: starts one for each place, asks it for rounds, ends it.

Rules: a player's death, silence or failure is raised as an exception that names the place. Owns no
measurement.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from types import TracebackType
from typing import Protocol, Self

import msgspec

from gon.errors import DeviceError, LinkLost, Unsupported
from gon_client.bench import messages
from gon_client.bench.messages import Cast, Failed, Message, Missing, Play, Played, Ready
from gon_client.bench.placement import Processors, start_pinned

# A round, or the opening of a place (a cold OpenCL runtime compiles its kernels); far more than
# either takes.
ANSWER_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 10.0


class Place(Protocol):
    """Somewhere a workload runs."""

    @property
    def where(self) -> str:
        """The place's name in the rows."""
        ...

    def play(self, asked: Play) -> list[float]:
        """Return one round's samples. Raises Unsupported if the place has not what it takes."""
        ...


class Player:
    """A process that plays workloads at one place."""

    def __init__(
        self, where: str, processors: Processors, *, host: str = "", unit: str = ""
    ) -> None:
        self._where = where
        self._sock, theirs = socket.socketpair()
        with theirs:
            cast = Cast(where, theirs.fileno(), host, unit, processors.host, processors.way)
            argument = msgspec.json.encode(cast).decode()
            self._process = start_pinned(
                [sys.executable, "-m", "gon_client.bench.player", argument],
                processors.client,
                pass_fds=[theirs.fileno()],
            )
        self._sock.settimeout(ANSWER_TIMEOUT_S)
        try:
            ready = self._answer()
        except BaseException:  # whatever it was, the process must not stay behind
            self.close()
            raise
        assert isinstance(ready, Ready), "the first answer of a player says that it is ready"
        self._device = ready.device

    @property
    def where(self) -> str:
        return self._where

    @property
    def device(self) -> str:
        """What the place's device is called."""
        return self._device

    def play(self, asked: Play) -> list[float]:
        """Return one round's samples. Raises DeviceError with the player's words, LinkLost if it is
        gone, Unsupported.
        """
        messages.send(self._sock, asked)
        played = self._answer()
        if isinstance(played, Missing):
            raise Unsupported(played.message)
        assert isinstance(played, Played), "a round is answered by its samples"
        return played.values

    def _answer(self) -> Message:
        message = messages.receive(self._sock)
        if message is None:
            raise LinkLost(f"the player at {self._where} ended (exit status {self._end()})")
        if isinstance(message, Failed):
            raise DeviceError(f"at {self._where}: {message.message}")
        return message

    def _end(self) -> int:
        try:
            return self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def close(self) -> None:
        """End the player; idempotent."""
        self._sock.close()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Player({self._where}, pid {self._process.pid}, {self._device!r})"
