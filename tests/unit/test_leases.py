"""The book of leases, with time as an argument."""

from __future__ import annotations

import pytest

from gon.errors import LeaseLost, LeaseRefused
from gon.limits import ENDED_LEASES_KEPT, LEASES_MAX, TOKEN_BYTES
from gon.personalities import PERSONALITIES
from gon_server.leases import EndWorker, Lease, LeaseBook, LeaseRequest, LeaseState
from gon_server.units import UnitBook, UnitSpec

LEASE_S = 90.0
GRACE_S = 60.0


def token(number: int) -> bytes:
    return number.to_bytes(TOKEN_BYTES, "big")


class Desk:
    """A book over one unit, and leases numbered from 1 with `token(number)`."""

    def __init__(self, slices: int = 4, epoch: int = 1) -> None:
        spec = UnitSpec("u", "eagphpu", "u", "null:", (), 1024 * slices, slices, warm=0)
        self.units = UnitBook([spec])
        self.book = LeaseBook(self.units, epoch=epoch, lease_s=LEASE_S, grace_s=GRACE_S)
        self.count = 0

    def acquire(self, now_s: float = 0.0) -> Lease:
        self.count += 1
        return self.book.acquire(LeaseRequest(), token(self.count), now_s)

    def ready(self, now_s: float = 0.0) -> Lease:
        return self.book.ready(self.acquire(now_s).id, now_s)

    @property
    def free(self) -> int:
        return self.units.describe()[0].slices_free


def test_a_lease_starts_is_ready_and_ends() -> None:
    desk = Desk()
    lease = desk.acquire()
    assert (lease.state, lease.tenant, lease.unit) == (LeaseState.STARTING, "local", "u")
    assert desk.book.ready(lease.id, 5.0).expires_s == 95.0
    assert desk.book.release(lease.id, token(1)) == (EndWorker(lease.id, "released"),)
    ended = desk.book.inspect(lease.id, token(1))
    assert (ended.state, ended.reason, ended.expires_in_s(6.0)) == (
        *(LeaseState.ENDED, "released", 0.0),
    )


def test_slices_are_free_only_when_the_worker_is_gone() -> None:
    desk = Desk()
    lease = desk.ready()
    assert (desk.free, desk.book.held) == (3, 1)
    desk.book.release(lease.id, token(1))
    assert (desk.free, desk.book.held) == (3, 1)
    desk.book.worker_gone(lease.id, "worker exited with status 0")
    assert (desk.free, desk.book.held) == (4, 0)
    desk.book.worker_gone(lease.id, "again")
    assert desk.free == 4
    assert desk.book.inspect(lease.id, token(1)).reason == "released"


def test_a_lease_whose_worker_dies_says_why() -> None:
    desk = Desk()
    lease = desk.ready()
    desk.book.worker_gone(lease.id, "worker killed by signal 9 (SIGKILL)")
    assert desk.free == 4
    with pytest.raises(LeaseLost, match=r"has ended: worker killed by signal 9"):
        desk.book.renew(lease.id, token(1), 1.0)


def test_fences_grow_across_leases_and_epochs() -> None:
    first, second = Desk(epoch=1), Desk(epoch=2)
    fences = [first.acquire().fence, first.acquire().fence, second.acquire().fence]
    assert fences == [(1 << 32) + 1, (1 << 32) + 2, (2 << 32) + 1]
    ids = {first.acquire().id, second.acquire().id}
    assert len(ids) == 2


def test_a_lease_that_is_not_renewed_expires() -> None:
    desk = Desk()
    lease = desk.ready(now_s=10.0)
    assert desk.book.next_deadline_s() == 100.0
    assert desk.book.renew(lease.id, token(1), 50.0).expires_in_s(60.0) == 80.0
    assert desk.book.expire(139.9) == ()
    assert desk.book.expire(140.0) == (EndWorker(lease.id, "expired: not renewed for 90 s"),)
    assert desk.book.expire(141.0) == ()
    assert desk.book.next_deadline_s() is None


def test_a_starting_lease_does_not_expire() -> None:
    desk = Desk()
    lease = desk.acquire()
    assert desk.book.next_deadline_s() is None
    assert desk.book.expire(1000.0) == ()
    assert desk.book.ready(lease.id, 1000.0).expires_in_s(1000.0) == LEASE_S


