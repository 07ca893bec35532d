"""Keeping a lease: renews it while the device is open, tells the session when it is over.

What a program leaves open is given back when it forgets the device, at the latest as its process
ends, or its slices would be nobody's until the lease expires. A process that is killed has no such
end: its leases do expire.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable

from gon.clock import Clock
from gon.errors import (
    BadHandle,
    GonError,
    HostUnreachable,
    LeaseError,
    LeaseLost,
    WaitTimeout,
)
from gon.forked import inherit
from gon.model import LeaseTerms
from gon_client.control import ControlChannel, LeaseState
from gon_client.pump import Bell

# Renewals come this often within the time of a lease, so that one or two may fail.
_RENEWALS_IN_LEASE = 3
# An end is not held up for longer by a host that does not answer.
_AT_EXIT_S = 2.0


class Lease:
    """A lease that is renewed by a thread of its own until `release`, or gives itself back there
    after `forget`.
    """

    def __init__(self, control: ControlChannel, terms: LeaseTerms, clock: Clock) -> None:
        self._control = control
        self.terms = terms
        self._clock = clock
        self._over = self._forgotten = False
        # Rung when there is nothing to renew any more, by finalizers too.
        self._bell = Bell()
        self._on_lost: Callable[[GonError], None] | None = None
        self._on_forgotten: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._renew, name="gon-lease", daemon=True)
        control.hold()

    def __repr__(self) -> str:
        return f"Lease({self.terms!r}{', over' if self._over else ''})"

    @property
    def host(self) -> str:
        """Where whoever gave it is."""
        return self._control.address

    def keep(
        self, on_lost: Callable[[GonError], None], on_forgotten: Callable[[], None] | None = None
    ) -> None:
        """Start renewing; `on_lost` is called once if gond says that the lease is over,
        `on_forgotten` before one that is forgotten is given back.
        """
        self._on_lost, self._on_forgotten = on_lost, on_forgotten
        OPEN.add(self)
        self._thread.start()

    def alive(self) -> None:
        """Return if the lease stands. Raises LeaseLost with the reason, HostUnreachable."""
        status = self._control.inspect(self.terms.id, self.terms.token)
        if status.state is LeaseState.ENDED:
            raise LeaseLost(f"the lease has ended: {status.reason}")

    def forget(self) -> None:
        """Let it be given back by its own thread; for finalizers, which may wait for nothing."""
        self._forgotten = True
        self._bell.set()

    def release(self, timeout_s: float | None = None) -> bool:
        """Give the lease back; idempotent. Return False if nobody answers: it ends by itself then.
        A child of fork has none to give, though it may be on its way out of where its parent was
        making one.
        """
        if self._over:
            return True
        self._end()
        try:
            self._control.release(self.terms.id, self.terms.token, timeout_s)
        except (BadHandle, LeaseError):
            return True
        except (HostUnreachable, WaitTimeout):
            return False
        else:
            return True
        finally:
            self._control.let_go()

    def _end(self) -> None:
        self._over = True
        self._bell.set()
        OPEN.discard(self)

    def _renew(self) -> None:
        while not self._clock.wait(self._bell, self.terms.lease_s / _RENEWALS_IN_LEASE):
            try:
                self._control.renew(self.terms.id, self.terms.token)
            except LeaseError as error:
                self._end()
                self._control.let_go()
                if self._on_lost is not None:
                    self._on_lost(error)
                return
            except GonError:
                # Nobody answers, or not in time: the lease stands until gond says otherwise.
                continue
        if self._forgotten and not self._over:
            if self._on_forgotten is not None:
                self._on_forgotten()
            self.release()


class OpenLeases:
    """The leases of this process that have not been given back."""

    def __init__(self) -> None:
        self._leases: set[Lease] = set()
        self._pid = 0
        inherit(self, OpenLeases.forsake)

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
        if "multiprocessing.process" in sys.modules:
            # Who was started by it has it. Some of its processes end without Python's own exit.
            from multiprocessing import parent_process
            from multiprocessing.util import Finalize

            if parent_process() is not None:
                Finalize(None, self.release, exitpriority=-1)

    def forsake(self) -> None:
        """Have none, in a child of fork: they are its parent's."""
        self._leases = set()

    def release(self) -> None:
        """Give all back; a host that does not answer for one is not asked for its others."""
        silent: set[str] = set()
        for lease in tuple(self._leases):
            if lease.host not in silent and not lease.release(_AT_EXIT_S):
                silent.add(lease.host)


OPEN = OpenLeases()
