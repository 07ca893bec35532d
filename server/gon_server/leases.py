"""The book of leases: who holds which slices, until when, and why a lease has ended.

Rules: pure, (request, now) → effects; it has no clock and no randomness of its own. A lease is
starting, then ready, then ended, never back. Its slices stay taken until its worker is gone: only
then is their memory free. Tokens are kept as digests only. Fences grow with every lease.
Must not know: workers, sockets, grpc.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import Enum

from gon.errors import LeaseLost, LeaseRefused
from gon.limits import ENDED_LEASES_KEPT, LEASES_MAX
from gon_server.units import Share, UnitBook

# The tenant of everyone who reaches a daemon that authenticates no one.
LOCAL_TENANT = "local"

RELEASED = "released"
DRAINING = "gond is draining"


class LeaseState(Enum):
    """Where a lease is in its life."""

    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What a client asks for; `unit` and `personality` "" are the host's choice, `personalities`
    what the lease may be changed to.
    """

    unit: str = ""
    personality: str = ""
    memory_bytes: int = 0
    link: str = "stream"
    client: str = ""
    tenant: str = LOCAL_TENANT
    personalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease as the book has it. Times are seconds of the book's caller's clock."""

    id: str
    tenant: str
    client: str
    share: Share
    epoch: int
    fence: int
    digest: bytes
    state: LeaseState
    expires_s: float
    grace_ends_s: float | None = None
    reason: str = ""
    # What it was changed to, "" for what it was acquired as.
    became: str = ""

    @property
    def personality(self) -> str:
        """What the unit is now, as its worker told."""
        return self.became or self.share.personality

    @property
    def unit(self) -> str:
        return self.share.unit

    def expires_in_s(self, now_s: float) -> float:
        """Return how long it lasts unless renewed; 0 once ended."""
        return 0.0 if self.state is LeaseState.ENDED else max(0.0, self.expires_s - now_s)

    def __repr__(self) -> str:
        why = f", {self.reason}" if self.reason else ""
        return f"Lease({self.id} of {self.tenant} on {self.unit}, {self.state.value}{why})"


@dataclass(frozen=True, slots=True)
class EndWorker:
    """Effect: the lease has ended; its worker must go."""

    lease: str
    reason: str


def digest_of(token: bytes) -> bytes:
    """Return what the book keeps of a token."""
    return hashlib.sha256(token).digest()


class LeaseBook:
    """All leases of one life of the daemon (its `epoch`)."""

    def __init__(self, units: UnitBook, *, epoch: int, lease_s: float, grace_s: float) -> None:
        self.epoch = epoch
        self.lease_s = lease_s
        self.grace_s = grace_s
        self.draining = False
        self._units = units
        self._count = 0
        self._live: dict[str, Lease] = {}
        self._ended: OrderedDict[str, Lease] = OrderedDict()
        self._held: dict[str, Share] = {}
        self._by_digest: dict[bytes, str] = {}

    def __repr__(self) -> str:
        return f"LeaseBook({len(self._live)} live, {len(self._held)} held, epoch {self.epoch})"

    @property
    def live(self) -> tuple[Lease, ...]:
        """The leases that have not ended."""
        return tuple(self._live.values())

    @property
    def held(self) -> int:
        """How many leases still hold slices; ended ones do until their worker is gone."""
        return len(self._held)

    def acquire(self, request: LeaseRequest, token: bytes, now_s: float) -> Lease:
        """Open a lease that `token` (fresh, secret) speaks for. Raises LeaseRefused, saying why."""
        if self.draining:
            raise LeaseRefused(f"{DRAINING}: it is shutting down and gives no new leases")
        if len(self._held) >= LEASES_MAX:
            raise LeaseRefused(f"this host has {LEASES_MAX} leases, the most it gives")
        share = self._units.take(
            request.unit, request.personality, request.memory_bytes, request.personalities
        )
        self._count += 1
        lease = Lease(
            id=f"lease-{self.epoch}-{self._count}",
            tenant=request.tenant,
            client=request.client,
            share=share,
            epoch=self.epoch,
            fence=self.epoch << 32 | self._count,
            digest=digest_of(token),
            state=LeaseState.STARTING,
            expires_s=now_s + self.lease_s,
        )
        self._live[lease.id] = lease
        self._held[lease.id] = share
        self._by_digest[lease.digest] = lease.id
        return lease

    def ready(self, lease_id: str, now_s: float) -> Lease:
        """Note that a worker serves the lease. Raises LeaseLost if it has ended meanwhile."""
        lease = self._require_live(lease_id)
        expires_s = now_s + self.lease_s
        return self._put(replace(lease, state=LeaseState.READY, expires_s=expires_s))

    def renew(self, lease_id: str, token: bytes, now_s: float) -> Lease:
        """Push the expiry to `lease_s` from now. Raises LeaseLost with the reason it ended."""
        self._authenticate(lease_id, token)
        lease = self._require_live(lease_id)
        return self._put(replace(lease, expires_s=now_s + self.lease_s))

    def release(self, lease_id: str, token: bytes) -> tuple[EndWorker, ...]:
        """End the lease at its holder's wish; nothing happens if it has ended already."""
        self._authenticate(lease_id, token)
        return self.end(lease_id, RELEASED)

    def inspect(self, lease_id: str, token: bytes) -> Lease:
        """Return the lease, ended or not. Raises LeaseLost for one that nothing is known of."""
        return self._authenticate(lease_id, token)

    def by_token(self, token: bytes) -> Lease | None:
        """Return the ready lease whose data links `token` opens."""
        lease_id = self._by_digest.get(digest_of(token))
        lease = self._live.get(lease_id) if lease_id else None
        return lease if lease and lease.state is LeaseState.READY else None

    def tenant_of(self, lease_id: str) -> str | None:
        """Return whose a live lease is."""
        lease = self._live.get(lease_id)
        return None if lease is None else lease.tenant

    def owner_of(self, lease_id: str) -> str | None:
        """Return whose a lease is, or was until lately."""
        lease = self._live.get(lease_id) or self._ended.get(lease_id)
        return None if lease is None else lease.tenant

    def link_changed(self, lease_id: str, now_s: float, *, up: bool) -> None:
        """Note that a client's link is there, or gone: the grace starts when it goes."""
        lease = self._live.get(lease_id)
        if lease is not None:
            self._put(replace(lease, grace_ends_s=None if up else now_s + self.grace_s))

    def became(self, lease_id: str, personality: str) -> bool:
        """Note what a lease's unit is now; return whether that is news. What it was not acquired
        for is not believed.
        """
        lease = self._live.get(lease_id)
        if lease is None or personality not in lease.share.personalities:
            return False
        self._put(replace(lease, became=personality))
        return personality != lease.personality

    def worker_gone(self, lease_id: str, reason: str) -> None:
        """Free all the lease held; a lease that was live has ended for `reason`."""
        if lease_id in self._live:
            self.end(lease_id, reason)
        share = self._held.pop(lease_id, None)
        if share is not None:
            self._units.give_back(share)

    def end(self, lease_id: str, reason: str) -> tuple[EndWorker, ...]:
        """End the lease for `reason`; nothing happens if it has ended already."""
        lease = self._live.pop(lease_id, None)
        if lease is None:
            return ()
        del self._by_digest[lease.digest]
        self._ended[lease_id] = replace(lease, state=LeaseState.ENDED, reason=reason)
        while len(self._ended) > ENDED_LEASES_KEPT:
            self._ended.popitem(last=False)
        return (EndWorker(lease_id, reason),)

    def expire(self, now_s: float) -> tuple[EndWorker, ...]:
        """End every ready lease whose time is over; the wait for a worker has its own bound."""
        effects: list[EndWorker] = []
        for lease in self._ready():
            if lease.grace_ends_s is not None and now_s >= lease.grace_ends_s:
                effects += self.end(lease.id, f"link gone for {self.grace_s:g} s")
            elif now_s >= lease.expires_s:
                effects += self.end(lease.id, f"expired: not renewed for {self.lease_s:g} s")
        return tuple(effects)

    def next_deadline_s(self) -> float | None:
        """Return when `expire` next has something to do, if nothing happens until then."""
        times = [
            lease.expires_s
            if lease.grace_ends_s is None
            else min(lease.expires_s, lease.grace_ends_s)
            for lease in self._ready()
        ]
        return min(times, default=None)

    def drain(self) -> None:
        """Give no new leases from now on."""
        self.draining = True

    def end_all(self, reason: str) -> tuple[EndWorker, ...]:
        """End every lease for `reason`."""
        return tuple(effect for lease in self.live for effect in self.end(lease.id, reason))

    def _ready(self) -> list[Lease]:
        return [lease for lease in self._live.values() if lease.state is LeaseState.READY]

    def _put(self, lease: Lease) -> Lease:
        self._live[lease.id] = lease
        return lease

    def _require_live(self, lease_id: str) -> Lease:
        lease = self._live.get(lease_id)
        if lease is not None:
            return lease
        ended = self._ended.get(lease_id)
        raise LeaseLost(
            f"{lease_id} has ended: {ended.reason}" if ended else self._unknown(lease_id)
        )

    def _authenticate(self, lease_id: str, token: bytes) -> Lease:
        lease = self._live.get(lease_id) or self._ended.get(lease_id)
        if lease is None:
            raise LeaseLost(self._unknown(lease_id))
        if not hmac.compare_digest(lease.digest, digest_of(token)):
            raise LeaseRefused(f"the token is not that of {lease_id}")
        return lease

    def _unknown(self, lease_id: str) -> str:
        return (
            f"nothing is known of a lease {lease_id[:64]!r}: it ended long ago, or gond was "
            f"started again since (this is its epoch {self.epoch})"
        )
