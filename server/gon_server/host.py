"""The host: its books, its fleet, its builders and its contents joined, which is what the control
plane and the doorway ask.

Rules: the books decide, this obeys their effects; the clock and the randomness they lack come from
here. Slices are free only when the worker that used them is gone.
Must not know: grpc, sockets but to pass them on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gon.clock import Clock
from gon.errors import LeaseRefused
from gon.limits import MODULES_CACHED_MAX, TOKEN_BYTES, WORKER_END_S
from gon.model import UnitInfo
from gon_server import confine
from gon_server.building import Building
from gon_server.builds import BuildBook
from gon_server.config import Settings
from gon_server.content_store import open_store
from gon_server.fleet import Fleet, FleetEvents
from gon_server.leases import DRAINING, EndWorker, Lease, LeaseBook, LeaseRequest
from gon_server.modules import ModuleCache
from gon_server.orders import Assign, Find, Offer, Recruit
from gon_server.side_book import SideBook
from gon_server.side_watch import SideWatch
from gon_server.spawning import SpawnerProcess
from gon_server.supervision import SupervisedWorker
from gon_server.units import UnitBook, UnitSpec

log = logging.getLogger("gond.host")

# How long an ended worker may take until it is reaped: told to end, then killed, then some.
_GONE_S = 2 * WORKER_END_S


@dataclass(frozen=True, slots=True)
class Grant:
    """What an acquire gives: the lease, the token that speaks for it, where its links connect."""

    lease: Lease
    token: bytes
    endpoints: tuple[str, ...]


class Host:
    """Gives, renews and ends leases, on the running asyncio loop."""

    def __init__(
        self,
        settings: Settings,
        specs: Sequence[UnitSpec],
        epoch: int,
        data_endpoints: Sequence[str],
        zmq_bind: str,
        spawner: SpawnerProcess,
        start_spawner: Callable[[], SpawnerProcess],
        clock: Clock,
    ) -> None:
        self.epoch = epoch
        self._program_bytes = settings.program_bytes
        self._builder_bytes = settings.builder_memory_bytes
        self._engine_bytes = settings.engine_memory_bytes
        self._specs = {spec.id: spec for spec in specs}
        self._data_endpoints = tuple(data_endpoints)
        self._zmq_bind = zmq_bind
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self._units = UnitBook(specs)
        self._sides = SideBook()
        self._side_watch = SideWatch(self._sides.ended)
        self._leases = LeaseBook(
            self._units, epoch=epoch, lease_s=settings.lease_s, grace_s=settings.grace_s
        )
        self._building = Building(
            _build_book(settings),
            lambda unit: self._fleet.hire(unit),
            [spec.id for spec in specs if spec.warm],
            self._recruit,
            clock,
            settings.program_bytes,
        )
        self._contents = open_store(
            Path(settings.state_dir),
            bytes_max=settings.content_store_bytes,
            tenant_bytes_max=settings.content_store_tenant_bytes,
        )
        events = FleetEvents(
            link_changed=self._link_changed,
            became=self._became,
            gone=self._worker_gone,
            warm=self._building.warm,
            asked=self._asked,
            built=self._building.built,
            content=self._content,
            buried=self._buried,
        )
        self._fleet = Fleet(specs, spawner, start_spawner, clock, events)

    def __repr__(self) -> str:
        return f"Host({self._leases!r}, {self._units!r}, {self._fleet!r})"

    @property
    def lease_s(self) -> float:
        return self._leases.lease_s

    @property
    def grace_s(self) -> float:
        return self._leases.grace_s

    @property
    def draining(self) -> bool:
        return self._leases.draining

    def units(self) -> tuple[UnitInfo, ...]:
        """Return every unit, and what is free of it."""
        return self._units.describe()

    async def settled(self) -> None:
        """Return once a lease would start at once, or a unit has shown that it cannot."""
        await self._fleet.settled()

    async def acquire(self, request: LeaseRequest) -> Grant:
        """Open a lease and wait until a worker serves it. Raises LeaseRefused, saying why not."""
        endpoints = self._endpoints(request.link)
        token = secrets.token_bytes(TOKEN_BYTES)
        lease = self._leases.acquire(request, token, self._clock.now_s())
        self._empty.clear()
        bind = self._zmq_bind if request.link == "zmq" else ""
        order = Assign(
            lease.id,
            lease.share.memory_bytes,
            request.link,
            bind,
            token,
            builds=True,
            content_key=self._contents.key_of(lease.tenant),
            personalities=self._units.personalities(lease.share),
            program_bytes=self._program_bytes,
            engine_bytes=self._engine_bytes,
            rules=self._specs[lease.unit].rules,
            withheld=self._specs[lease.unit].withheld,
            walls=self._specs[lease.unit].walls,
        )
        served = False
        try:
            endpoint = await self._fleet.assign(lease.unit, order)
            lease = self._leases.ready(lease.id, self._clock.now_s())
            served = True
        finally:
            # Also when the client hung up meanwhile.
            if not served:
                self._leases.end(lease.id, "it never started")
                self._end_worker(lease.id, "it never started")
        self._schedule()
        log.info("%r to %r: %d slices", lease, request.client, lease.share.slices)
        return Grant(lease, token, endpoints or (endpoint,))

    def _recruit(self, unit: str) -> Recruit:
        spec = self._specs[unit]
        return Recruit(
            self._builder_bytes, self._program_bytes, spec.rules, spec.walls, spec.engine_formats
        )

    def _endpoints(self, link: str) -> tuple[str, ...]:
        """Return where links of this kind come in; none where their worker tells.

        Raises LeaseRefused if they cannot.
        """
        if link == "zmq":
            return ()
        if link != "shm":
            return self._data_endpoints
        unix = "unix://"
        here = [uri.removeprefix(unix) for uri in self._data_endpoints if uri.startswith(unix)]
        if not here:
            raise LeaseRefused(
                "shm links need a unix socket for data links, and this gond has none: its"
                f" data_listen is {', '.join(self._data_endpoints)}"
            )
        return tuple(f"shm://{path}" for path in here)

    def renew(self, lease_id: str, token: bytes) -> float:
        """Push the expiry; return in how many seconds it is. Raises LeaseLost."""
        now_s = self._clock.now_s()
        lease = self._leases.renew(lease_id, token, now_s)
        self._schedule()
        return lease.expires_in_s(now_s)

    async def release(self, lease_id: str, token: bytes) -> None:
        """End a lease; return once its worker is gone and its slices are free."""
        self._obey(self._leases.release(lease_id, token))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GONE_S):
                await self._fleet.gone(lease_id)

    def inspect(self, lease_id: str, token: bytes) -> tuple[Lease, float]:
        """Return a lease and in how many seconds it expires. Raises LeaseLost if unknown."""
        lease = self._leases.inspect(lease_id, token)
        return lease, lease.expires_in_s(self._clock.now_s())

    def admit(self, token: bytes, sock: socket.socket, peer: str, is_side: bool) -> str:
        """Pass a data connection to the worker of the lease that `token` opens; return "", or why
        that is not to be.
        """
        lease = self._leases.by_token(token)
        if lease is None:
            return "its token opens no lease"
        if is_side and (why := self._admit_side(lease, sock)):
            return why
        if self._fleet.give_link(lease.id, sock, peer, is_side=is_side):
            return ""
        with contextlib.suppress(OSError):  # the peer was first
            # Closing it is not enough where it is watched.
            sock.shutdown(socket.SHUT_RDWR)
        return "its lease has no worker"

    def _admit_side(self, lease: Lease, sock: socket.socket) -> str:
        why = self._sides.admit(lease.id, lease.tenant)
        if not why:
            try:
                self._side_watch.add(lease.id, sock)
            except OSError as error:
                self._sides.ended(lease.id)
                why = f"it cannot be watched: {error.strerror}"
        return why

    async def drain(self, drain_s: float) -> None:
        """Give no more leases, wait for those there are, then end them."""
        self._leases.drain()
        self._building.stop()
        self._fleet.stop()
        await self._wait_empty(drain_s)
        self._obey(self._leases.end_all(DRAINING))
        await self._wait_empty(_GONE_S)
        await self._contents.stop()

    def close(self) -> None:
        """End everything now."""
        self._leases.drain()
        if self._timer is not None:
            self._timer.cancel()
        self._building.close()
        self._fleet.close()
        self._contents.close()
        self._side_watch.close()

    async def _wait_empty(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()

    def _obey(self, effects: Sequence[EndWorker]) -> None:
        for effect in effects:
            log.info("%s has ended: %s", effect.lease, effect.reason)
            self._end_worker(effect.lease, effect.reason)

    def _end_worker(self, lease_id: str, reason: str) -> None:
        if not self._fleet.end(lease_id, reason):
            self._worker_gone(lease_id, reason)

    def _worker_gone(self, lease_id: str, reason: str) -> None:
        for effect in self._leases.end(lease_id, reason):
            log.warning("%s has ended: %s", effect.lease, effect.reason)
        self._leases.worker_gone(lease_id, reason)
        self._side_watch.over(lease_id)
        self._sides.over(lease_id)
        if not self._leases.held:
            self._empty.set()
        self._schedule()

    def _asked(self, worker: SupervisedWorker, number: int, program: int) -> None:
        tenant = self._leases.tenant_of(worker.lease)
        if tenant is None:
            # The lease has ended, and its worker is about to.
            os.close(program)
            return
        self._building.asked(tenant, worker, number, program)

    def _content(self, worker: SupervisedWorker, order: Find | Offer, fd: int | None) -> None:
        # Also of a lease that has just ended: what its worker offered before is kept.
        self._contents.heard(self._leases.owner_of(worker.lease), worker, order, fd)

    def _buried(self, worker: SupervisedWorker) -> None:
        self._building.gone(worker)
        self._contents.gone(worker)

    def _link_changed(self, lease_id: str, up: bool) -> None:
        self._leases.link_changed(lease_id, self._clock.now_s(), up=up)
        self._schedule()

    def _became(self, lease_id: str, personality: str) -> None:
        if self._leases.became(lease_id, personality):
            log.info("lease %s is a %s now", lease_id, personality)

    def _schedule(self) -> None:
        """Come back when the next lease's time is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_s = self._leases.next_deadline_s()
        if deadline_s is not None:
            delay_s = max(0.0, deadline_s - self._clock.now_s())
            self._timer = self._loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._obey(self._leases.expire(self._clock.now_s()))
        self._schedule()


def _build_book(settings: Settings) -> BuildBook:
    cache = ModuleCache(
        bytes_max=settings.module_cache_bytes,
        tenant_bytes_max=settings.module_cache_tenant_bytes,
        # Each is an open file of gond, which needs others for leases and connections.
        modules_max=min(MODULES_CACHED_MAX, confine.files_max() // 4),
    )
    return BuildBook(
        cache,
        build_s=settings.build_s,
        idle_s=settings.builder_idle_s,
        builders_max=settings.builders,
    )
