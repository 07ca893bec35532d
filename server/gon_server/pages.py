"""The memory of a lease's buffers in one file, which the lease's client may map too.

Pages of 2 MiB are what makes such memory as good as the worker's own: a kernel that strides, and
whoever touches it first, is 1.5 to 4 times as slow on small ones (measured). Linux gives a file in
memory none by default, but collapses small ones into one when it is asked to (since 6.1), whatever
its settings are, where one of them is there. So a page is touched once, then collapsed.

Rules: what is given back leaves the file, for the host to have and for the next buffer to be zero,
page by page; a page that another buffer is in too is overwritten instead. Nothing here believes
what the memory holds. Where no such pages are to be had there is no memory from here: buffers are
then the worker's own. Must not know: devices, links, who maps the file.
"""

from __future__ import annotations

import ctypes
import fcntl
import logging
import mmap
import os
import threading
import weakref
from bisect import insort
from collections import Counter, deque
from typing import Final

import numpy as np
import numpy.typing as npt

from gon.mapped_limits import (
    HUGE_PAGE_BYTES,
    MAPPED_BYTES_MAX,
    MAPPED_GRANULE_BYTES,
    MAPPED_SPARE_PAGES,
)
from gon.transport.shm_loan import LENT_SEALS

_log = logging.getLogger("gond.worker")

# In Linux's <asm-generic/mman-common.h>; Python has no names for these.
COLLAPSE: Final = 25
_MAP_FIXED: Final = 0x10

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Pages:
    """Memory of `size_bytes`; `open_pages` makes it."""

    def __init__(self, size_bytes: int) -> None:
        """Raises OSError where there is no such memory."""
        self.size_bytes = _rounded(size_bytes, HUGE_PAGE_BYTES)
        self.fd = os.memfd_create("gon-device", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, self.size_bytes)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, LENT_SEALS)
        self._room, self._start = _map_aligned(self.fd, self.size_bytes)
        whole = memoryview(self._room)
        self._memory = whole[self._start : self._start + self.size_bytes]
        # What is free, as ranges in their order; how many buffers are in each page in use, and
        # pages that are there for the next one: a new page costs some 0.3 ms.
        self._free = [(0, self.size_bytes)]
        self._uses: Counter[int] = Counter()
        self._spare: set[int] = set()
        self._lock = threading.Lock()
        self._returned: deque[tuple[int, int]] = deque()

    def __repr__(self) -> str:
        return f"Pages({len(self._uses)} of {self.size_bytes // HUGE_PAGE_BYTES} in use)"

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)

    @property
    def used_bytes(self) -> int:
        """What of the file is there now."""
        return (len(self._uses) + len(self._spare)) * HUGE_PAGE_BYTES

    def drop_spare(self) -> None:
        """Keep no page that nobody is in."""
        with self._lock:
            for page in self._spare:
                self._remove(page, page + 1)
            self._spare.clear()

    def take(self, size_bytes: int) -> tuple[int, npt.NDArray[np.uint8]] | None:
        """Return where `size_bytes` zeroed bytes begin, and the bytes; None where there is no room
        for them. They are given back when nothing refers to them any more.
        """
        with self._lock:
            self._release_returned()
            start = self._find(_rounded(size_bytes, MAPPED_GRANULE_BYTES))
            if start is None:
                return None
            end = start + _rounded(size_bytes, MAPPED_GRANULE_BYTES)
            if not self._fill(start, end):
                self._release(start, end, keep=False)
                return None
        # The array is what whoever uses the memory refers to in the end.
        array = np.frombuffer(self._memory[start : start + size_bytes], np.uint8)
        weakref.finalize(array, self._give_back, start, end).atexit = False
        self._collect()
        return start, array

    def _find(self, size_bytes: int) -> int | None:
        """Take the first free range of that size; return where it begins."""
        for index, (start, end) in enumerate(self._free):
            if end - start >= size_bytes:
                rest = [(start + size_bytes, end)] if end - start > size_bytes else []
                self._free[index : index + 1] = rest
                return start
        return None

    def _fill(self, start: int, end: int) -> bool:
        """Let the range be there, all zeros; return False where there are no pages for it."""
        fresh: list[int] = []
        for page in _pages_of(start, end):
            self._uses[page] += 1
            if self._uses[page] == 1 and page not in self._spare:
                fresh.append(page)
            else:
                self._spare.discard(page)
                begin = max(start, page * HUGE_PAGE_BYTES)
                size = min(end, (page + 1) * HUGE_PAGE_BYTES) - begin
                ctypes.memset(ctypes.addressof(self._at(begin)), 0, size)
        try:
            for first, last in _runs(fresh):
                self._remove(first, last)  # what a client has left there
                for page in range(first, last):
                    self._memory[page * HUGE_PAGE_BYTES] = 0
                self._advise(COLLAPSE, first, last)
        except OSError as error:
            _log.debug("no pages of 2 MiB: %s", error)
            return False
        return True

    def _at(self, offset: int) -> ctypes.c_char:
        return ctypes.c_char.from_buffer(self._room, self._start + offset)

    def _advise(self, advice: int, first: int, last: int) -> None:
        # mmap's own holds the GIL, and this may take seconds for gigabytes.
        place, size = self._at(first * HUGE_PAGE_BYTES), (last - first) * HUGE_PAGE_BYTES
        if _libc.madvise(ctypes.addressof(place), size, advice):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def _remove(self, first: int, last: int) -> None:
        self._advise(mmap.MADV_REMOVE, first, last)

    def _give_back(self, start: int, end: int) -> None:
        """Take a range back: from a finalizer, so on any thread and in the middle of anything."""
        self._returned.append((start, end))
        self._collect()

    def _collect(self) -> None:
        """Release what was given back, unless somebody is about to."""
        while self._returned and self._lock.acquire(blocking=False):
            try:
                self._release_returned()
            finally:
                self._lock.release()

    def _release_returned(self) -> None:
        while self._returned:
            self._release(*self._returned.popleft())

    def _release(self, start: int, end: int, *, keep: bool = True) -> None:
        """Let pages go that nobody is in any more, but for a few, and the range be free."""
        empty: list[int] = []
        for page in _pages_of(start, end):
            self._uses[page] -= 1
            if not self._uses[page]:
                del self._uses[page]
                if keep and len(self._spare) < MAPPED_SPARE_PAGES:
                    self._spare.add(page)
                else:
                    empty.append(page)
        for first, last in _runs(empty):
            self._remove(first, last)
        insort(self._free, (start, end))
        merged: list[tuple[int, int]] = []
        for begin, finish in self._free:
            if merged and merged[-1][1] == begin:
                merged[-1] = (merged[-1][0], finish)
            else:
                merged.append((begin, finish))
        self._free = merged


