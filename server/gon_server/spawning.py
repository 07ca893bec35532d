"""gond's end of the spawner: starts it, orders workers from it, starts it again when it dies.

Rules: the spawner gets a clean environment and one inherited socket, nothing else; a message that
does not decode ends it. It is started before anything large is loaded into gond.
Must not know: leases, units, what workers do.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from gon.limits import WORKER_END_S
from gon_server.orders import AnyOrder, Exited, Kill, Spawn, Spawned, receive_order, send_order
from gon_server.pool import pause_s

log = logging.getLogger("gond.spawning")

# What a worker may see of gond's environment: what programs and drivers need to run, no secrets.
_VARIABLES = frozenset(
    {
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDA_VISIBLE_DEVICES",
        "GON_NATIVE",
        "HOME",
        "LANG",
        "LD_LIBRARY_PATH",
        "NVIDIA_VISIBLE_DEVICES",
        "PATH",
        "PYTHONPATH",
        "TMPDIR",
        "TZ",
        "VIRTUAL_ENV",
        "XDG_CACHE_HOME",
    }
)
_PREFIXES = ("CL_CONFIG_", "LC_", "OCL_", "POCL_")


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of `environ` the spawner and its workers get."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _VARIABLES or name.startswith(_PREFIXES)
    }
    # NumPy's BLAS would start a thread for each core on import, and forks want a single thread.
    kept["OPENBLAS_NUM_THREADS"] = "1"
    # Nothing of what tenants compile is kept on disk, and a full one ends no worker: pyopencl would
    # write of each kernel. It looks as it is imported.
    kept["PYOPENCL_NO_CACHE"] = "1"
    return kept


class SpawnerProcess:
    """One life of the spawner. `sock` does not block."""

    def __init__(
        self, worker_entry: str, log_level: str, state_dir: str, environ: Mapping[str, str]
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            fd = theirs.fileno()
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "gon_server.spawner",
                    str(fd),
                    worker_entry,
                    log_level,
                    state_dir,
                ],
                stdin=subprocess.DEVNULL,
                # What a tenant's kernel prints belongs with the logs.
                stdout=sys.stderr.fileno(),
                env=clean_environment(environ),
                pass_fds=(fd,),
                # A signal for gond's terminal must not reach workers: they end by gond's word.
                start_new_session=True,
            )
        ours.setblocking(False)
        self.sock = ours
        self.pid = self._process.pid

    def __repr__(self) -> str:
        return f"SpawnerProcess(pid {self.pid})"

    def close(self) -> None:
        """Let it end, with all its workers; kill it if it takes too long."""
        self.sock.close()
        try:
            self._process.wait(WORKER_END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it now; the kernel ends its workers."""
        self.sock.close()
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class SpawnerEvents:
    """Who is told what the spawner says. `spawned` owns the socket it is given."""

    spawned: Callable[[int, int, socket.socket], None]
    exited: Callable[[int, int], None]
    lost: Callable[[], None]
    returned: Callable[[], None]


class Spawning:
    """Keeps a spawner alive and talks to it, on the running asyncio loop."""

    def __init__(
        self,
        process: SpawnerProcess,
        start: Callable[[], SpawnerProcess],
        events: SpawnerEvents,
    ) -> None:
        self._process: SpawnerProcess | None = process
        self._start = start
        self._events = events
        self._failures = 0
        self._restart: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._watch(process)

    def __repr__(self) -> str:
        return f"Spawning({self._process or 'no spawner'})"

    @property
    def alive(self) -> bool:
        return self._process is not None

    @property
    def failing(self) -> bool:
        """Whether it died more than once without having started a worker in between."""
        return self._failures > 1

    def spawn(self, order: Spawn) -> None:
        """Order a worker; `spawned` or `lost` follows."""
        self._send(order)

    def kill(self, worker: int) -> None:
        """Order a worker's end; `exited` or `lost` follows."""
        self._send(Kill(worker))

    def close(self) -> None:
        """End the spawner and every worker."""
        if self._restart is not None:
            self._restart.cancel()
        if self._process is not None:
            self._loop.remove_reader(self._process.sock)
            self._process.close()
            self._process = None

    def _watch(self, process: SpawnerProcess) -> None:
        self._loop.add_reader(process.sock, self._read, process)

    def _send(self, order: AnyOrder) -> None:
        process = self._process
        if process is None:
            return
        try:
            send_order(process.sock, order)
        except OSError as error:
            log.error("%r takes no orders: %s", process, error)
            self._lost(process)

    def _read(self, process: SpawnerProcess) -> None:
        try:
            received = receive_order(process.sock)
        except BlockingIOError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.error("%r: %s", process, error)
            received = None
        if received is None:
            self._lost(process)
            return
        order, fd = received
        match order:
            case Spawned(worker=worker, pid=pid) if fd is not None:
                self._failures = 0
                sock = socket.socket(fileno=fd)
                sock.setblocking(False)
                self._events.spawned(worker, pid, sock)
            case Spawned(worker=worker):
                # gond had no file descriptor left for its socket.
                log.error("worker %d came without its socket", worker)
                self.kill(worker)
            case Exited(worker=worker, status=status):
                self._events.exited(worker, status)
            case _:
                log.error("%r says %s, which is not its to say", process, type(order).__name__)
                if fd is not None:
                    os.close(fd)
                self._lost(process)

    def _lost(self, process: SpawnerProcess) -> None:
        if process is not self._process:
            return
        self._loop.remove_reader(process.sock)
        process.kill()
        self._process = None
        self._failures += 1
        delay_s = pause_s(self._failures)
        log.error("%r died with all its workers; the next one starts in %g s", process, delay_s)
        self._restart = self._loop.call_later(delay_s, self._start_again)
        self._events.lost()

    def _start_again(self) -> None:
        self._restart = None
        self._process = self._start()
        self._watch(self._process)
        log.info("%r started", self._process)
        self._events.returned()
