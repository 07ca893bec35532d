"""How many side links a host's workers may have, over all leases of a tenant and of the host.

A worker holds so many of its one lease's (gon_server.anteroom); this is what bounds their sum, and
that of a worker that keeps to nothing. A lease counts for those that it was given and that are
still there, as gond sees for itself (gon_server.side_watch).

Rules: pure: what was admitted is admitted. A client that is refused one goes on with fewer.
"""

from __future__ import annotations

from gon.side_limits import SIDES_HOST_MAX, SIDES_LEASE_MAX, SIDES_TENANT_MAX


class SideBook:
    """The side links of leases, each of a tenant."""

    def __init__(
        self, *, tenant_max: int = SIDES_TENANT_MAX, host_max: int = SIDES_HOST_MAX
    ) -> None:
        self._tenant_max, self._host_max = tenant_max, host_max
        # By lease: its tenant, and how many it may hold now.
        self._held: dict[str, tuple[str, int]] = {}
        self.refused = 0

    def __repr__(self) -> str:
        return f"SideBook({self.held} of {self._host_max} side links, {self.refused} refused)"

    @property
    def held(self) -> int:
        """How many there may be on this host."""
        return sum(count for _, count in self._held.values())

    def admit(self, lease: str, tenant: str) -> str:
        """Count one more; return "", or why it is not to be had."""
        _, count = self._held.get(lease, (tenant, 0))
        of_tenant = sum(held for other, held in self._held.values() if other == tenant)
        if count >= SIDES_LEASE_MAX:
            why = f"the lease has {count} side links, as many as one may"
        elif of_tenant >= self._tenant_max:
            why = f"tenant {tenant} has {of_tenant} side links, as many as one may"
        elif self.held >= self._host_max:
            why = f"the host has {self.held} side links, as many as it may"
        else:
            self._held[lease] = tenant, count + 1
            return ""
        self.refused += 1
        return why

    def ended(self, lease: str) -> None:
        """Hear that one of a lease's is over."""
        tenant, count = self._held.pop(lease, ("", 0))
        if count > 1:
            self._held[lease] = tenant, count - 1

    def over(self, lease: str) -> None:
        """Hear that a lease's worker is gone, and its side links with it."""
        self._held.pop(lease, None)
