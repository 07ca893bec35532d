"""Reads on their way, and the memory of the program that they are still to fill.

The bytes of a write are taken when it is queued, those of a read come when they come; so whoever is
to use such memory next waits for the read first, as the order of the queue would have it. Which
queue the read is of does not matter: an event may have ordered the two.

Rules: a read is here once the stream has it, so none of these waits for the program.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final, NamedTuple

from gon.device import Pending
from gon.errors import GonError
from gon.limits import INLINE_BYTES_MAX
from gon.together import Together
from gon_shim.limits import READS_REMEMBERED


class Span(NamedTuple):
    """A range of the program's memory, by addresses."""

    start: int
    end: int

    @property
    def is_small(self) -> bool:
        """Whether a read into it is answered in the order of its stream."""
        return self.end - self.start <= INLINE_BYTES_MAX


class _Read(NamedTuple):
    owner: object
    span: Span | None
    pending: Pending


class Reads:
    """The reads of all queues, of whatever API."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[_Read] = []
        self._most = READS_REMEMBERED

    def __repr__(self) -> str:
        return f"Reads({len(self._all)})"

    def add(self, owner: object, span: Span | None, pending: Pending) -> None:
        """Remember a read until it is here; `owner` is whose it is."""
        if pending.done():
            return
        with self._lock:
            if len(self._all) >= self._most:
                self._all = [read for read in self._all if not read.pending.done()]
                self._most = max(READS_REMEMBERED, 2 * len(self._all))
            self._all.append(_Read(owner, span, pending))

    def settle_before(self, span: Span, *, reader: object | None = None) -> None:
        """Wait for reads into memory that a write takes next, or that a read of `reader`'s fills
        next.
        """
        if not self._all:
            return
        with self._lock:
            found = [read for read in self._all if _comes_first(read, span, reader)]
        for read in found:
            with suppress(GonError):  # its own event tells of it
                read.pending.wait()

    def settle(self, owner: object) -> None:
        """Wait for all reads of one owner. Raises what the first that failed does."""
        if not self._all:
            return
        with self._lock:
            found = [read.pending for read in self._all if read.owner is owner]
        try:
            Together(found).wait()
        finally:
            with self._lock:
                self._all = [read for read in self._all if not read.pending.done()]


def _comes_first(read: _Read, span: Span, reader: object | None) -> bool:
    earlier = read.span
    if earlier is None or earlier.end <= span.start or span.end <= earlier.start:
        return False
    # Another stream's answer may overtake it.
    return not (reader is read.owner and earlier.is_small and span.is_small)


READS: Final = Reads()
