"""The book of builds, with time as an argument and every effect looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gon.errors import Code
from gon.limits import (
    BUILD_PATIENCE_S,
    BUILD_QUEUE_S,
    BUILDERS_PER_UNIT_MAX,
    BUILDS_PER_BUILDER_MAX,
    RESPAWN_FIRST_S,
)
from gon_server.build_effects import (
    Deliver,
    Dismiss,
    Doom,
    Effect,
    Evict,
    Fail,
    Failure,
    Forget,
    Hire,
    Place,
    Start,
    Waiter,
)
from gon_server.builds import IDLE, ROOM, SPENT, WORN, BuildBook
from gon_server.modules import ModuleCache, ModuleKey

BUILD_S = 10.0
IDLE_S = 100.0
HERE = Place("a", "soft")
ELSEWHERE = Place("b", "soft")


def key(name: str, tenant: str = "a") -> ModuleKey:
    return ModuleKey(tenant, name.encode())


def book(builders_max: int = 4, cache_bytes: int = 1000) -> BuildBook:
    cache = ModuleCache(bytes_max=cache_bytes, tenant_bytes_max=cache_bytes)
    return BuildBook(cache, build_s=BUILD_S, idle_s=IDLE_S, builders_max=builders_max)


def with_builder() -> BuildBook:
    """Return a book with an idle builder, 1, at HERE."""
    made = book()
    assert made.keep(HERE, 0.0) == (Hire(1, HERE),)
    assert made.ready(1, 0.0) == ()
    return made


ONE, TWO, THREE = Waiter(1, 7), Waiter(2, 1), Waiter(3, 1)


def test_a_program_is_built_by_a_builder_of_its_tenant_and_kept() -> None:
    builds = book()
    assert builds.ask(HERE, ONE, key("k"), 0.0) == (Hire(1, HERE),)
    assert builds.ready(1, 1.0) == (Start(1, key("k")),)
    assert builds.built(1, 10, 2.0) == (Deliver(ONE, key("k")), Forget(key("k")))
    assert builds.ask(HERE, TWO, key("k"), 3.0) == (Deliver(TWO, key("k")), Forget(key("k")))


def test_whoever_asks_for_what_is_being_built_shares_it() -> None:
    builds = with_builder()
    assert builds.ask(HERE, ONE, key("k"), 0.0) == (Start(1, key("k")),)
    assert builds.ask(HERE, TWO, key("k"), 0.0) == ()
    assert builds.built(1, 10, 1.0) == (
        Deliver(ONE, key("k")),
        Deliver(TWO, key("k")),
        Forget(key("k")),
    )
    assert builds.statistics().built == 1


def test_another_tenant_gets_a_builder_of_its_own() -> None:
    builds = with_builder()
    assert builds.ask(ELSEWHERE, ONE, key("k", "b"), 0.0) == (Hire(2, ELSEWHERE),)


def test_a_failure_is_told_and_not_kept() -> None:
    builds = with_builder()
    failure = Failure(int(Code.COMPILE), "no such thing", "line 1")
    builds.ask(HERE, ONE, key("k"), 0.0)
    assert builds.failed(1, failure, 1.0) == (Fail(ONE, failure), Forget(key("k")))
    assert builds.ask(HERE, ONE, key("k"), 2.0) == (Start(1, key("k")),)


def test_programs_wait_for_a_busy_builder_in_their_order() -> None:
    builds = with_builder()
    builds.ask(HERE, ONE, key("1"), 0.0)
    assert builds.ask(HERE, TWO, key("2"), 0.0) == ()
    assert builds.ask(HERE, THREE, key("3"), 0.0) == ()
    assert Start(1, key("2")) in builds.built(1, 1, 0.5)
    assert Start(1, key("3")) in builds.built(1, 1, 0.6)


def test_who_waits_long_for_a_busy_builder_gets_a_second_and_no_third() -> None:
    builds = with_builder()
    builds.ask(HERE, ONE, key("1"), 0.0)
    builds.ask(HERE, TWO, key("2"), 0.0)
    assert builds.next_deadline_s() == BUILD_PATIENCE_S
    assert builds.expire(BUILD_PATIENCE_S) == (Hire(2, HERE),)
    assert builds.expire(BUILD_PATIENCE_S) == ()
    assert builds.ready(2, 2.0) == (Start(2, key("2")),)
    builds.ask(HERE, THREE, key("3"), 2.0)
    assert BUILDERS_PER_UNIT_MAX == 2
    assert builds.expire(2.0 + BUILD_PATIENCE_S) == ()


def test_what_kills_its_builder_fails_alone() -> None:
    builds = with_builder()
    builds.ask(HERE, ONE, key("bad"), 0.0)
    builds.ask(HERE, TWO, key("bad"), 0.0)
    builds.ask(HERE, THREE, key("good"), 0.0)
    effects = builds.gone(1, "worker killed by signal 11 (SIGSEGV)", 1.0)
    text = "the compiler did not survive this program: killed by signal 11 (SIGSEGV)"
    failure = Failure(int(Code.COMPILE), text)
    assert effects == (
        Fail(ONE, failure),
        Fail(TWO, failure),
        Forget(key("bad")),
        Hire(2, HERE),
    )
    assert builds.ready(2, 1.0) == (Start(2, key("good")),)


def test_a_builder_that_ends_with_its_answer_gets_nothing_more() -> None:
    builds = with_builder()
    builds.ask(HERE, ONE, key("hungry"), 0.0)
    builds.ask(HERE, TWO, key("good"), 0.0)
    failure = Failure(int(Code.COMPILE), "no memory")
    assert builds.failed(1, failure, 1.0, last=True) == (
        Fail(ONE, failure),
        Forget(key("hungry")),
        Dismiss(1, SPENT),
        Hire(2, HERE),
    )
    assert builds.ready(2, 1.0) == (Start(2, key("good")),)
    assert builds.gone(1, "worker exited with status 0", 1.0) == ()


def test_a_builder_that_was_gone_before_it_began_fails_nobody() -> None:
    builds = with_builder()
    assert builds.ask(HERE, ONE, key("k"), 0.0) == (Start(1, key("k")),)
    assert builds.not_begun(1, 0.0) == (Hire(2, HERE),)
    assert builds.gone(1, "worker killed by signal 9 (SIGKILL)", 0.0) == ()
    assert builds.ready(2, 0.0) == (Start(2, key("k")),)
    assert builds.built(2, 1, 1.0) == (Deliver(ONE, key("k")), Forget(key("k")))
    assert builds.not_begun(1, 1.0) == ()


def test_a_second_builder_that_cannot_be_had_is_not_asked_for_at_once_again() -> None:
    builds = book()
    builds.ask(HERE, ONE, key("1"), 0.0)
    builds.ready(1, 0.0)
    builds.ask(HERE, TWO, key("2"), 0.0)
    assert builds.expire(BUILD_PATIENCE_S) == (Hire(2, HERE),)
    assert builds.gone(2, "gond is draining", BUILD_PATIENCE_S) == ()
    assert builds.next_deadline_s() == 2 * BUILD_PATIENCE_S
    assert builds.expire(2 * BUILD_PATIENCE_S) == (Hire(3, HERE),)


def test_a_build_that_takes_too_long_dooms_its_builder() -> None:
    builds = with_builder()
    builds.ask(HERE, ONE, key("k"), 5.0)
    assert builds.next_deadline_s() == 5.0 + BUILD_S
    assert builds.expire(5.0 + BUILD_S) == (Doom(1, "it took longer than 10 s"), Hire(2, HERE))
    told = builds.gone(1, "worker killed: it took longer than 10 s", 15.1)
    assert [effect.failure.code for effect in told if isinstance(effect, Fail)] == [Code.COMPILE]


def test_without_a_builder_nothing_can_be_built_and_it_is_said() -> None:
    builds = book()
    builds.ask(HERE, ONE, key("1"), 0.0)
    effects = builds.gone(1, "gond is draining", 0.0)
    failure = Failure(int(Code.DEVICE), "nothing can be built: no builder: gond is draining")
    assert effects == (Fail(ONE, failure), Forget(key("1")))
    assert builds.ask(HERE, ONE, key("1"), 0.0) == (Hire(2, HERE),)


def test_a_deadline_that_has_passed_unseen_still_counts() -> None:
    builds = with_builder()
    builds.ask(HERE, ONE, key("1"), 5.0)
    builds.ask(HERE, TWO, key("2"), 99.0)
    assert builds.next_deadline_s() == 5.0 + BUILD_S
    assert builds.expire(99.0)[0] == Doom(1, "it took longer than 10 s")


def test_a_program_does_not_wait_for_ever() -> None:
    builds = book(builders_max=1)
    builds.ask(ELSEWHERE, ONE, key("k", "b"), 0.0)
    builds.ready(1, 0.0)
    builds.ask(HERE, TWO, key("k"), 1.0)
    effects = builds.expire(1.0 + BUILD_QUEUE_S)
    assert [type(effect) for effect in effects] == [Doom, Fail, Forget]
    (late,) = [effect for effect in effects if isinstance(effect, Fail)]
    assert (late.waiter, late.failure.code) == (TWO, Code.LIMIT_EXCEEDED)


def test_who_is_gone_is_not_waited_for() -> None:
    builds = with_builder()
    builds.ask(HERE, ONE, key("1"), 0.0)
    builds.ask(HERE, TWO, key("2"), 0.0)
    assert builds.waiter_gone(TWO.worker) == (Forget(key("2")),)
    assert builds.waiter_gone(ONE.worker) == ()
    # It is built all the same, and kept.
    assert builds.built(1, 1, 1.0) == (Forget(key("1")),)
    assert builds.ask(HERE, THREE, key("1"), 2.0)[0] == Deliver(THREE, key("1"))


def test_an_idle_builder_ends_unless_its_place_keeps_one() -> None:
    builds = with_builder()
    builds.ask(ELSEWHERE, ONE, key("k", "b"), 0.0)
    builds.ready(2, 0.0)
    builds.built(2, 1, 1.0)
    assert builds.next_deadline_s() == IDLE_S
    assert builds.expire(1.0 + IDLE_S) == (Dismiss(2, IDLE),)
    assert builds.gone(2, "", 102.0) == ()
    builds.stop()
    assert builds.expire(1.0 + IDLE_S) == (Dismiss(1, IDLE),)
    assert builds.gone(1, "", 102.0) == ()


def test_a_kept_builder_that_dies_is_replaced_later_each_time() -> None:
    builds = with_builder()
    assert builds.gone(1, "worker killed by signal 9 (SIGKILL)", 0.0) == ()
    assert builds.next_deadline_s() == RESPAWN_FIRST_S
    assert builds.expire(RESPAWN_FIRST_S) == (Hire(2, HERE),)
    assert builds.gone(2, "no builder: it did not open", 1.0) == ()
    assert builds.next_deadline_s() == 1.0 + 2 * RESPAWN_FIRST_S


def test_a_builder_that_has_built_enough_is_replaced() -> None:
    builds = with_builder()
    last: tuple[Effect, ...] = ()
    for count in range(BUILDS_PER_BUILDER_MAX):
        name = key(str(count))
        assert builds.ask(HERE, ONE, name, 0.0) == (Start(1, name),)
        last = builds.built(1, 1, 0.0)
    assert last[-2:] == (Dismiss(1, WORN), Hire(2, HERE))
    assert builds.gone(1, "worker exited with status 0", 0.0) == ()


def test_a_full_house_makes_room_by_an_idle_builder() -> None:
    builds = book(builders_max=1)
    builds.ask(HERE, ONE, key("k"), 0.0)
    builds.ready(1, 0.0)
    assert builds.ask(ELSEWHERE, TWO, key("k", "b"), 0.0) == ()
    assert builds.built(1, 1, 1.0)[-1] == Dismiss(1, ROOM)
    assert builds.gone(1, "", 1.0) == (Hire(2, ELSEWHERE),)


def test_what_goes_from_the_cache_goes_after_it_was_delivered() -> None:
    builds = BuildBook(
        ModuleCache(bytes_max=5, tenant_bytes_max=5), build_s=1, idle_s=1, builders_max=1
    )
    builds.ask(HERE, ONE, key("k"), 0.0)
    builds.ready(1, 0.0)
    assert builds.built(1, 6, 0.0) == (Deliver(ONE, key("k")), Forget(key("k")), Evict(key("k")))


class World:
    """Obeys a book at random, and sees that it asks for nothing impossible."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.book = book(builders_max=3, cache_bytes=5)
        self.starting: list[int] = []
        self.building: dict[int, ModuleKey] = {}
        self.idle: set[int] = set()
        self.ending: set[int] = set()
        self.waiting: set[Waiter] = set()
        self.programs: set[ModuleKey] = set()
        self.modules: set[ModuleKey] = set()

    def obey(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Hire(builder=builder):
                    self.starting.append(builder)
                case Start(builder=builder, key=wanted):
                    self.idle.remove(builder)
                    assert wanted in self.programs
                    self.building[builder] = wanted
                case Dismiss(builder=builder):
                    self.idle.remove(builder)
                    self.ending.add(builder)
                case Doom(builder=builder):
                    assert builder in self.building
                    self.ending.add(builder)
                case Deliver(waiter=waiter, key=wanted):
                    assert wanted in self.modules
                    self.waiting.remove(waiter)
                case Fail(waiter=waiter):
                    self.waiting.remove(waiter)
                case Forget(key=wanted):
                    self.programs.remove(wanted)
                case Evict(key=wanted):
                    self.modules.remove(wanted)
        assert self.book.statistics().builders <= 3
        assert self.book.cache.statistics().entries == len(self.modules)

    def act(self, choice: int, which: int) -> None:
        place = (HERE, ELSEWHERE)[which % 2]
        match choice:
            case 0:
                waiter = Waiter(which, 1)
                if waiter not in self.waiting:
                    wanted = key(str(which % 5), place.tenant)
                    self.waiting.add(waiter)
                    self.programs.add(wanted)
                    self.obey(self.book.ask(place, waiter, wanted, self.now_s))
            case 1 if self.starting:
                builder = self.starting.pop()
                self.idle.add(builder)
                self.obey(self.book.ready(builder, self.now_s))
            case 2 if self.building:
                builder, wanted = self.building.popitem()
                if builder in self.ending:
                    self.ending.remove(builder)
                    self.obey(self.book.gone(builder, "killed", self.now_s))
                    return
                self.idle.add(builder)
                self.modules.add(wanted)
                self.obey(self.book.built(builder, 1 + which % 3, self.now_s))
            case 3:
                self.lose()
            case 4:
                self.now_s += which
                self.obey(self.book.expire(self.now_s))
            case 5:
                gone = {waiter for waiter in self.waiting if waiter.worker == which}
                self.waiting -= gone
                self.obey(self.book.waiter_gone(which))
            case 6:
                self.find_gone()
            case 7:
                self.fail()
            case _:
                pass

    def find_gone(self) -> None:
        """Find a builder gone that was just given a program."""
        for builder in [each for each in self.building if each not in self.ending][:1]:
            del self.building[builder]
            self.ending.add(builder)
            self.obey(self.book.not_begun(builder, self.now_s))

    def fail(self) -> None:
        """Let a build fail, and its builder end with that."""
        for builder in [each for each in self.building if each not in self.ending][:1]:
            del self.building[builder]
            self.idle.add(builder)
            failure = Failure(int(Code.COMPILE), "no memory")
            self.obey(self.book.failed(builder, failure, self.now_s, last=True))

    def lose(self) -> None:
        for builders in (self.ending, self.idle, set(self.starting), set(self.building)):
            for builder in list(builders)[:1]:
                self.ending.discard(builder)
                self.idle.discard(builder)
                self.building.pop(builder, None)
                self.starting = [each for each in self.starting if each != builder]
                self.obey(self.book.gone(builder, "killed", self.now_s))
                return

    def settle(self) -> None:
        """Let everything go well from now on."""
        for _ in range(100):
            for choice in (1, 2, 4):
                self.act(choice, 1)
            for builder in list(self.ending - set(self.building)):
                self.ending.remove(builder)
                self.obey(self.book.gone(builder, "", self.now_s))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 70)), max_size=60))
def test_whatever_happens_everyone_is_answered(acts: list[tuple[int, int]]) -> None:
    world = World()
    for choice, which in acts:
        world.act(choice, which)
    world.settle()
    assert not world.waiting
    assert not world.programs
    assert not world.book.statistics().waiting


@pytest.mark.parametrize("lost", [1, 99])
def test_a_builder_that_nobody_knows_changes_nothing(lost: int) -> None:
    builds = book()
    assert builds.gone(lost, "", 0.0) == ()
    assert builds.next_deadline_s() is None