def test_what_a_unit_has_become_is_believed_as_far_as_the_lease_goes() -> None:
    may_be = tuple(each for each in PERSONALITIES if each.name in ("gpu", "npu", "dpu"))
    spec = UnitSpec("u", "eagphpu", "u", "null:", (), 4096, 4, warm=0, may_be=may_be)
    book = LeaseBook(UnitBook([spec]), epoch=1, lease_s=LEASE_S, grace_s=GRACE_S)
    lease = book.acquire(LeaseRequest(personalities=("gpu", "npu")), token(1), 0.0)
    assert book.became(lease.id, "npu")
    assert not book.became(lease.id, "npu")
    assert not book.became(lease.id, "dpu")
    assert not book.became("nobody", "npu")
    (now,) = book.live
    assert (now.personality, now.share.personality) == ("npu", "gpu")


def test_the_grace_runs_only_while_the_link_is_gone() -> None:
    desk = Desk()
    lease = desk.ready()
    desk.book.link_changed(lease.id, 1.0, up=True)
    assert desk.book.next_deadline_s() == 90.0
    desk.book.link_changed(lease.id, 10.0, up=False)
    assert desk.book.next_deadline_s() == 70.0
    desk.book.link_changed(lease.id, 60.0, up=True)
    assert desk.book.expire(75.0) == ()
    desk.book.link_changed(lease.id, 80.0, up=False)
    desk.book.renew(lease.id, token(1), 80.0)
    assert desk.book.expire(140.0) == (EndWorker(lease.id, "link gone for 60 s"),)


def test_only_the_token_speaks_for_a_lease() -> None:
    desk = Desk()
    lease = desk.ready()
    for wrong in (b"", token(2), token(1)[:-1]):
        with pytest.raises(LeaseRefused, match=r"the token is not that of"):
            desk.book.renew(lease.id, wrong, 1.0)
        for act in (desk.book.release, desk.book.inspect):
            with pytest.raises(LeaseRefused, match=r"the token is not that of"):
                act(lease.id, wrong)
    assert desk.book.inspect(lease.id, token(1)).state is LeaseState.READY


def test_a_token_opens_data_links_while_its_lease_is_ready() -> None:
    desk = Desk()
    lease = desk.acquire()
    assert desk.book.by_token(token(1)) is None
    desk.book.ready(lease.id, 0.0)
    assert desk.book.by_token(token(1)) == desk.book.inspect(lease.id, token(1))
    assert desk.book.by_token(token(2)) is None
    desk.book.end(lease.id, "x")
    assert desk.book.by_token(token(1)) is None


def test_tokens_are_not_kept() -> None:
    desk = Desk()
    lease = desk.ready()
    assert token(1) not in (lease.digest, *vars(desk.book).get("_by_digest", {}))


def test_nothing_is_known_of_other_leases() -> None:
    desk = Desk(epoch=7)
    with pytest.raises(LeaseLost, match=r"nothing is known of a lease 'lease-1-1'.*epoch 7"):
        desk.book.renew("lease-1-1", token(1), 0.0)


def test_releasing_twice_does_nothing() -> None:
    desk = Desk()
    lease = desk.ready()
    desk.book.release(lease.id, token(1))
    assert desk.book.release(lease.id, token(1)) == ()


def test_a_draining_host_gives_no_leases_and_ends_those_there_are() -> None:
    desk = Desk()
    first, second = desk.ready(), desk.ready()
    desk.book.drain()
    with pytest.raises(LeaseRefused, match=r"gond is draining"):
        desk.acquire()
    assert desk.book.renew(first.id, token(1), 5.0).expires_s == 95.0
    assert desk.book.end_all("gond is draining") == (
        EndWorker(first.id, "gond is draining"),
        EndWorker(second.id, "gond is draining"),
    )
    assert desk.book.live == ()


def test_leases_are_bounded_and_a_refused_one_takes_nothing() -> None:
    desk = Desk(slices=LEASES_MAX + 1)
    for _ in range(LEASES_MAX):
        desk.acquire()
    with pytest.raises(LeaseRefused, match=rf"{LEASES_MAX} leases"):
        desk.acquire()
    assert desk.free == 1


def test_only_so_many_ended_leases_are_remembered() -> None:
    desk = Desk()
    ids: list[str] = []
    for _ in range(ENDED_LEASES_KEPT + 1):
        lease = desk.ready()
        desk.book.worker_gone(lease.id, "gone")
        ids.append(lease.id)
    with pytest.raises(LeaseLost, match=r"nothing is known"):
        desk.book.inspect(ids[0], token(1))
    assert desk.book.inspect(ids[1], token(2)).reason == "gone"
