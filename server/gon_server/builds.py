"""The book of builds: who waits for which program, which builder builds it, when builders come and
go.

A program that a tenant has asked for before is delivered from the cache. Any other is built once,
however many wait for it, by a builder of that tenant on that unit: one that is free, else a new
one. A builder builds one program at a time; what it dies of is said to those who waited for that
program, and ends nothing else. Failures are not kept.

Rules: pure, (request, now) → effects, which are to be obeyed in their order. Builders are numbered
here; a waiting worker by the number it has. Every wait has an end: `expire` finds it.
Must not know: processes, files, leases, how a program is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gon.errors import Code
from gon.limits import (
    BUILD_PATIENCE_S,
    BUILD_QUEUE_S,
    BUILDERS_PER_UNIT_MAX,
    BUILDS_PER_BUILDER_MAX,
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
from gon_server.modules import ModuleCache, ModuleKey
from gon_server.pool import pause_s

IDLE = "nobody has needed it"
WORN = "it has built enough"
SPENT = "it ends by itself"
ROOM = "another tenant needs a builder"


@dataclass(frozen=True, slots=True)
class BuildStatistics:
    """What builders have done, and how many there are."""

    built: int
    failed: int
    builders: int
    waiting: int


@dataclass(slots=True)
class _Builder:
    """`since_s` is when it began what it does: start, build, or be idle."""

    place: Place
    since_s: float
    ready: bool = False
    ending: bool = False
    key: ModuleKey | None = None
    builds: int = 0

    @property
    def free(self) -> bool:
        return self.ready and not self.ending and self.key is None


@dataclass(slots=True)
class _Wanted:
    """`patient_until_s` is when it is worth a builder more, if all are busy."""

    place: Place
    since_s: float
    patient_until_s: float
    waiters: list[Waiter] = field(default_factory=list[Waiter])
    builder: int | None = None


@dataclass(slots=True)
class _Kept:
    """A place that keeps a builder, and how it has fared."""

    failures: int = 0
    not_before_s: float = float("-inf")


class BuildBook:
    """All builds of one host."""

    def __init__(
        self, cache: ModuleCache, *, build_s: float, idle_s: float, builders_max: int
    ) -> None:
        self.cache = cache
        self._build_s = build_s
        self._idle_s = idle_s
        self._builders_max = builders_max
        self._builders: dict[int, _Builder] = {}
        self._wanted: dict[ModuleKey, _Wanted] = {}  # in the order in which they were asked for
        self._kept: dict[Place, _Kept] = {}
        self._expired_s = float("-inf")
        self._count = 0
        self._built = 0
        self._failed = 0

    def __repr__(self) -> str:
        busy = sum(builder.key is not None for builder in self._builders.values())
        return (
            f"BuildBook({len(self._builders)} builders, {busy} busy, {len(self._wanted)} wanted, "
            f"{self.cache!r})"
        )

    def statistics(self) -> BuildStatistics:
        waiting = sum(len(wanted.waiters) for wanted in self._wanted.values())
        return BuildStatistics(self._built, self._failed, len(self._builders), waiting)

    # Who waits ------------------------------------------------------------------------------------
    def ask(self, place: Place, waiter: Waiter, key: ModuleKey, now_s: float) -> tuple[Effect, ...]:
        """Let a worker wait for a module. `Forget` follows once its program is not needed."""
        wanted = self._wanted.get(key)
        if wanted is not None:
            wanted.waiters.append(waiter)
            return ()
        if self.cache.find(key):
            return (Deliver(waiter, key), Forget(key))
        self._wanted[key] = _Wanted(place, now_s, now_s + BUILD_PATIENCE_S, [waiter])
        return tuple(self._advance(now_s))

    def waiter_gone(self, worker: int) -> tuple[Effect, ...]:
        """Note that a worker waits no more; what is being built for it is still kept."""
        effects: list[Effect] = []
        for key, wanted in list(self._wanted.items()):
            wanted.waiters = [each for each in wanted.waiters if each.worker != worker]
            if not wanted.waiters and wanted.builder is None:
                del self._wanted[key]
                effects.append(Forget(key))
        return tuple(effects)

    # Builders -------------------------------------------------------------------------------------
    def keep(self, place: Place, now_s: float) -> tuple[Effect, ...]:
        """Have a builder there from now on, whether it is needed or not."""
        self._kept.setdefault(place, _Kept())
        return tuple(self._advance(now_s))

    def stop(self) -> None:
        """Keep no builders that nobody needs from now on."""
        self._kept.clear()

    def ready(self, builder: int, now_s: float) -> tuple[Effect, ...]:
        """Note that a builder can build."""
        found = self._builders.get(builder)
        if found is not None:
            found.ready = True
            found.since_s = now_s
        return tuple(self._advance(now_s))

    def built(self, builder: int, size_bytes: int, now_s: float) -> tuple[Effect, ...]:
        """Note that the builder has built what it was to build."""
        key, waiters = self._finish(builder, now_s)
        self._built += 1
        deliveries = [Deliver(waiter, key) for waiter in waiters]
        evicted = [Evict(each) for each in self.cache.keep(key, size_bytes)]
        return (*deliveries, Forget(key), *evicted, *self._advance(now_s))

    def failed(
        self, builder: int, failure: Failure, now_s: float, *, last: bool = False
    ) -> tuple[Effect, ...]:
        """Note that what the builder was to build cannot be; with `last`, that it now ends."""
        key, waiters = self._finish(builder, now_s)
        self._failed += 1
        effects: list[Effect] = [*(Fail(waiter, failure) for waiter in waiters), Forget(key)]
        if last:
            self._builders[builder].ending = True
            effects.append(Dismiss(builder, SPENT))
        return (*effects, *self._advance(now_s))

    def not_begun(self, builder: int, now_s: float) -> tuple[Effect, ...]:
        """Note that a builder was gone before it had its program: another one gets that."""
        found = self._builders.get(builder)
        if found is not None and found.key is not None:
            self._wanted[found.key].builder = None
            found.key, found.ending = None, True
        return tuple(self._advance(now_s))

    def gone(self, builder: int, reason: str, now_s: float) -> tuple[Effect, ...]:
        """Note that a builder is no more: what it was building has ended it, or it never began."""
        found = self._builders.pop(builder, None)
        if found is None:
            return ()
        effects: list[Effect] = []
        kept = self._kept.get(found.place)
        if kept is not None and not (found.ending and found.key is None):
            kept.failures += 1
            kept.not_before_s = now_s + pause_s(kept.failures)
        if found.key is not None:
            self._failed += 1
            text = f"the compiler did not survive this program: {reason.removeprefix('worker ')}"
            failure = Failure(int(Code.COMPILE), text)
            effects += self._drop({found.key: failure})
        elif not found.ready and not self._of(found.place):
            failure = Failure(int(Code.DEVICE), f"nothing can be built: no builder: {reason}")
            effects += self._drop(dict.fromkeys(self._queued(found.place), failure))
        elif not found.ready:
            # Another one there is busy; at once, the next would fail like this one.
            for key in self._queued(found.place):
                self._wanted[key].patient_until_s = now_s + BUILD_PATIENCE_S
        return (*effects, *self._advance(now_s))

    # Time -----------------------------------------------------------------------------------------
    def expire(self, now_s: float) -> tuple[Effect, ...]:
        """End every wait that is over."""
        self._expired_s = now_s
        effects: list[Effect] = []
        for number, builder in self._builders.items():
            if builder.ending:
                continue
            if builder.key is not None and now_s >= builder.since_s + self._build_s:
                builder.ending = True
                effects.append(Doom(number, f"it took longer than {self._build_s:g} s"))
            elif builder.free and now_s >= builder.since_s + self._idle_s and self._spare(builder):
                builder.ending = True
                effects.append(Dismiss(number, IDLE))
        busy = Failure(
            int(Code.LIMIT_EXCEEDED),
            f"the builders of this host are busy; none was free within {BUILD_QUEUE_S:g} s",
        )
        late = {
            key: busy
            for key, wanted in self._wanted.items()
            if wanted.builder is None and now_s >= wanted.since_s + BUILD_QUEUE_S
        }
        return (*effects, *self._drop(late), *self._advance(now_s))

    def next_deadline_s(self) -> float | None:
        """Return when `expire` may next have something to do, if nothing happens until then."""
        return min((at for at in self._times() if at > self._expired_s), default=None)

    def _times(self) -> Iterator[float]:
        for builder in self._builders.values():
            if builder.key is not None:
                yield builder.since_s + self._build_s
            elif builder.free:
                yield builder.since_s + self._idle_s
        for wanted in self._wanted.values():
            if wanted.builder is None:
                yield wanted.patient_until_s
                yield wanted.since_s + BUILD_QUEUE_S
        for kept in self._kept.values():
            yield kept.not_before_s

    # How it goes on -------------------------------------------------------------------------------
    def _advance(self, now_s: float) -> Iterator[Effect]:
        """End builders that have built enough, give free ones work, hire those that are missing."""
        for number, builder in self._builders.items():
            if builder.free and builder.builds >= BUILDS_PER_BUILDER_MAX:
                builder.ending = True
                yield Dismiss(number, WORN)
        for key, wanted in self._wanted.items():
            if wanted.builder is None:
                free = self._free_at(wanted.place)
                if free is not None:
                    yield self._start(free, key, wanted, now_s)
                elif self._worth_one_more(wanted, now_s):
                    yield from self._hire(wanted.place, now_s)
        for place, kept in self._kept.items():
            if not self._of(place) and now_s >= kept.not_before_s:
                yield from self._hire(place, now_s)

    def _start(self, number: int, key: ModuleKey, wanted: _Wanted, now_s: float) -> Start:
        builder = self._builders[number]
        builder.key, builder.since_s, wanted.builder = key, now_s, number
        return Start(number, key)

    def _worth_one_more(self, wanted: _Wanted, now_s: float) -> bool:
        """Return whether a place needs another builder for what waits there."""
        there = self._of(wanted.place)
        if not there:
            return True
        patient = now_s < wanted.patient_until_s
        coming = any(not builder.ready for builder in there)
        return not patient and not coming and len(there) < BUILDERS_PER_UNIT_MAX

    def _hire(self, place: Place, now_s: float) -> Iterator[Effect]:
        if len(self._builders) < self._builders_max:
            self._count += 1
            self._builders[self._count] = _Builder(place, now_s)
            yield Hire(self._count, place)
            return
        # One that ends makes room; `gone` comes back here.
        if any(builder.ending for builder in self._builders.values()):
            return
        other = self._free_elsewhere(place)
        if other is not None and any(wanted.place == place for wanted in self._wanted.values()):
            self._builders[other].ending = True
            yield Dismiss(other, ROOM)

    def _finish(self, number: int, now_s: float) -> tuple[ModuleKey, list[Waiter]]:
        """Make a builder idle; return what it was to build, and who waits for that."""
        builder = self._builders[number]
        assert builder.key is not None, f"builder {number} builds nothing"
        key, builder.key = builder.key, None
        builder.since_s = now_s
        builder.builds += 1
        kept = self._kept.get(builder.place)
        if kept is not None:
            kept.failures = 0
        return key, self._wanted.pop(key).waiters

    def _drop(self, failures: dict[ModuleKey, Failure]) -> Iterator[Effect]:
        for key, failure in failures.items():
            for waiter in self._wanted.pop(key).waiters:
                yield Fail(waiter, failure)
            yield Forget(key)

    def _spare(self, builder: _Builder) -> bool:
        return builder.place not in self._kept or len(self._of(builder.place)) > 1

    def _queued(self, place: Place) -> Iterable[ModuleKey]:
        return [k for k, w in self._wanted.items() if w.builder is None and w.place == place]

    def _of(self, place: Place) -> list[_Builder]:
        """Return the builders of a place that are not about to end."""
        return [b for b in self._builders.values() if b.place == place and not b.ending]

    def _free_at(self, place: Place) -> int | None:
        return next((n for n, b in self._builders.items() if b.free and b.place == place), None)

    def _free_elsewhere(self, place: Place) -> int | None:
        return next((n for n, b in self._builders.items() if b.free and b.place != place), None)
