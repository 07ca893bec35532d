"""The book of contents: whose they are, which go, and who waits for one that is arriving."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gon.limits import CONTENT_BYTES_MAX, CONTENTS_ARRIVING_MAX
from gon_server.content_book import (
    Asker,
    ContentBook,
    ContentKey,
    Effect,
    Open,
    Refuse,
    Remove,
    Store,
    Thank,
)


def key(name: int, tenant: str = "a") -> ContentKey:
    return ContentKey(tenant, name.to_bytes(4, "little"))


def book(bytes_max: int = 1000, tenant_bytes_max: int = 1000) -> ContentBook:
    return ContentBook(bytes_max=bytes_max, tenant_bytes_max=tenant_bytes_max)


def put(to: ContentBook, name: ContentKey, size: int = 100) -> tuple[Effect, ...]:
    assert to.offer(1, name, size) == (Store(1, name, size),)
    return to.stored(name)


def test_what_is_stored_is_found_by_its_tenant_alone() -> None:
    made = book()
    assert made.find(Asker(1, 1), key(1), 100) == (Refuse(Asker(1, 1)),)
    assert put(made, key(1)) == (Thank(1),)
    assert made.find(Asker(1, 2), key(1), 100) == (Open(Asker(1, 2), key(1), 100),)
    assert made.find(Asker(2, 1), key(1, "b"), 100) == (Refuse(Asker(2, 1)),)
    # Nor does another tenant's offer go another way because of it.
    assert made.offer(2, key(1, "b"), 100) == (Store(2, key(1, "b"), 100),)


def test_who_asks_for_one_that_is_arriving_waits_for_it() -> None:
    made = book()
    made.offer(1, key(1), 100)
    assert made.find(Asker(2, 7), key(1), 100) == ()
    assert made.find(Asker(3, 8), key(1), 100) == ()
    assert made.find(Asker(4, 9), key(1, "b"), 100) == (Refuse(Asker(4, 9)),)
    made.worker_gone(3)
    assert made.stored(key(1)) == (Thank(1), Open(Asker(2, 7), key(1), 100))


def test_one_that_is_not_what_it_was_to_be_is_nobodys() -> None:
    made = book()
    made.offer(1, key(1), 100)
    made.find(Asker(2, 7), key(1), 100)
    assert made.refused(key(1)) == (Thank(1), Refuse(Asker(2, 7)))
    assert made.find(Asker(2, 8), key(1), 100) == (Refuse(Asker(2, 8)),)


def test_an_offer_of_what_is_there_is_dropped() -> None:
    made = book()
    made.offer(1, key(1), 100)
    assert made.offer(2, key(1), 100) == (Thank(2),)
    made.stored(key(1))
    assert made.offer(2, key(1), 100) == (Thank(2),)


def test_an_offer_too_large_to_keep_is_dropped() -> None:
    assert book(1000, 99).offer(1, key(1), 100) == (Thank(1),)
    assert book(99, 1000).offer(1, key(1), 100) == (Thank(1),)
    assert book(1 << 40, 1 << 40).offer(1, key(1), CONTENT_BYTES_MAX + 1) == (Thank(1),)
    assert book().offer(1, key(1), 0) == (Thank(1),)


def test_not_more_than_may_arrive_at_once_and_half_of_it_is_one_tenants() -> None:
    made = book(1 << 40, 1 << 40)
    half = CONTENTS_ARRIVING_MAX // 2
    for tenant in ("a", "b"):
        for name in range(half):
            assert made.offer(1, key(name, tenant), 1) == (Store(1, key(name, tenant), 1),)
        assert made.offer(1, key(half, tenant), 1) == (Thank(1),)
    assert made.offer(1, key(1, "c"), 1) == (Thank(1),)
    made.stored(key(1, "a"))
    assert made.offer(1, key(1, "c"), 1) == (Store(1, key(1, "c"), 1),)


def test_what_was_used_longest_ago_goes_first() -> None:
    made = book(300)
    for name in (1, 2, 3):
        put(made, key(name))
    made.find(Asker(1, 1), key(1), 100)
    assert put(made, key(4)) == (Thank(1), Remove(key(2)))
    assert made.keys() == (key(3), key(1), key(4))


def test_a_tenant_that_has_too_much_loses_its_own() -> None:
    made = book(1000, 200)
    for each in (key(1, "b"), key(1), key(2)):
        put(made, each)
    assert put(made, key(3)) == (Thank(1), Remove(key(1)))


def test_what_was_kept_before_is_taken_as_far_as_there_is_room() -> None:
    made = book(250)
    assert made.restore([(key(1), 100), (key(2), 100), (key(3), 100)]) == (Remove(key(1)),)
    assert made.keys() == (key(2), key(3))


def test_a_content_that_is_lost_is_not_asked_for_again() -> None:
    made = book()
    put(made, key(1))
    assert made.lost(Asker(1, 1), key(1)) == (Refuse(Asker(1, 1)), Remove(key(1)))
    assert made.lost(Asker(2, 2), key(1)) == (Refuse(Asker(2, 2)),)
    assert made.find(Asker(1, 3), key(1), 100) == (Refuse(Asker(1, 3)),)
    assert put(made, key(1)) == (Thank(1),)


KEYS = st.builds(key, st.integers(0, 5), st.sampled_from("ab"))
SIZES = st.integers(1, 120)
BYTES_MAX, TENANT_BYTES_MAX = 300, 200


class Model(RuleBasedStateMachine):
    """The book beside a plain list: every question and every offer is answered exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.book = book(BYTES_MAX, TENANT_BYTES_MAX)
        self.kept: OrderedDict[ContentKey, int] = OrderedDict()
        self.arriving: dict[ContentKey, tuple[int, list[Asker]]] = {}
        self.asked = 0

    def evict(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            if isinstance(effect, Remove):
                del self.kept[effect.key]

    @rule(name=KEYS, worker=st.integers(1, 3))
    def find(self, name: ContentKey, worker: int) -> None:
        self.asked += 1
        asker = Asker(worker, self.asked)
        effects = self.book.find(asker, name, 1)
        if name in self.arriving:
            assert effects == ()
            self.arriving[name][1].append(asker)
        elif name in self.kept:
            assert effects == (Open(asker, name, 1),)
            self.kept.move_to_end(name)
        else:
            assert effects == (Refuse(asker),)

    @rule(name=KEYS, size=SIZES)
    def offer(self, name: ContentKey, size: int) -> None:
        effects = self.book.offer(1, name, size)
        if name in self.arriving or name in self.kept:
            assert effects == (Thank(1),)
        else:
            assert effects == (Store(1, name, size),)
            self.arriving[name] = size, []

    @rule(data=st.data(), sound=st.booleans())
    def arrive(self, data: st.DataObject, sound: bool) -> None:
        if not self.arriving:
            return
        name = data.draw(st.sampled_from(sorted(self.arriving, key=repr)))
        size, askers = self.arriving.pop(name)
        if sound:
            self.kept[name] = size
            effects = self.book.stored(name)
            self.evict(effects)
        else:
            effects = self.book.refused(name)
        assert effects.count(Thank(1)) == 1
        told = [effect.asker for effect in effects if isinstance(effect, Open | Refuse)]
        assert told == askers
        assert all(
            isinstance(e, Open) == (name in self.kept) for e in effects if hasattr(e, "asker")
        )

    @rule(worker=st.integers(1, 3))
    def gone(self, worker: int) -> None:
        self.book.worker_gone(worker)
        for _, askers in self.arriving.values():
            askers[:] = [asker for asker in askers if asker.worker != worker]

    @rule(name=KEYS)
    def lose(self, name: ContentKey) -> None:
        self.asked += 1
        effects = self.book.lost(Asker(1, self.asked), name)
        assert (Remove(name) in effects) == (name in self.kept)
        self.evict(effects)

    @invariant()
    def within_bounds_in_order(self) -> None:
        assert self.book.keys() == tuple(self.kept)
        assert sum(self.kept.values()) == self.book.statistics().size_bytes <= BYTES_MAX
        for tenant in "ab":
            mine = sum(size for name, size in self.kept.items() if name.tenant == tenant)
            assert mine <= TENANT_BYTES_MAX


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
