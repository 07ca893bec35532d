"""Keeping a lease: renews it while the device is open, tells the session when it is over.

What a program leaves open is given back as its process ends, or its slices would be nobody's until
the lease expires. A process that is killed has no such end: its leases do expire.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.util import Finalize

from gon.clock import Clock
from gon.errors import (
    BadHandle,
    GonError,
    HostUnreachable,
    LeaseError,
    LeaseLost,
    WaitTimeout,
)
from gon.model import LeaseTerms
from gon_client.control import ControlChannel, LeaseState

# Renewals come this often within the time of a lease, so that one or two may fail.
_RENEWALS_IN_LEASE = 3
# An end is not held up for longer by a host that does not answer.
_AT_EXIT_S = 2.0


class Lease:
    """A lease that is renewed by a thread of its own until `release`."""

    def __init__(self, control: ControlChannel, terms: LeaseTerms, clock: Clock) -> None:
        self._control = control
        self.terms = terms
        self._clock = clock
        self._over = threading.Event()
        self._on_lost: Callable[[GonError], None] | None = None
        self._thread = threading.Thread(target=self._renew, name="gon-lease", daemon=True)

    def __repr__(self) -> str:
        return f"Lease({self.terms!r}{', over' if self._over.is_set() else ''})"

    def keep(self, on_lost: Callable[[GonError], None]) -> None:
        """Start renewing; `on_lost` is called once if gond says that the lease is over."""
        self._on_lost = on_lost
        OPEN.add(self)
        self._thread.start()

    def alive(self) -> None:
        """Return if the lease stands. Raises LeaseLost with the reason, HostUnreachable."""
        status = self._control.inspect(self.terms.id, self.terms.token)
        if status.state is LeaseState.ENDED:
            raise LeaseLost(f"the lease has ended: {status.reason}")

    def release(self, timeout_s: float | None = None) -> None:
        """Give the lease back; idempotent. If nobody answers it ends by itself; a child of fork has
        none to give, though it may be on its way out of where its parent was making one.
        """
        if self._over.is_set():
            return
        self._over.set()
        OPEN.discard(self)
        try:
            self._control.release(self.terms.id, self.terms.token, timeout_s)
        except (BadHandle, HostUnreachable, LeaseError, WaitTimeout):
            return

    def _renew(self) -> None:
        while not self._clock.wait(self._over, self.terms.lease_s / _RENEWALS_IN_LEASE):
            try:
                self._control.renew(self.terms.id, self.terms.token)
            except LeaseError as error:
                self._over.set()
                OPEN.discard(self)
                if self._on_lost is not None:
                    self._on_lost(error)
                return
            except GonError:
                # Nobody answers, or not in time: the lease stands until gond says otherwise.
                continue


class OpenLeases:
    """The leases of this process that have not been given back."""

    def __init__(self) -> None:
        self._leases: set[Lease] = set()
        self._pid = 0

    def __repr__(self) -> str:
        return f"OpenLeases({len(self._leases)})"

    def add(self, lease: Lease) -> None:
        self._leases.add(lease)
        self.release_at_exit()

    def discard(self, lease: Lease) -> None:
        self._leases.discard(lease)

    def release_at_exit(self) -> None:
        """See to it that the end of the process gives them back, after whatever is registered to be
        done at exit from now on.
        """
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        atexit.register(self.release)
        if parent_process() is not None:
            # Some of multiprocessing's processes end without Python's own exit.
            Finalize(None, self.release, exitpriority=-1)

    def release(self) -> None:
        """Give all back."""
        for lease in tuple(self._leases):
            lease.release(_AT_EXIT_S)


OPEN = OpenLeases()
