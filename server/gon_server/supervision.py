"""gond's side of one worker process: its stage, its socket, its orders, its doom.

    starting → idle → serving  → ending → gone
                    → building →

Rules: whatever a worker sends out of turn, or that does not decode, ends it. Each stage but idle,
serving and building is bounded by a timer that kills. Only `bury` (its parent has reaped it) makes
it gone.
Must not know: pools, units' policy, the spawner.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

import msgspec

from gon.errors import LeaseRefused
from gon.limits import (
    CONTENTS_OFFERED_MAX,
    LAST_WORDS_MAX,
    WORKER_ASSIGN_S,
    WORKER_END_S,
    WORKER_START_S,
)
from gon_server.orders import (
    AnyOrder,
    Assign,
    Became,
    Build,
    Built,
    End,
    Find,
    Found,
    GiveLink,
    Lent,
    LinkState,
    Offer,
    Ready,
    Recruit,
    Taken,
    Warm,
    receive_order,
    send_order,
)
from gon_server.sealed import empty

log = logging.getLogger("gond.supervision")


class Stage(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    IDLE = "idle"
    SERVING = "serving"
    BUILDING = "building"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class WorkerEvents:
    """Who is told what a worker reports, and who kills it.

    `asked`, `built` and `content` own the file they are given: a program to build, by the worker's
    own number, what a builder answers, and a content that is offered.
    """

    warm: Callable[[SupervisedWorker], None]
    link_changed: Callable[[str, bool], None]
    became: Callable[[str, str], None]
    asked: Callable[[SupervisedWorker, int, int], None]
    built: Callable[[SupervisedWorker, Built, int | None], None]
    content: Callable[[SupervisedWorker, Find | Offer, int | None], None]
    kill: Callable[[int], None]


class SupervisedWorker:
    """One worker, from its order on. `fate` is why it ended, once that is known."""

    def __init__(self, number: int, unit: str, events: WorkerEvents) -> None:
        self.number = number
        self.unit = unit
        self.stage = Stage.STARTING
        self.lease = ""
        self.is_builder = False
        self.fate = ""
        # As its Warm said.
        self.builds = ""
        self.trial = b""
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._pid = 0
        self._sock: socket.socket | None = None
        self._ready: asyncio.Future[str] | None = None
        self._asks = False
        self._content_key = False
        self._finds = False
        self._offers = 0
        # Its device's memory, where its client maps that; -1 where not.
        self._lent = -1
        self._doom: asyncio.TimerHandle | None = None
        self._set_doom(WORKER_START_S, "it did not open its device in time")

    def __repr__(self) -> str:
        lease = f" for {self.lease}" if self.lease else ""
        return f"worker {self.number} (pid {self._pid}, {self.unit}, {self.stage.value}{lease})"

    @property
    def pid(self) -> int:
        """Its process; 0 before there is one."""
        return self._pid

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
        self.lease = order.lease
        self._content_key = bool(order.content_key)
        doom = "it did not take its lease in time"
        return await self._engage(Stage.SERVING, order, WORKER_ASSIGN_S, doom)

    async def recruit(self, order: Recruit) -> None:
        """Make it a builder. Raises LeaseRefused if it dies."""
        self.is_builder = True
        doom = "its compiler did not start in time"
        await self._engage(Stage.BUILDING, order, WORKER_START_S, doom)

    async def _engage(self, stage: Stage, order: AnyOrder, within_s: float, doom: str) -> str:
        assert self.stage is Stage.IDLE, f"{self} is engaged"
        self.stage = stage
        self._ready = self._loop.create_future()
        self._set_doom(within_s, doom)
        self._send(order)
        return await self._ready

    def build(self, number: int, program: int) -> bool:
        """Give a builder a program; return whether it went."""
        return self._send(Build(number), program)

    def answer(self, order: Built, module: int | None) -> None:
        """Give the worker what it has asked to be built, or say why not."""
        self._asks = False
        self._send(order, module)

    def found(self, order: Found, content: int | None) -> None:
        """Give the worker the content it has asked for, or say that there is none."""
        self._finds = False
        if self.stage is Stage.SERVING:
            self._send(order, content)

    def content_taken(self) -> None:
        """Tell the worker that it may offer one more content."""
        self._offers -= 1
        if self.stage is Stage.SERVING:
            self._send(Taken())

    def give_link(self, sock: socket.socket, peer: str, *, is_side: bool) -> bool:
        """Pass an accepted data connection on; return whether it went."""
        order = GiveLink(peer, is_side)
        return self.stage is Stage.SERVING and self._send(order, sock.fileno())

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
        self.stage = Stage.ENDING if self.lease or self.is_builder else self.stage
        self._cancel_doom()
        self._hang_up()
        self._refuse()
        self._events.kill(self.number)

    def bury(self, reason: str) -> None:
        """Note that the process is gone, for `reason` unless its fate says better."""
        if not self.alive:
            return
        offers = self._hear_last_words()
        self.fate = self.fate or reason
        self._cancel_doom()
        self._hang_up()
        self._refuse()
        if self._lent >= 0:
            # Gigabytes take a while.
            self._loop.run_in_executor(None, empty, self._lent)
        for order, content in offers:
            self._events.content(self, order, content)
        self._gone.set_result(None)

    def _hear_last_words(self) -> list[tuple[Offer, int]]:
        """Learn why it could not start, and return what it has offered: its parent may tell of its
        end before we have read that.
        """
        offers: list[tuple[Offer, int]] = []
        with suppress(OSError, msgspec.DecodeError):
            for _ in range(LAST_WORDS_MAX):
                received = None if self._sock is None else receive_order(self._sock)
                if received is None:
                    break
                order, fd = received
                if isinstance(order, Warm) and self.stage is Stage.STARTING:
                    self.fate = self.fate or order.error
                elif isinstance(order, Offer) and self._may_offer and fd is not None:
                    self._offers += 1
                    offers.append((order, fd))
                elif isinstance(order, Lent) and self._may_lend and fd is not None:
                    self._lent = fd
                elif fd is not None:
                    os.close(fd)
        return offers

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
        match order:
            case Build(number=number) if self._may_ask and fd is not None:
                self._asks = True
                self._events.asked(self, number, fd)
            case Built() if self.stage is Stage.BUILDING:
                self._events.built(self, order, fd)
            case Find() if self._keeps and not self._finds and fd is None:
                self._finds = True
                self._events.content(self, order, fd)
            case Offer() if self._may_offer and fd is not None:
                self._offers += 1
                self._events.content(self, order, fd)
            case Lent() if self._may_lend and fd is not None:
                self._lent = fd
            case _:
                if fd is not None:
                    os.close(fd)
                self._heard(order)

    @property
    def _may_lend(self) -> bool:
        return self._lent < 0 and self.stage in (Stage.SERVING, Stage.ENDING)

    @property
    def _may_ask(self) -> bool:
        return self.stage is Stage.SERVING and bool(self.builds) and not self._asks

    @property
    def _keeps(self) -> bool:
        """Whether it serves a lease, or did until now, whose contents are kept."""
        return self._content_key and self.stage in (Stage.SERVING, Stage.ENDING)

    @property
    def _may_offer(self) -> bool:
        return self._keeps and self._offers < CONTENTS_OFFERED_MAX

    def _heard(self, order: AnyOrder) -> None:
        match order:
            case Warm() if self.stage is Stage.STARTING:
                self._warm(order)
            case Ready(endpoint=endpoint) if self._ready is not None and not self._ready.done():
                self._cancel_doom()
                self._ready.set_result(endpoint)
            case LinkState(up=up) if self.lease:
                self._events.link_changed(self.lease, up)
            case Became(personality=personality) if self.lease:
                self._events.became(self.lease, personality)
            case _:
                self.kill(f"the worker said {type(order).__name__} out of turn")

    def _warm(self, order: Warm) -> None:
        self._cancel_doom()
        if order.error:
            self.kill(order.error)
            return
        self.builds, self.trial = order.builds, order.trial
        self.stage = Stage.IDLE
        self._events.warm(self)

    def _refuse(self) -> None:
        """Answer whoever waits for it to take its lease, or to be a builder."""
        if self._ready is not None and not self._ready.done():
            what = "builder" if self.is_builder else "worker for the lease"
            self._ready.set_exception(LeaseRefused(f"no {what}: {self.fate}"))

    def _hang_up(self) -> None:
        if self._sock is not None:
            # What it has lent is emptied once it is gone, read in time or not.
            for _, content in self._hear_last_words():
                os.close(content)
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
