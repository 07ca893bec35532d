"""Memory for what the delay proxy holds, in blocks of one size for all its connections.

To touch memory for the first time takes longer than to receive into it. A wire has no such first
time, so some is touched before anything is relayed, and what was given back last is taken first:
a new connection then fills memory that an older one has just emptied, which the caches still hold.

Rules: grows as it must, by slabs, and never shrinks; who takes bounds how much is out.
"""

from __future__ import annotations

import mmap

from gon_client.bench.limits import DELAY_BLOCK_BYTES, DELAY_SLAB_BYTES


class Blocks:
    """Blocks of `size_bytes`, cut from slabs of `slab_bytes`; there is one slab from the start."""

    def __init__(
        self, size_bytes: int = DELAY_BLOCK_BYTES, slab_bytes: int = DELAY_SLAB_BYTES
    ) -> None:
        self._size_bytes, self._slab_bytes = size_bytes, slab_bytes
        self._free: list[memoryview] = []
        self._there = 0
        self._grow()
        for block in self._free:
            block[:] = bytes(size_bytes)

    def __repr__(self) -> str:
        return f"Blocks({len(self._free)} of {self._there} free)"

    @property
    def taken(self) -> int:
        """How many are out."""
        return self._there - len(self._free)

    def _grow(self) -> None:
        """Add a slab, of private memory in large pages where the system has them."""
        slab = mmap.mmap(-1, self._slab_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            slab.madvise(mmap.MADV_HUGEPAGE)
        whole, size = memoryview(slab), self._size_bytes
        count = self._slab_bytes // size
        self._free += [whole[at * size : (at + 1) * size] for at in reversed(range(count))]
        self._there += count

    def take(self) -> memoryview:
        """Return a block, the one that was given back last."""
        if not self._free:
            self._grow()
        return self._free.pop()

    def give_back(self, block: memoryview) -> None:
        """Give back a block that was taken."""
        self._free.append(block)
