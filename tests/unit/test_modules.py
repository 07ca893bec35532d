"""The book of built modules: whose they are, and which go."""

from __future__ import annotations

from gon.limits import MODULES_CACHED_MAX
from gon_server.modules import CacheStatistics, ModuleCache, ModuleKey


def key(name: int, tenant: str = "a") -> ModuleKey:
    return ModuleKey(tenant, name.to_bytes(4, "little"))


def cache(bytes_max: int = 1000, tenant_bytes_max: int = 1000) -> ModuleCache:
    return ModuleCache(bytes_max=bytes_max, tenant_bytes_max=tenant_bytes_max)


def test_what_is_kept_is_found() -> None:
    book = cache()
    assert not book.find(key(1))
    assert book.keep(key(1), 100) == ()
    assert book.find(key(1))
    assert book.statistics() == CacheStatistics(1, 1, 0, 1, 100)


def test_tenants_do_not_find_each_others_modules() -> None:
    book = cache()
    book.keep(key(1, "a"), 100)
    assert not book.find(key(1, "b"))


def test_what_was_used_longest_ago_goes_first() -> None:
    book = cache(bytes_max=300)
    for name in (1, 2, 3):
        book.keep(key(name), 100)
    assert book.find(key(1))
    assert book.keep(key(4), 100) == (key(2),)
    assert book.keep(key(5), 200) == (key(3), key(1))
    assert book.statistics().size_bytes == 300


def test_a_tenant_that_has_too_much_loses_its_own() -> None:
    book = cache(bytes_max=1000, tenant_bytes_max=200)
    book.keep(key(1, "b"), 200)
    for name in (1, 2):
        book.keep(key(name, "a"), 100)
    assert book.keep(key(3, "a"), 100) == (key(1, "a"),)
    assert book.find(key(1, "b"))


def test_one_too_large_is_not_kept() -> None:
    book = cache(bytes_max=1000, tenant_bytes_max=200)
    book.keep(key(1), 100)
    assert book.keep(key(2), 201) == (key(2),)
    assert not book.find(key(2))
    assert book.find(key(1))


def test_where_few_files_may_be_open_few_modules_are_kept() -> None:
    book = ModuleCache(bytes_max=1000, tenant_bytes_max=1000, modules_max=4)
    book.keep(key(1, "b"), 1)
    book.keep(key(2, "b"), 1)
    gone = [each for name in range(3) for each in book.keep(key(name, "a"), 1)]
    assert gone == [key(0, "a")]
    assert book.keep(key(1, "c"), 1) == (key(1, "b"),)


def test_there_are_never_more_than_the_limits_say() -> None:
    book = cache(1 << 30, 1 << 30)
    tenants = [str(number) for number in range(4)]
    for number in range(MODULES_CACHED_MAX // 2 + 1):
        for tenant in tenants:
            book.keep(key(number, tenant), 1)
    told = book.statistics()
    assert told.entries == told.size_bytes == MODULES_CACHED_MAX
    kept = [key(number, "3") for number in range(MODULES_CACHED_MAX // 2 + 1)]
    assert sum(map(book.find, kept)) <= MODULES_CACHED_MAX // 2
