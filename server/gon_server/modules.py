"""The book of built modules: which are kept, and which go when there are too many. Contents are
kept by the same rules (gon_server.content_book).

Rules: pure. Every tenant has its own, found by the content they were built from; one tenant's never
answer another's question, so that nobody learns what others run. Whatever was used longest ago goes
first: of a tenant that has too much its own, then of all. Must not know: files, workers, builders.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from gon.limits import MODULES_CACHED_MAX


@dataclass(frozen=True, slots=True)
class ModuleKey:
    """What a module is found by: whose it is, and a digest of all that it was built from."""

    tenant: str
    digest: bytes

    def __repr__(self) -> str:
        return f"{self.digest[:6].hex()} of {self.tenant}"


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What has been asked of the cache, and what is in it."""

    hits: int
    misses: int
    evicted: int
    entries: int
    size_bytes: int


@dataclass(slots=True)
class _Shelf:
    """One tenant's modules and their sizes, the one used longest ago first."""

    sizes: OrderedDict[bytes, int] = field(default_factory=OrderedDict[bytes, int])
    size_bytes: int = 0


class ModuleCache:
    """Decides what is kept, within `bytes_max` in all and `tenant_bytes_max` for each tenant; at
    most `modules_max`, of which a tenant may have half.
    """

    def __init__(
        self, *, bytes_max: int, tenant_bytes_max: int, modules_max: int = MODULES_CACHED_MAX
    ) -> None:
        self._bytes_max = bytes_max
        self._tenant_bytes_max = tenant_bytes_max
        self._modules_max = modules_max
        # All keys, the one used longest ago first.
        self._order: OrderedDict[ModuleKey, None] = OrderedDict()
        self._shelves: dict[str, _Shelf] = {}
        self._size_bytes = 0
        self._hits = 0
        self._misses = 0
        self._evicted = 0

    def __repr__(self) -> str:
        return (
            f"ModuleCache({len(self._order)} modules, {self._size_bytes} bytes, "
            f"{self._hits} hits, {self._misses} misses)"
        )

    def statistics(self) -> CacheStatistics:
        return CacheStatistics(
            self._hits, self._misses, self._evicted, len(self._order), self._size_bytes
        )

    @property
    def largest_bytes(self) -> int:
        """The most that one may have to be kept."""
        return min(self._tenant_bytes_max, self._bytes_max)

    def keys(self) -> tuple[ModuleKey, ...]:
        """Return what is kept, the one used longest ago first."""
        return tuple(self._order)

    def has(self, key: ModuleKey) -> bool:
        """Return whether the module is kept; that is no use of it."""
        return key in self._order

    def find(self, key: ModuleKey) -> bool:
        """Return whether the module is kept; it is then the one used last."""
        if key not in self._order:
            self._misses += 1
            return False
        self._hits += 1
        self._order.move_to_end(key)
        self._shelves[key.tenant].sizes.move_to_end(key.digest)
        return True

    def keep(self, key: ModuleKey, size_bytes: int) -> tuple[ModuleKey, ...]:
        """Keep one more; return those that go for it. One too large to keep goes at once."""
        assert key not in self._order, f"{key} is kept already"
        if size_bytes > self.largest_bytes:
            return (key,)
        shelf = self._shelves.setdefault(key.tenant, _Shelf())
        shelf.sizes[key.digest] = size_bytes
        shelf.size_bytes += size_bytes
        self._order[key] = None
        self._size_bytes += size_bytes
        gone: list[ModuleKey] = []
        while (
            shelf.size_bytes > self._tenant_bytes_max or len(shelf.sizes) > self._modules_max // 2
        ):
            gone.append(self._evict(ModuleKey(key.tenant, next(iter(shelf.sizes)))))
        while self._size_bytes > self._bytes_max or len(self._order) > self._modules_max:
            gone.append(self._evict(next(iter(self._order))))
        return tuple(gone)

    def drop(self, key: ModuleKey) -> bool:
        """Keep one no more; return whether it was kept."""
        if key not in self._order:
            return False
        self._remove(key)
        return True

    def _evict(self, key: ModuleKey) -> ModuleKey:
        self._remove(key)
        self._evicted += 1
        return key

    def _remove(self, key: ModuleKey) -> None:
        shelf = self._shelves[key.tenant]
        size_bytes = shelf.sizes.pop(key.digest)
        shelf.size_bytes -= size_bytes
        if not shelf.sizes:
            del self._shelves[key.tenant]
        del self._order[key]
        self._size_bytes -= size_bytes
