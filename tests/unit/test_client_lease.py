"""A lease of the client's: kept by renewals, given back once."""

from __future__ import annotations

import threading
from typing import cast

import pytest
from msgspec.structs import replace

from gon.errors import (
    GonError,
    HostUnreachable,
    LeaseLost,
    WaitTimeout,
)
from gon.limits import (
    GRACE_S,
    LEASE_S,
)
from gon.model import LeaseTerms
from gon_client.control import ControlChannel, LeaseState, LeaseStatus
from gon_client.lease import Lease, OpenLeases
from tests.held_clock import HeldClock
from tests.inproc_worker import PATIENCE_S


class Control:
    """A control plane that answers as told."""

    def __init__(self, *renewals: GonError | None, address: str = "gon://far:1") -> None:
        self.address = address
        self.renewals = list(renewals)
        self.released = self.held = 0
        self.silence: GonError | None = None
        self.status = LeaseStatus("lease-1", "u", 1, LeaseState.READY, "", 90.0)

    def renew(self, lease: str, token: bytes) -> None:
        error = self.renewals.pop(0) if self.renewals else None
        if error is not None:
            raise error

    def inspect(self, lease: str, token: bytes) -> LeaseStatus:
        return self.status

    def release(self, lease: str, token: bytes, timeout_s: float | None = None) -> None:
        self.released += 1
        if self.silence is not None:
            raise self.silence

    def hold(self) -> None:
        self.held += 1

    def let_go(self) -> None:
        self.held -= 1


TERMS = LeaseTerms("lease-1", "u", "gpu", 1, 1, b"t" * 32, 1, LEASE_S, GRACE_S, "inproc://")


def lease_of(control: Control, clock: HeldClock) -> Lease:
    return Lease(cast(ControlChannel, control), TERMS, clock)


def test_a_lease_goes_on_while_nobody_answers_and_ends_when_gond_says_so() -> None:
    unreachable, lost = HostUnreachable("no route"), LeaseLost("the lease has ended: not renewed")
    control, clock = Control(None, unreachable, unreachable, None, lost), HeldClock()
    lease = lease_of(control, clock)
    told: list[GonError] = []
    ended = threading.Event()

    def on_lost(error: GonError) -> None:
        told.append(error)
        ended.set()

    lease.keep(on_lost)
    clock.settle()
    clock.tick(4)
    assert told == []
    clock.wake()
    assert ended.wait(PATIENCE_S)
    assert told == [lost]
    lease.release()
    assert (control.released, control.held) == (0, 0), "what has ended is not given back"


def test_a_lease_is_given_back_once() -> None:
    control, clock = Control(), HeldClock()
    lease = lease_of(control, clock)
    lease.keep(lambda error: None)
    clock.settle()
    assert control.held == 1
    lease.release()
    lease.release()
    assert (control.released, control.held) == (1, 0)
    assert repr(lease).endswith("over)")
    clock.close()


def test_a_forgotten_lease_is_given_back_by_its_own_thread() -> None:
    control, clock = Control(), HeldClock()
    lease, told = lease_of(control, clock), list[int]()
    lease.keep(lambda error: None, lambda: told.append(control.released))
    clock.settle()
    lease.forget()
    assert control.released == 0, "a finalizer waits for nobody"
    clock.wake()
    lease._thread.join(PATIENCE_S)
    assert (control.released, control.held, told) == (1, 0, [0])
    clock.close()


@pytest.mark.parametrize("silence", [WaitTimeout("no answer"), HostUnreachable("no route")])
def test_an_end_asks_a_silent_host_once(silence: GonError) -> None:
    """Else a program with hundreds of leases would end minutes later."""
    clock, kept = HeldClock(), OpenLeases()
    silent, other = Control(), Control(address="gon://near:1")
    silent.silence = silence
    for control in (silent, other, silent, other, silent):
        kept.add(lease_of(control, clock))
    kept.release()
    assert (silent.released, other.released) == (1, 2)
    kept.forsake()
    kept.release()
    assert silent.released == 1, "a child has none"


def test_a_lease_says_whether_it_stands() -> None:
    control = Control()
    lease = lease_of(control, HeldClock())
    lease.alive()
    control.status = replace(control.status, state=LeaseState.ENDED, reason="worker killed")
    with pytest.raises(LeaseLost, match="the lease has ended: worker killed"):
        lease.alive()
