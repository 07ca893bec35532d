"""gond's side of one worker process: its stage, its socket, its orders, its doom.

    starting → idle → serving → ending → gone

Rules: whatever a worker sends out of turn, or that does not decode, ends it. Each stage but idle
and serving is bounded by a timer that kills. Only `bury` (its parent has reaped it) makes it gone.
Must not know: pools, units' policy, the spawner.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import msgspec

from gon.errors import LeaseRefused
from gon.limits import WORKER_ASSIGN_S, WORKER_END_S, WORKER_START_S
from gon_server.orders import (
    AnyOrder,
    Assign,
    End,
    GiveLink,
    LinkState,
    Ready,
    Warm,
    receive_order,
    send_order,
)

log = logging.getLogger("gond.supervision")


class Stage(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    IDLE = "idle"
    SERVING = "serving"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class WorkerEvents:
    """Who is told what a worker reports, and who kills it."""

    warm: Callable[[SupervisedWorker], None]
    link_changed: Callable[[str, bool], None]
    kill: Callable[[int], None]


class SupervisedWorker:
    """One worker, from its order on. `fate` is why it ended, once that is known."""

    def __init__(self, number: int, unit: str, events: WorkerEvents) -> None:
        self.number = number
        self.unit = unit
        self.stage = Stage.STARTING
        self.lease = ""
        self.fate = ""
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._pid = 0
        self._sock: socket.socket | None = None
        self._ready: asyncio.Future[str] | None = None
        self._doom: asyncio.TimerHandle | None = None
        self._set_doom(WORKER_START_S, "it did not open its device in time")

    def __repr__(self) -> str:
        lease = f" for {self.lease}" if self.lease else ""
        return f"worker {self.number} (pid {self._pid}, {self.unit}, {self.stage.value}{lease})"

    @property
    def alive(self) -> bool:
        return not self._gone.done()

    async def gone(self) -> None:
        """Return once the process is no more."""
        await asyncio.shield(self._gone)

    def born(self, pid: int, sock: socket.socket) -> None:
        """Take the socket of the process that now runs."""
        self._pid = pid
        self._sock = sock
        self._loop.add_reader(sock, self._read)

    async def assign(self, order: Assign) -> str:
        """Make it serve a lease; return the endpoint it names. Raises LeaseRefused if it dies."""
        assert self.stage is Stage.IDLE, f"{self} is assigned"
        self.stage = Stage.SERVING
        self.lease = order.lease
        self._ready = self._loop.create_future()
        self._set_doom(WORKER_ASSIGN_S, "it did not take its lease in time")
        self._send(order)
        return await self._ready

    def give_link(self, sock: socket.socket, peer: str) -> bool:
        """Pass an accepted data connection on; return whether it went."""
        return self.stage is Stage.SERVING and self._send(GiveLink(peer), sock.fileno())

    def end(self, reason: str) -> None:
        """Tell it to end, and kill it if it does not."""
        if self.stage is Stage.ENDING or not self.alive:
            return
        self.stage = Stage.ENDING
        self._set_doom(WORKER_END_S, reason)
        self._send(End(reason))

    def kill(self, fate: str) -> None:
        """End it now; `fate` says why, if nothing did before."""
        self.fate = self.fate or fate
        self.stage = Stage.ENDING if self.lease else self.stage
        self._cancel_doom()
        self._hang_up()
        self._refuse()
        self._events.kill(self.number)

    def bury(self, reason: str) -> None:
        """Note that the process is gone, for `reason` unless its fate says better."""
        if not self.alive:
            return
        self.fate = self.fate or reason
        self._cancel_doom()
        self._hang_up()
        self._refuse()
        self._gone.set_result(None)

    def _send(self, order: AnyOrder, fd: int | None = None) -> bool:
        if self._sock is None:
            return False
        try:
            send_order(self._sock, order, fd)
        except OSError as error:
            # It is gone, or has not read for so long that its socket is full.
            log.warning("%r takes no orders: %s", self, error)
            self._hang_up()
            self._events.kill(self.number)
            return False
        return True

    def _read(self) -> None:
        assert self._sock is not None, "a reader has a socket"
        try:
            received = receive_order(self._sock)
        except BlockingIOError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%r: %s", self, error)
            received = None
        if received is None:
            # Its parent tells what became of it; a worker that only hung up is killed.
            self._hang_up()
            self._events.kill(self.number)
            return
        order, fd = received
        if fd is not None:
            os.close(fd)
        match order:
            case Warm(error=fault) if self.stage is Stage.STARTING:
                self._warm(fault)
            case Ready(endpoint=endpoint) if self._ready is not None and not self._ready.done():
                self._cancel_doom()
                self._ready.set_result(endpoint)
            case LinkState(up=up) if self.lease:
                self._events.link_changed(self.lease, up)
            case _:
                self.kill(f"the worker said {type(order).__name__} out of turn")

    def _warm(self, fault: str) -> None:
        self._cancel_doom()
        if fault:
            self.kill(fault)
            return
        self.stage = Stage.IDLE
        self._events.warm(self)

    def _refuse(self) -> None:
        """Answer the lease that waits for its worker."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(LeaseRefused(f"no worker for the lease: {self.fate}"))

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    def _set_doom(self, delay_s: float, fate: str) -> None:
        self._cancel_doom()
        self._doom = self._loop.call_later(delay_s, self.kill, f"worker killed: {fate}")

    def _cancel_doom(self) -> None:
        if self._doom is not None:
            self._doom.cancel()
            self._doom = None
