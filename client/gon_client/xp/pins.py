"""What lives only because something is still to be made of it: bounded.

    loss.detach(), kept and not read ── node ──▶ … ──▶ large elements that nobody else looks at

Rules: what is noted is looked through only after so many bytes more, so that it costs little beside
the work on them. This knows storages, and posts nothing. The runner's lock is held.
"""

from __future__ import annotations

import weakref

from gon.array_limits import ARRAY_PINNED_BYTES_MAX
from gon_client.xp.storage import Storage


class Pins:
    """Storages on the device that nodes read."""

    def __init__(self) -> None:
        self._noted: dict[int, weakref.ref[Storage]] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"Pins({len(self._noted)} storages, {self._bytes} bytes since they were looked at)"

    def note(self, storage: Storage) -> None:
        """Note that a node reads elements which are there."""
        self._noted[id(storage)] = weakref.ref(storage)
        self._bytes += storage.size * storage.dtype.itemsize

    def due(self) -> list[Storage]:
        """Return what is to be made now, since too much lives for it alone; mostly nothing."""
        if self._bytes <= ARRAY_PINNED_BYTES_MAX:
            return []
        self._bytes = 0
        alive = [each for each in (ref() for ref in self._noted.values()) if each is not None]
        self._noted = {id(each): weakref.ref(each) for each in alive}
        pinned = [each for each in alive if each.buffer is not None and not each.arrays]
        if sum(each.size * each.dtype.itemsize for each in pinned) <= ARRAY_PINNED_BYTES_MAX:
            return []
        found: dict[int, Storage] = {}
        seen: set[int] = set()
        for each in pinned:
            _collect_ends(each, found, seen)
        return list(found.values())


def _collect_ends(storage: Storage, found: dict[int, Storage], seen: set[int]) -> None:
    """Collect what is to be made of elements and arrays look at."""
    for each in storage.waiting():
        if id(each) in seen:
            continue
        seen.add(id(each))
        if each.arrays:
            found[id(each)] = each
        else:
            _collect_ends(each, found, seen)
