"""A real gond for tests: a process with its own sockets, state and stand-in workers."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from gon.clock import SYSTEM_CLOCK
from gon.limits import PREAMBLE_MAGIC
from gon_client.control import ControlChannel, LeaseState, LeaseStatus

ROOT = Path(__file__).parents[2]
# What a test waits at most, for what takes milliseconds: a loaded machine is slow.
PATIENCE_S = 30.0
STAND_IN = "tests.e2e.standin_worker:serve"
REAL_WORKER = ("--worker-entry", "gon_server.worker:serve")


class Readiness(msgspec.Struct, frozen=True):
    """What gond writes once it is ready."""

    pid: int
    version: str
    epoch: int
    control: tuple[str, ...]
    data: tuple[str, ...]
    units: tuple[str, ...]


class GondFailedError(Exception):
    """gond did not get ready; `status` is its exit status."""

    def __init__(self, status: int, output: str) -> None:
        super().__init__(f"status {status}:\n{output}")
        self.status = status
        self.output = output


class Gond:
    """One running daemon; leaving its `with` kills it if it still runs."""

    def __init__(
        self,
        directory: Path,
        *flags: str,
        units: tuple[str, ...] = ("soft=test:",),
        name: str = "gond",
        state: str = "state",
        listen: tuple[str, ...] = ("gon://127.0.0.1:0",),
    ) -> None:
        self.socket = directory / f"{name}.sock"
        self._log = directory / f"{name}.log"
        given = [f"unix://{self.socket}", *listen]
        reader, writer = os.pipe()
        command = [
            *(sys.executable, "-m", "gon_server", "serve", "--no-discover"),
            *("--state-dir", str(directory / state), "--worker-entry", STAND_IN),
            *(f"--listen={each}" for each in given),
            # A unit whose formats are given is not opened to be described.
            *(f"--unit={unit},formats=opencl-c" for unit in units),
            *("--ready-fd", str(writer), "--log-level", "debug"),
            *flags,
        ]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writer,),
                env={**_environment(), "PYTHONPATH": os.pathsep.join(_paths())},
            )
        os.close(writer)
        try:
            self.ready = msgspec.json.decode(self._read_ready(reader), type=Readiness)
        except BaseException:  # whatever it is, no daemon is left behind
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def tcp(self) -> str:
        """The control plane's TCP address."""
        return next(uri for uri in self.ready.control if uri.startswith("gon:"))

    @property
    def unix(self) -> str:
        """The control plane's unix socket."""
        return next(uri for uri in self.ready.control if uri.startswith("unix:"))

    def channel(self) -> ControlChannel:
        return ControlChannel(self.unix, PATIENCE_S)

    def spawner(self) -> psutil.Process:
        (spawner,) = psutil.Process(self.process.pid).children()
        return spawner

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that live."""
        found: list[psutil.Process] = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            # One may end, and be reaped, between being listed and being asked.
            with suppress(psutil.NoSuchProcess):
                if child.ppid() != self.process.pid:
                    found.append(child)
        return found

    def serving(self) -> psutil.Process:
        """Return the worker that was the last to get a lease."""
        told = re.findall(r"lease \S+: worker pid (\d+)", self.output)
        return psutil.Process(int(told[-1]))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Return the exit status."""
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read_ready(self, reader: int) -> bytes:
        with os.fdopen(reader, "rb") as pipe:
            if not select.select([pipe], [], [], PATIENCE_S)[0]:
                raise TimeoutError(f"gond is not ready:\n{self.output}")
            text = pipe.read()
        if not text:
            raise GondFailedError(self.process.wait(PATIENCE_S), self.output)
        return text


def real_gond(directory: Path, *flags: str, unit: str = "eagphpu0=opencl:,slices=8") -> Gond:
    """Start a gond whose workers are the real ones."""
    return Gond(directory, *REAL_WORKER, *flags, units=(unit,))


def connect(endpoint: str, token: bytes, magic: bytes = PREAMBLE_MAGIC) -> socket.socket:
    """Return a data connection that has shown `token`."""
    sock = dial(endpoint)
    sock.sendall(magic + token)
    return sock


def dial(endpoint: str) -> socket.socket:
    """Return a connection to a data endpoint, with nothing said yet."""
    if endpoint.startswith("unix://"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE_S)
        sock.connect(endpoint.removeprefix("unix://"))
        return sock
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host, int(port)), PATIENCE_S)


def greeting(sock: socket.socket) -> str:
    """Return the lease that the stand-in at the other end serves."""
    text = b""
    while not text.endswith(b"\0"):
        part = sock.recv(1)
        assert part, "the worker greets every link"
        text += part
    return text[:-1].decode()


def is_closed(sock: socket.socket) -> bool:
    """Wait until the peer closes without a word; return whether it did."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def until(reached: Callable[[], bool], what: str) -> None:
    """Ask `reached` (which takes its time: a call, a look at /proc) until it says yes."""
    deadline_s = SYSTEM_CLOCK.now_s() + PATIENCE_S
    while not reached():
        assert SYSTEM_CLOCK.now_s() < deadline_s, f"not within {PATIENCE_S} s: {what}"


def ended(channel: ControlChannel, lease: str, token: bytes) -> LeaseStatus:
    """Return the status of a lease once it has ended."""
    until(lambda: channel.inspect(lease, token).state is LeaseState.ENDED, f"{lease} ends")
    return channel.inspect(lease, token)


def all_free(channel: ControlChannel) -> bool:
    """Return whether no unit has a slice that is taken."""
    return all(unit.slices_free == unit.slices for unit in channel.describe().units)


def gone(processes: list[psutil.Process]) -> bool:
    """Wait until `processes` are no more; return whether that is so."""
    return not psutil.wait_procs(processes, PATIENCE_S)[1]


def _paths() -> list[str]:
    return [str(ROOT), *(str(ROOT / each) for each in ("server", "client", "shim"))]


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("GOND_")}
