"""When a receiver spins, and what a spin tells the policy."""

from __future__ import annotations

from gon.spin_limits import (
    PATIENT_SPIN_US_MAX,
    PATIENT_WAITS,
    SPIN_SKIP_MAX,
    SPIN_US_MAX,
)
from gon.transport.spin import SpinPolicy, spin, spin_on_memory

US = 1e-6
QUICK_S = SPIN_US_MAX * US / 2
SHORT_S, LONG_S = SPIN_US_MAX / 1e6, PATIENT_SPIN_US_MAX / 1e6


def waits_until_wanted(policy: SpinPolicy) -> int:
    """Count the waits that block at once before the policy wants to spin again."""
    waits = 0
    while not policy.wants():
        waits += 1
    return waits


def test_a_policy_begins_by_spinning_and_goes_on_while_answered() -> None:
    policy = SpinPolicy()
    for _ in range(100):
        assert policy.wants()
        policy.answered(QUICK_S)
    assert policy.hits == 100


def test_spins_in_vain_make_ever_more_waits_until_the_next() -> None:
    policy = SpinPolicy()
    skipped: list[int] = []
    for _ in range(7):
        policy.missed()
        skipped.append(waits_until_wanted(policy))
    assert skipped == [1, 8, 64, 512, 4096, 4096, 4096]
    assert skipped[-1] == SPIN_SKIP_MAX


def test_an_answered_spin_forgets_the_last_loss() -> None:
    policy = SpinPolicy()
    for _ in range(3):
        policy.missed()
    assert waits_until_wanted(policy) == 64
    policy.answered(QUICK_S)
    policy.answered(QUICK_S)
    policy.missed()
    assert waits_until_wanted(policy) == 8


def test_one_miss_among_answers_costs_one_wait() -> None:
    policy = SpinPolicy()
    for _ in range(20):
        policy.answered(QUICK_S)
        policy.answered(QUICK_S)
        policy.missed()
        assert waits_until_wanted(policy) == 1


def test_a_policy_recovers_once_spins_are_answered_again() -> None:
    policy = SpinPolicy()
    for _ in range(20):
        policy.missed()
    assert waits_until_wanted(policy) == SPIN_SKIP_MAX
    for _ in range(20):
        assert policy.wants()
        policy.answered(QUICK_S)
    policy.missed()
    assert waits_until_wanted(policy) == 1


NEAR_S, FAR_S = PATIENT_SPIN_US_MAX * US * 0.9, PATIENT_SPIN_US_MAX * US * 1.1


def test_a_wait_that_a_longer_spin_would_have_met_makes_the_next_ones_longer() -> None:
    policy = SpinPolicy()
    assert policy.bound_s == SHORT_S
    policy.took(NEAR_S)
    assert policy.bound_s == LONG_S
    for _ in range(PATIENT_WAITS - 1):
        policy.answered(QUICK_S)
        assert policy.bound_s == LONG_S
    policy.answered(QUICK_S)
    assert policy.bound_s == SHORT_S


def test_patience_lasts_while_it_pays() -> None:
    policy = SpinPolicy()
    policy.took(NEAR_S)
    for _ in range(4 * PATIENT_WAITS):
        policy.answered(NEAR_S)
    assert policy.bound_s == LONG_S
    policy.missed()
    assert policy.bound_s == SHORT_S


def test_waits_that_are_longer_still_make_nothing_of_patience() -> None:
    policy = SpinPolicy()
    for _ in range(100):
        policy.took(FAR_S)
        assert policy.bound_s == SHORT_S


def test_a_receiver_whose_peer_waits_for_its_core_never_gets_patient() -> None:
    policy = SpinPolicy()
    for _ in range(1000):
        # Blocked at once it hears soon; a spin only holds the peer up.
        if policy.wants():
            assert policy.bound_s == SHORT_S
            policy.missed()
        else:
            policy.took(QUICK_S)


class Bench:
    """A clock that every look at the link moves on, and a link that answers at its n-th look."""

    def __init__(self, look_us: float, answers_at: int) -> None:
        self.looks = 0
        self._look_us = look_us
        self._answers_at = answers_at

    def now_s(self) -> float:
        return 1.0 + self.looks * self._look_us * US

    def look(self) -> object:
        self.looks += 1
        return [object()] if self.looks >= self._answers_at else []


def spun(bench: Bench) -> tuple[bool, SpinPolicy]:
    policy = SpinPolicy()
    return spin(policy, bench.look, bench.now_s), policy


def test_a_spin_ends_with_the_answer() -> None:
    bench = Bench(look_us=1, answers_at=7)
    there, policy = spun(bench)
    assert there
    assert bench.looks == 7
    assert policy.hits == 1


def test_a_spin_in_vain_ends_in_time() -> None:
    bench = Bench(look_us=1, answers_at=10_000)
    there, policy = spun(bench)
    assert not there
    assert SPIN_US_MAX <= bench.looks <= SPIN_US_MAX + 2
    assert waits_until_wanted(policy) == 1


def test_an_answer_that_comes_too_late_is_taken_but_counts_as_a_miss() -> None:
    # The first look is before the spin's time begins to count.
    there, policy = spun(Bench(SPIN_US_MAX * 0.9, answers_at=3))
    assert there
    assert policy.hits == 0
    assert waits_until_wanted(policy) == 1


def test_an_answer_that_is_there_already_needs_no_clock_and_tells_nothing() -> None:
    def no_clock() -> float:
        raise AssertionError("the clock was asked")

    policy = SpinPolicy()
    policy.missed()
    policy.missed()
    before = repr(policy)
    assert spin(policy, lambda: True, no_clock)
    assert policy.hits == 0
    assert repr(policy) == before


def test_a_spin_on_memory_ends_when_answered_when_over_and_when_there_is_no_point() -> None:
    now_s = 0.0

    def clock() -> float:
        nonlocal now_s
        now_s += SPIN_US_MAX * US / 4
        return now_s

    policy = SpinPolicy()
    assert spin_on_memory(policy, iter([False] * 20 + [True]).__next__, list, clock)
    assert (policy.hits, policy.skip) == (1, 0)
    assert not spin_on_memory(policy, lambda: False, lambda: ["rung"], clock)
    assert (policy.hits, policy.skip) == (1, 0)
    assert not spin_on_memory(policy, lambda: False, list, clock)
    assert (policy.hits, policy.skip) == (1, 1)
