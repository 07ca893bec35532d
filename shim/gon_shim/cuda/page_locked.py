"""Page-locked memory of the host: what copies to it come to as they come.

Any other memory a program may use, or free, as soon as such a copy returns (CUDA Driver API, "API
synchronization behavior"), so those wait.
"""

from __future__ import annotations

import bisect
import threading
from typing import TYPE_CHECKING, Final

from _gon_cuda import ffi, lib
from gon_shim.cuda.errors import require
from gon_shim.cuda.handles import number_of
from gon_shim.reads import Span

if TYPE_CHECKING:
    from _gon_cuda import CData


class PageLocked:
    """All of it, by addresses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starts: list[int] = []
        # With sizes, and what they end with.
        self._pieces: dict[int, tuple[CData, int, object]] = {}

    def allocate(self, size: int, owner: object) -> CData:
        """Return new memory; `owner` is what it ends with."""
        memory = ffi.new("char[]", size)
        start = number_of(memory)
        with self._lock:
            bisect.insort(self._starts, start)
            self._pieces[start] = memory, size, owner
        return memory

    def take(self, at: CData) -> tuple[CData, Span]:
        """Return the memory that begins there, and forget it. Raises CuError."""
        start = number_of(at)
        with self._lock:
            require(start in self._pieces, lib.CUDA_ERROR_INVALID_VALUE)
            return self._forgotten(start)

    def take_all(self, owner: object) -> list[tuple[CData, Span]]:
        """Return all memory of an owner, and forget it."""
        with self._lock:
            found = [start for start, piece in self._pieces.items() if piece[2] is owner]
            return [self._forgotten(start) for start in found]

    def _forgotten(self, start: int) -> tuple[CData, Span]:
        memory, size, _ = self._pieces.pop(start)
        self._starts.remove(start)
        return memory, Span(start, start + size)

    def holds(self, span: Span) -> bool:
        """Return whether all of that is page-locked."""
        with self._lock:
            index = bisect.bisect_right(self._starts, span.start) - 1
            start = self._starts[index] if index >= 0 else 0
            return index >= 0 and span.end <= start + self._pieces[start][1]


PAGE_LOCKED: Final = PageLocked()
