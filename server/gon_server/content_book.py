"""The book of contents: which are kept, which are on their way to the disk, who waits for one.

A content is found by its tenant and its digest, and by nothing else: one tenant's never answer
another's question. One that is arriving makes those who ask for it wait until it is there, or is
not. Whatever was used longest ago goes first, as in the cache of modules.

Rules: pure, (request) → effects, which are to be obeyed in their order. Every `Store` is followed
by `stored` or `refused`, and answered by `Thank`. Must not know: files, workers, what a digest is
of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from gon.limits import CONTENT_BYTES_MAX, CONTENTS_ARRIVING_MAX, CONTENTS_KEPT_MAX
from gon_server.modules import CacheStatistics, ModuleCache, ModuleKey

# Whose it is, and its digest.
ContentKey: TypeAlias = ModuleKey


@dataclass(frozen=True, slots=True)
class Asker:
    """A question: the worker's number, and the question's own."""

    worker: int
    number: int


@dataclass(frozen=True, slots=True)
class Open:
    """Effect: give the asker the content's file, or tell `lost` and that there is none."""

    asker: Asker
    key: ContentKey
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Effect: tell the asker that there is none."""

    asker: Asker


@dataclass(frozen=True, slots=True)
class Store:
    """Effect: look at what was offered and write it down; tell `stored` or `refused`."""

    worker: int
    key: ContentKey
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Thank:
    """Effect: drop what was offered, and tell the worker that it may offer more."""

    worker: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Effect: the content is not kept any more."""

    key: ContentKey


Effect: TypeAlias = Open | Refuse | Store | Thank | Remove


@dataclass(slots=True)
class _Arriving:
    size_bytes: int
    worker: int
    askers: list[Asker] = field(default_factory=list[Asker])


class ContentBook:
    """All contents of one host, within `bytes_max` in all and `tenant_bytes_max` for a tenant."""

    def __init__(
        self, *, bytes_max: int, tenant_bytes_max: int, contents_max: int = CONTENTS_KEPT_MAX
    ) -> None:
        self._cache = ModuleCache(
            bytes_max=bytes_max, tenant_bytes_max=tenant_bytes_max, modules_max=contents_max
        )
        self._arriving: dict[ContentKey, _Arriving] = {}

    def __repr__(self) -> str:
        return f"ContentBook({len(self._arriving)} arriving, {self._cache!r})"

    def statistics(self) -> CacheStatistics:
        return self._cache.statistics()

    def keys(self) -> tuple[ContentKey, ...]:
        """Return what is kept, the one used longest ago first."""
        return self._cache.keys()

    def restore(self, found: Iterable[tuple[ContentKey, int]]) -> tuple[Effect, ...]:
        """Take what was kept before, with its sizes, the one used longest ago first."""
        effects: list[Effect] = []
        for key, size_bytes in found:
            effects += map(Remove, self._cache.keep(key, size_bytes))
        return tuple(effects)

    def find(self, asker: Asker, key: ContentKey, size_bytes: int) -> tuple[Effect, ...]:
        """Answer a question, now or once it is known."""
        arriving = self._arriving.get(key)
        if arriving is not None:
            arriving.askers.append(asker)
            return ()
        if self._cache.find(key):
            return (Open(asker, key, size_bytes),)
        return (Refuse(asker),)

    def offer(self, worker: int, key: ContentKey, size_bytes: int) -> tuple[Effect, ...]:
        """Take an offer, unless it is there, or more is arriving than may be."""
        if key in self._arriving or self._cache.has(key) or not self._has_room(key, size_bytes):
            return (Thank(worker),)
        self._arriving[key] = _Arriving(size_bytes, worker)
        return (Store(worker, key, size_bytes),)

    def stored(self, key: ContentKey) -> tuple[Effect, ...]:
        """Note that an offer is on the disk, and is what its digest says."""
        arrived = self._arriving.pop(key)
        gone = self._cache.keep(key, arrived.size_bytes)
        effects: list[Effect] = [Thank(arrived.worker), *map(Remove, gone)]
        for asker in arrived.askers:
            lost = key in gone
            effects.append(Refuse(asker) if lost else Open(asker, key, arrived.size_bytes))
        return tuple(effects)

    def refused(self, key: ContentKey) -> tuple[Effect, ...]:
        """Note that an offer could not be kept, or was not what it was to be."""
        arrived = self._arriving.pop(key)
        return (Thank(arrived.worker), *map(Refuse, arrived.askers))

    def lost(self, asker: Asker, key: ContentKey) -> tuple[Effect, ...]:
        """Note that a content's file is not what was kept, or is gone."""
        removed: tuple[Effect, ...] = (Remove(key),) if self._cache.drop(key) else ()
        return (Refuse(asker), *removed)

    def worker_gone(self, worker: int) -> None:
        """Note that a worker waits no more; what it has offered is still kept."""
        for arriving in self._arriving.values():
            arriving.askers[:] = [each for each in arriving.askers if each.worker != worker]

    def _has_room(self, key: ContentKey, size_bytes: int) -> bool:
        same = sum(each.tenant == key.tenant for each in self._arriving)
        return (
            0 < size_bytes <= CONTENT_BYTES_MAX
            and size_bytes <= self._cache.largest_bytes
            and len(self._arriving) < CONTENTS_ARRIVING_MAX
            and same < CONTENTS_ARRIVING_MAX // 2
        )
