"""A gond of the run's own: started as a process, pinned, asked where it listens, measured, ended.

Rules: its files are in a directory that goes with it; settings of the user's own gond do not reach
it; it is ended by its process id and by no other name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import DeviceError, HostUnreachable
from gon_client.bench.placement import start_pinned

# The daemon is a program that may be installed beside the client, never a library of it.
DAEMON = (sys.executable, "-m", "gon_server")
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 20.0
_POLL_S = 0.02
_KIB_TO_MB = 1024 / 1e6


class _Readiness(msgspec.Struct, frozen=True):
    """What a ready gond tells of itself; other fields are not this run's concern."""

    pid: int
    control: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrivateHost:
    """A running gond: its process, and where its control plane is reached."""

    pid: int
    tcp: str
    unix: str

    def memory_mb(self) -> tuple[float, float]:
        """Return what is resident of gond and of the largest process below it, in MB."""
        return resident_mb(self.pid), max(map(resident_mb, descendants(self.pid)), default=0.0)

    def share_mb(self) -> float:
        """Return what gond and all below it hold together, in MB, shared pages counted once.

        Raises DeviceError where the system does not tell this user.
        """
        return sum(map(share_mb, (self.pid, *descendants(self.pid))))


@contextmanager
def private_host(cpus: Sequence[int], clock: Clock = SYSTEM_CLOCK) -> Generator[PrivateHost]:
    """Start a gond on `cpus` (empty: all), end it. Raises HostUnreachable with its last words."""
    with _orderly_end(), tempfile.TemporaryDirectory(prefix="gon-private-") as name:
        directory = Path(name)
        ready = directory / "ready"
        (directory / "gond.toml").touch()
        log = directory / "log"
        with log.open("wb") as stderr:
            process = start_pinned(
                [*DAEMON, "serve", *_flags(directory, ready)],
                cpus,
                environ=without_settings(os.environ),
                stdout=subprocess.DEVNULL,
                stderr=stderr.fileno(),
            )
        try:
            yield _await(process, ready, log, clock)
        finally:
            _end(process)


@contextmanager
def _orderly_end() -> Generator[None]:
    """Let SIGTERM end this process as an exception does, so that no gond stays behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _flags(directory: Path, ready: Path) -> list[str]:
    flags = {
        "--config": [str(directory / "gond.toml")],
        "--listen": [f"unix://{directory}/gond.sock", "gon://127.0.0.1:0"],
        "--data-listen": [f"unix://{directory}/data.sock", "tcp://127.0.0.1:0"],
        "--state-dir": [str(directory / "state")],
        "--ready-file": [str(ready)],
    }
    return [part for flag, values in flags.items() for value in values for part in (flag, value)]


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what configures a daemon or a client."""
    return {k: v for k, v in environ.items() if not k.startswith(("GOND_", "GON_"))}


def _await(process: subprocess.Popen[bytes], ready: Path, log: Path, clock: Clock) -> PrivateHost:
    until_s = clock.now_s() + START_TIMEOUT_S
    while not ready.exists():
        if process.poll() is not None or clock.now_s() > until_s:
            words = log.read_text("utf-8", "replace").strip()[-2000:]
            raise HostUnreachable(f"gond did not start (it comes with gon[soft]): {words}")
        clock.sleep_s(_POLL_S)
    told = msgspec.json.decode(ready.read_bytes(), type=_Readiness)
    by_scheme = {uri.partition(":")[0]: uri for uri in told.control}
    return PrivateHost(process.pid, by_scheme["gon"], by_scheme["unix"])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it drain; twice asked, it ends at once."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        return


def resident_mb(pid: int) -> float:
    """Return a process's resident memory in MB, pages that it shares counted whole; 0 if it is
    gone.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:  # it ended meanwhile
        return 0.0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmRSS:"))
    return next((int(words[1]) * _KIB_TO_MB for words in lines), 0.0)


def share_mb(pid: int) -> float:
    """Return a process's memory in MB, each page divided among those who share it; 0 if it is gone.

    Raises DeviceError where the system does not tell this user: gond hides its memory from all but
    root.
    """
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii", "replace")
    except PermissionError as error:
        raise DeviceError(f"the memory of process {pid} is told to root only") from error
    except OSError:  # it ended meanwhile
        return 0.0
    lines = (line.split() for line in rollup.splitlines() if line.startswith("Pss:"))
    return next((int(words[1]) * _KIB_TO_MB for words in lines), 0.0)


def descendants(pid: int) -> list[int]:
    """Return the processes below one, its children and theirs."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text("ascii", "replace")
        except OSError:  # it ended meanwhile
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(path.parent.name))
    found: list[int] = []
    front = [pid]
    while front:
        front = [child for each in front for child in children.get(each, [])]
        found += front
    return found
