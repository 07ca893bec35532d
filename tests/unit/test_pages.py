"""Memory that buffers lie in and a client may map: zero when it is taken, gone when given back."""

from __future__ import annotations

import mmap
import os
import random

import numpy as np
import numpy.typing as npt
import pytest

from gon.limits import MIB
from gon.mapped_limits import HUGE_PAGE_BYTES, MAPPED_GRANULE_BYTES, MAPPED_SPARE_PAGES
from gon_server.pages import Pages, open_pages
from gon_server.sealed import empty
from tests.loans import SmallPages

SIZE_BYTES = 16 * MIB


def blocks_bytes(pages: Pages) -> int:
    """Return what the file takes of the host's memory."""
    return os.fstat(pages.fd).st_blocks * 512


@pytest.mark.parametrize("seed", range(3))
def test_what_is_taken_is_zero_apart_and_as_the_client_sees_it(seed: int) -> None:
    chance, pages = random.Random(seed), SmallPages(SIZE_BYTES)
    seen = np.frombuffer(mmap.mmap(pages.fd, SIZE_BYTES), np.uint8)
    held: list[tuple[int, npt.NDArray[np.uint8], int]] = []
    array: npt.NDArray[np.uint8] | None = None
    for step in range(1, 40):
        taken = pages.take(chance.randint(1, 3 * MIB))
        if taken is None or (held and chance.random() < 0.4):
            held.pop(chance.randrange(len(held)))
        if taken is None:
            continue
        place, array = taken
        assert not array.any()
        assert place % MAPPED_GRANULE_BYTES == 0
        mark = step % 255 + 1
        array[:] = mark
        assert (seen[place : place + array.size] == mark).all()
        held.append((place, array, mark))
        # A client may write where nothing is: that is zero all the same for who comes next.
        seen[chance.randrange(SIZE_BYTES)] |= 0
        assert all((each == value).all() for _, each, value in held)
    taken = array = None
    held.clear()
    assert pages.used_bytes <= MAPPED_SPARE_PAGES * HUGE_PAGE_BYTES
    assert blocks_bytes(pages) <= pages.used_bytes
    whole = pages.take(SIZE_BYTES)
    assert whole is not None, "all of it is in one piece again"


def test_what_a_client_left_where_nothing_was_is_gone() -> None:
    pages = SmallPages(SIZE_BYTES)
    seen = np.frombuffer(mmap.mmap(pages.fd, SIZE_BYTES), np.uint8)
    seen[:] = 7
    taken = pages.take(3 * MIB)
    assert taken is not None
    assert not taken[1].any()
    again = pages.take(MIB)
    assert again is not None
    assert not again[1].any()


def test_there_is_no_room_for_more_than_there_is() -> None:
    pages = SmallPages(SIZE_BYTES)
    assert pages.take(SIZE_BYTES + 1) is None
    taken = pages.take(SIZE_BYTES)
    assert taken is not None
    assert pages.take(1) is None


def test_the_file_can_neither_shrink_nor_grow_nor_be_sealed_further() -> None:
    pages = SmallPages(SIZE_BYTES)
    for size in (0, SIZE_BYTES + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(pages.fd, size)


def test_a_host_without_large_pages_lends_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gon_server.pages.COLLAPSE", 1 << 20)  # no such advice
    assert open_pages(SIZE_BYTES) is None


def test_a_file_that_is_emptied_holds_nothing_whoever_has_it_mapped() -> None:
    pages = SmallPages(SIZE_BYTES)
    taken = pages.take(4 * MIB)
    assert taken is not None
    taken[1][:] = 1
    empty(os.dup(pages.fd))
    assert blocks_bytes(pages) == 0
    assert not taken[1].any()
