"""The fleet: every worker process of this host, and who gets which.

Rules: one worker serves one lease, or builds, and then ends. Until its parent has reaped it (or the
spawner died) its lease's slices stay taken; a builder takes none. Every wait for a worker is
bounded. A device that no worker has opened yet is opened by one alone: with what that one has
found out, others open it faster. How many there are is the pools' policy; what a lease is, the
host's.
Must not know: grpc, clients, what tokens are for, what is built.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from gon.clock import Clock
from gon.errors import LeaseRefused
from gon.limits import ATTACH_TIMEOUT_S
from gon_server.orders import Assign, Built, Find, Offer, Spawn
from gon_server.pool import Census, Pool
from gon_server.spawning import SpawnerEvents, SpawnerProcess, Spawning
from gon_server.supervision import Stage, SupervisedWorker, WorkerEvents
from gon_server.units import UnitSpec

log = logging.getLogger("gond.fleet")

SPAWNER_DIED = "worker killed: the spawner process died"
SPAWNER_FAILS = "the process that starts workers keeps dying; gond's log says why"
STOPPING = "gond is draining"


_Waiter: TypeAlias = asyncio.Future[SupervisedWorker]


@dataclass(slots=True)
class _Depot:
    """One unit's idle workers, and who waits for one: clients, and those who hire builders.

    `trial` is what the first worker to open the device has found out; None before.
    """

    spec: UnitSpec
    pool: Pool
    idle: deque[SupervisedWorker] = field(default_factory=deque[SupervisedWorker])
    waiters: deque[_Waiter] = field(default_factory=deque[_Waiter])
    hirers: deque[_Waiter] = field(default_factory=deque[_Waiter])
    trial: bytes | None = None
    timer: asyncio.TimerHandle | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class FleetEvents:
    """Who is told what happens to a lease's worker; to workers that build, or want something built
    or kept (as supervision.WorkerEvents).

    `warm` is told before anybody gets the worker; `buried` of every worker.
    """

    link_changed: Callable[[str, bool], None]
    became: Callable[[str, str], None]
    gone: Callable[[str, str], None]
    warm: Callable[[SupervisedWorker], None]
    asked: Callable[[SupervisedWorker, int, int], None]
    built: Callable[[SupervisedWorker, Built, int | None], None]
    content: Callable[[SupervisedWorker, Find | Offer, int | None], None]
    buried: Callable[[SupervisedWorker], None]


def describe_exit(status: int) -> str:
    """Return what a wait status says, for people."""
    if not os.WIFSIGNALED(status):
        return f"worker exited with status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    name = ""
    with contextlib.suppress(ValueError):
        name = f" ({signal.Signals(number).name})"
    return f"worker killed by signal {number}{name}"


class Fleet:
    """Starts, lends, watches and ends workers, on the running asyncio loop."""

    def __init__(
        self,
        specs: Iterable[UnitSpec],
        process: SpawnerProcess,
        start_spawner: Callable[[], SpawnerProcess],
        clock: Clock,
        events: FleetEvents,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._events = events
        self._depots = {
            spec.id: _Depot(spec, Pool(warm=spec.warm, slices=spec.slices)) for spec in specs
        }
        self._workers: dict[int, SupervisedWorker] = {}
        self._by_lease: dict[str, SupervisedWorker] = {}
        self._count = 0
        self._stopping = False
        # Starting more at once than there are cores makes every one of them late.
        self._starting_max = 1 + len(os.sched_getaffinity(0))
        mine = SpawnerEvents(self._born, self._exited, self._spawner_lost, self._refill_all)
        self._spawning = Spawning(process, start_spawner, mine)
        self._worker_events = WorkerEvents(
            self._warm,
            events.link_changed,
            events.became,
            events.asked,
            events.built,
            events.content,
            self._spawning.kill,
        )
        self._refill_all()

    def __repr__(self) -> str:
        return f"Fleet({len(self._workers)} workers, {len(self._by_lease)} leased)"

    async def settled(self) -> None:
        """Return once every unit that keeps warm workers has one, or has failed to start one."""
        for depot in self._depots.values():
            if depot.spec.warm:
                await depot.settled.wait()

    async def assign(self, unit: str, order: Assign) -> str:
        """Give the lease of `order` a worker of `unit`; return the endpoint it names.

        Raises LeaseRefused, saying why there is no worker.
        """
        depot = self._depots[unit]
        worker = await self._take(depot)
        self._by_lease[order.lease] = worker
        depot.pool.taken(self._clock.now_s())
        self._refill(depot)
        log.info("lease %s: worker pid %d", order.lease, worker.pid)
        return await worker.assign(order)

    def hire(self, unit: str) -> Coroutine[None, None, SupervisedWorker]:
        """Return who gives a warm worker of `unit` that is to build; it goes before those who wait
        for a lease's, from this call on.

        The coroutine raises LeaseRefused, saying why there is none.
        """
        depot = self._depots[unit]
        waiter: _Waiter = self._loop.create_future()
        depot.hirers.append(waiter)
        idle = self._idle(depot)
        if idle is not None:
            self._offer(depot, idle)
            depot.pool.taken(self._clock.now_s())
        return self._hired(depot, waiter)

    def give_link(self, lease: str, sock: socket.socket, peer: str, *, is_side: bool) -> bool:
        """Pass an accepted data connection to the lease's worker; return whether it went."""
        worker = self._by_lease.get(lease)
        return worker is not None and worker.give_link(sock, peer, is_side=is_side)

    def end(self, lease: str, reason: str) -> bool:
        """End the lease's worker; return whether it has one, so that `gone` will follow."""
        worker = self._by_lease.get(lease)
        if worker is None:
            return False
        worker.end(reason)
        return True

    async def gone(self, lease: str) -> None:
        """Return once the lease has no worker any more."""
        worker = self._by_lease.get(lease)
        if worker is not None:
            await worker.gone()

    def stop(self) -> None:
        """Start no more workers, and end those that serve no lease."""
        self._stopping = True
        for depot in self._depots.values():
            self._fail_waiters(depot, STOPPING)
        for worker in list(self._workers.values()):
            # What still runs may still want something built.
            if not worker.lease and not worker.is_builder:
                worker.kill(STOPPING)

    def close(self) -> None:
        """End every worker and the spawner, now."""
        self._stopping = True
        self._spawning.close()
        for worker in list(self._workers.values()):
            self._bury(worker, "gond has stopped")

    # Who gets which -----------------------------------------------------------------------------
    async def _take(self, depot: _Depot) -> SupervisedWorker:
        """Return an idle worker of the unit, waiting for one if there is none."""
        while True:
            idle = self._idle(depot)
            if idle is not None:
                return idle
            waiter: _Waiter = self._loop.create_future()
            depot.waiters.append(waiter)
            worker = await self._next_warm(depot, waiter)
            if worker.alive:
                return worker

    async def _hired(self, depot: _Depot, waiter: _Waiter) -> SupervisedWorker:
        worker = await self._next_warm(depot, waiter)
        if not worker.alive or worker.stage is not Stage.IDLE:
            raise LeaseRefused(f"unit {depot.spec.id}: {worker.fate}")
        return worker

    def _idle(self, depot: _Depot) -> SupervisedWorker | None:
        while depot.idle:
            worker = depot.idle.popleft()
            if worker.stage is Stage.IDLE and worker.alive:
                return worker
        return None

    async def _next_warm(self, depot: _Depot, waiter: _Waiter) -> SupervisedWorker:
        """Wait for what a waiter that stands in line is given."""
        try:
            if not waiter.done():
                self._refuse_if_hopeless(depot)
            self._refill(depot)
            async with asyncio.timeout(ATTACH_TIMEOUT_S):
                return await waiter
        except TimeoutError:
            text = f"no worker became ready within {ATTACH_TIMEOUT_S:g} s"
            raise LeaseRefused(f"unit {depot.spec.id}: {text}") from None
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._offer(depot, waiter.result())
            raise
        finally:
            for line in (depot.hirers, depot.waiters):
                with contextlib.suppress(ValueError):
                    line.remove(waiter)

    def _refuse_if_hopeless(self, depot: _Depot) -> None:
        if self._stopping:
            raise LeaseRefused(STOPPING)
        if self._spawning.failing:
            raise LeaseRefused(f"unit {depot.spec.id}: {SPAWNER_FAILS}")
        retry_s = depot.pool.retry_in_s(self._clock.now_s())
        if retry_s and not self._census(depot).starting:
            raise LeaseRefused(
                f"unit {depot.spec.id}: its device cannot be opened: {depot.pool.error} "
                f"(the next attempt is in {retry_s:.1f} s)"
            )

    def _offer(self, depot: _Depot, worker: SupervisedWorker) -> None:
        """Give a warm worker to the first who waits, or keep it."""
        for line in (depot.hirers, depot.waiters):
            while line:
                waiter = line.popleft()
                if not waiter.done():
                    waiter.set_result(worker)
                    return
        depot.idle.append(worker)

    def _fail_waiters(self, depot: _Depot, reason: str) -> None:
        for line in (depot.hirers, depot.waiters):
            while line:
                waiter = line.popleft()
                if not waiter.done():
                    waiter.set_exception(LeaseRefused(f"unit {depot.spec.id}: {reason}"))

    # How many there are -------------------------------------------------------------------------
    def _census(self, depot: _Depot) -> Census:
        mine = [
            worker.stage
            for worker in self._workers.values()
            if worker.unit == depot.spec.id and not worker.is_builder
        ]
        starting = mine.count(Stage.STARTING)
        idle = len(depot.idle)
        serving = len(mine) - starting - idle
        return Census(starting, idle, serving, len(depot.waiters), len(depot.hirers))

    def _refill_all(self) -> None:
        for depot in self._depots.values():
            self._refill(depot)

    def _refill(self, depot: _Depot) -> None:
        """Order the workers that are due, and come back when more may be."""
        if depot.timer is not None:
            depot.timer.cancel()
            depot.timer = None
        if self._stopping or not self._spawning.alive:
            return
        now_s = self._clock.now_s()
        starting = sum(worker.stage is Stage.STARTING for worker in self._workers.values())
        room = max(0, self._starting_max - starting)
        census = self._census(depot)
        if depot.trial is None:
            room = min(room, 1 - census.starting)
        for _ in range(min(depot.pool.due(now_s, census), room)):
            if not self._spawning.alive:
                return
            self._count += 1
            worker = SupervisedWorker(self._count, depot.spec.id, self._worker_events)
            self._workers[worker.number] = worker
            spec = depot.spec
            self._spawning.spawn(
                Spawn(worker.number, spec.device, spec.cpus, depot.trial or b"", spec.walls)
            )
        wake_s = depot.pool.wake_s(now_s, self._census(depot))
        if wake_s is not None:
            depot.timer = self._loop.call_later(wake_s - now_s, self._refill, depot)

    # What happens to them -----------------------------------------------------------------------
    def _born(self, number: int, pid: int, sock: socket.socket) -> None:
        worker = self._workers.get(number)
        if worker is None:
            sock.close()
            return
        worker.born(pid, sock)

    def _warm(self, worker: SupervisedWorker) -> None:
        log.debug("%r", worker)
        depot = self._depots[worker.unit]
        depot.pool.started()
        depot.trial = worker.trial
        self._events.warm(worker)
        if not depot.hirers:
            depot.settled.set()
        self._offer(depot, worker)
        self._refill_all()

    def _exited(self, number: int, status: int) -> None:
        worker = self._workers.get(number)
        if worker is not None:
            self._bury(worker, describe_exit(status))
            self._refill_all()

    def _spawner_lost(self) -> None:
        for depot in self._depots.values():
            # The next one may find other libraries.
            depot.trial = None
        for worker in list(self._workers.values()):
            # It says nothing of its device.
            self._bury(worker, SPAWNER_DIED, blameless=True)
        if self._spawning.failing:
            for depot in self._depots.values():
                depot.settled.set()
                self._fail_waiters(depot, SPAWNER_FAILS)

    def _bury(self, worker: SupervisedWorker, reason: str, *, blameless: bool = False) -> None:
        del self._workers[worker.number]
        depot = self._depots[worker.unit]
        with contextlib.suppress(ValueError):
            depot.idle.remove(worker)
        failed = worker.stage is Stage.STARTING and not self._stopping and not blameless
        worker.bury(reason)
        log.debug("%r is gone: %s", worker, worker.fate)
        self._events.buried(worker)
        if failed:
            depot.pool.failed(worker.fate, self._clock.now_s())
            # It may be what others have found out that does not open the device any more.
            depot.trial = None
            log.error("unit %s: no worker: %s", worker.unit, worker.fate)
            depot.settled.set()
            self._fail_waiters(depot, f"its device cannot be opened: {worker.fate}")
        if self._by_lease.get(worker.lease) is worker:
            del self._by_lease[worker.lease]
            self._events.gone(worker.lease, worker.fate)
