"""The spawner: a small process that forks workers on gond's orders, and is their parent.

    python -m gon_server.spawner FD MODULE:FUNCTION LEVEL STATE

FD is its end of a SOCK_SEQPACKET pair with gond (the protocol: gon_server.orders); FUNCTION(socket,
device, trial) is what each worker runs, LEVEL what it and they log, STATE gond's state directory,
below which they work (gon_server.workplaces).

Rules: it has one thread, opens no device and holds no secret, so that a fork of it is safe and
finds nothing. What workers need is imported here, once, so that they start fast and share its
pages. Everything ends with its parent: workers with the spawner, the spawner with gond.
Must not know: leases, tenants, links.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import logging
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import msgspec

from gon_server import confine, walls, workplaces
from gon_server.orders import Exited, Kill, Spawn, Spawned, receive_order, send_order
from gon_server.workplaces import Workplaces

log = logging.getLogger("gond.spawner")

WorkerEntry: TypeAlias = Callable[[socket.socket, str, bytes], None]

# The wait status of a process that exited with EX_OSERR: what stands for a fork that failed.
_FORK_FAILED = os.EX_OSERR << 8


@dataclass(frozen=True, slots=True)
class Birth:
    """What a fresh worker, still inside the fork, is told of itself."""

    sock: socket.socket
    spawner: int
    order: Spawn
    workplace: Path
    # What it may read of the host besides what it is made of.
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Child:
    """A process to be reaped: a worker, or with 0 what removes things that one has left."""

    worker: int
    pid: int


_REMOVER = 0


class Spawner:
    """Forks, reaps and kills workers; all its waiting is one poll of gond's socket and pidfds."""

    def __init__(self, gond: socket.socket, workplaces: Workplaces) -> None:
        self._gond = gond
        self._workplaces = workplaces
        self._children: dict[int, _Child] = {}  # by pidfd
        self._poll = select.poll()
        self._poll.register(gond, select.POLLIN)

    def run(self) -> Birth | None:
        """Serve until gond is gone, which gives None; in each forked worker return its Birth."""
        gond_fd = self._gond.fileno()
        while True:
            for fd, _events in self._poll.poll():
                if fd != gond_fd:
                    self._reap(fd)
                    continue
                received = receive_order(self._gond)
                if received is None:
                    return None
                match received[0]:
                    case Spawn() as order:
                        birth = self._spawn(order)
                        if birth is not None:
                            return birth
                    case Kill(worker=worker):
                        self._kill(worker)
                    case other:
                        raise msgspec.ValidationError(f"{type(other).__name__} is not for spawners")

    def end(self) -> None:
        """Kill and reap every worker."""
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)
        for child in self._children.values():
            os.waitpid(child.pid, 0)
        self._workplaces.close()

    def _spawn(self, order: Spawn) -> Birth | None:
        files = import_backend(order.device)
        gc.collect()
        # What there is now is never collected in workers: a collection would copy its pages.
        gc.freeze()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        spawner = os.getpid()
        try:
            self._await_remover(self._workplaces.sweep())
            workplace = self._workplaces.make(order.worker)
            pid = os.fork()
        except OSError as error:
            log.error("no worker %d: %s", order.worker, error)
            ours.close()
            theirs.close()
            send_order(self._gond, Exited(order.worker, _FORK_FAILED))
            return None
        if pid == 0:
            ours.detach()
            self._gond.detach()
            return Birth(theirs, spawner, order, workplace, files)
        theirs.close()
        self._watch(_Child(order.worker, pid))
        with ours:
            send_order(self._gond, Spawned(order.worker, pid), ours.fileno())
        return None

    def _watch(self, child: _Child) -> None:
        pidfd = os.pidfd_open(child.pid)
        self._children[pidfd] = child
        self._poll.register(pidfd, select.POLLIN)

    def _kill(self, worker: int) -> None:
        for child in self._children.values():
            if child.worker == worker:
                # Not reaped yet, so the number is still this child's.
                os.kill(child.pid, signal.SIGKILL)

    def _reap(self, pidfd: int) -> None:
        child = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _pid, status = os.waitpid(child.pid, 0)
        if child.worker == _REMOVER:
            return
        self._await_remover(self._workplaces.remove(child.worker))
        send_order(self._gond, Exited(child.worker, status))

    def _await_remover(self, pid: int | None) -> None:
        if pid is not None:
            self._watch(_Child(_REMOVER, pid))


def import_backend(device: str) -> tuple[Path, ...]:
    """Import the module of the device's backend, and let it load what workers share; return which
    files of the host, beside the libraries that it has loaded, workers read to open the device.

    For that a backend's module may have a function `prepare_workers`, which may open nothing and
    start no thread, and gives these files for the device's address. A backend that is not there is
    left to the worker, which tells why it cannot open the device.
    """
    scheme, _, address = device.partition(":")
    for entry in importlib.metadata.entry_points(group="gon.devices", name=scheme):
        try:
            module = importlib.import_module(entry.module)
        except ImportError as error:
            log.warning("backend %s cannot be imported: %s", scheme, error)
            continue
        prepare = cast(
            "Callable[[str], tuple[Path, ...]] | None", getattr(module, "prepare_workers", None)
        )
        if prepare is not None:
            return prepare(address)
    return ()


def worker_entry(name: str) -> WorkerEntry:
    """Return the function that MODULE:FUNCTION names."""
    module, _, function = name.partition(":")
    return cast("WorkerEntry", getattr(importlib.import_module(module), function))


def live_as_worker(birth: Birth, entry: WorkerEntry) -> None:
    """Be the worker: give up what it must not have, serve, and end the process. Never returns."""
    try:
        confine.die_with(birth.spawner)
        _close_all_but(birth.sock.fileno())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        workplaces.enter(birth.workplace)
        confine.hide_memory()
        confine.renounce_privileges()
        walls.raise_walls(birth.order.walls, birth.workplace, birth.files)
        if birth.order.cpus:
            os.sched_setaffinity(0, birth.order.cpus)
        entry(birth.sock, birth.order.device, birth.order.trial)
    finally:
        # The interpreter's own way out would run the spawner's clean-up in the worker.
        error = sys.exception()
        if error is not None:
            traceback.print_exception(error)
            sys.stderr.flush()
        os._exit(0 if error is None else 1)


def _close_all_but(fd: int) -> None:
    """Close all but `fd` and the standard streams: the worker has no other way out."""
    os.closerange(3, fd)
    os.closerange(fd + 1, os.sysconf("SC_OPEN_MAX"))


def main() -> None:
    """Run the process."""
    logging.basicConfig(
        level=sys.argv[3].upper(),
        # Workers have it from here; gond says which lease a process serves.
        format="%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s",
    )
    gond_pid = os.getppid()
    gond = socket.socket(fileno=int(sys.argv[1]))
    # A Ctrl-C is gond's to answer: it drains.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    confine.die_with(gond_pid)
    entry = worker_entry(sys.argv[2])
    spawner = Spawner(gond, Workplaces(Path(sys.argv[4])))
    birth: Birth | None = None
    try:
        birth = spawner.run()
    except (BrokenPipeError, ConnectionResetError):
        log.info("gond is gone")
    if birth is not None:
        live_as_worker(birth, entry)
    spawner.end()


if __name__ == "__main__":
    main()