def open_pages(size_bytes: int) -> Pages | None:
    """Return memory for buffers of so many bytes, None where this host gives none that is as good
    as a worker's own.
    """
    if size_bytes > MAPPED_BYTES_MAX - HUGE_PAGE_BYTES:
        return None
    try:
        pages = Pages(size_bytes)
    except (OSError, ValueError) as error:
        _log.info("device memory is not lent: %s", error)
        return None
    if pages.take(HUGE_PAGE_BYTES) is None:
        _log.info("device memory is not lent: this host gives files no pages of 2 MiB")
        return None
    pages.drop_spare()
    return pages


def _map_aligned(fd: int, size_bytes: int) -> tuple[mmap.mmap, int]:
    """Map a file at an address that pages of 2 MiB may be at: within addresses that are reserved
    first, and given back with what lies in them. Return these, and where in them it begins.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    room = mmap.mmap(-1, size_bytes + HUGE_PAGE_BYTES, flags=flags)
    base = ctypes.addressof(ctypes.c_char.from_buffer(room))
    start = -base % HUGE_PAGE_BYTES
    fixed = mmap.MAP_SHARED | _MAP_FIXED
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    if _libc.mmap(base + start, size_bytes, protection, fixed, fd, 0) != base + start:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return room, start


def _rounded(size_bytes: int, unit_bytes: int) -> int:
    return -(-size_bytes // unit_bytes) * unit_bytes


def _pages_of(start: int, end: int) -> range:
    return range(start // HUGE_PAGE_BYTES, -(-end // HUGE_PAGE_BYTES))


def _runs(pages: list[int]) -> list[tuple[int, int]]:
    """Return pages that follow each other as ranges."""
    runs: list[tuple[int, int]] = []
    for page in pages:
        if runs and runs[-1][1] == page:
            runs[-1] = (runs[-1][0], page + 1)
        else:
            runs.append((page, page + 1))
    return runs
