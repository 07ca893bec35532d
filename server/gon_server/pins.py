"""Buffers that large reads still need, and which of those were given back meanwhile. Pure.

A large read is answered in pieces, and what is ordered with it by nothing, as the free of another
thread, comes between two of them; a piece may have to be sent again until it is acknowledged. So a
buffer that is freed in the middle lives until its reads are done, as contract 15 says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from gon.wire import ops


class Pins:
    """How many uses each buffer has; bounded as large reads and their pieces are."""

    def __init__(self) -> None:
        self._uses: Counter[int] = Counter()
        # Frees that are held up, by buffer.
        self.late: dict[int, ops.Free] = {}
        # Lets go what is not in use any more.
        self.look: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"Pins({len(self._uses)} buffers, {len(self.late)} to be freed)"

    def __len__(self) -> int:
        """Return how many buffers are in use."""
        return len(self._uses)

    def hold(self, buffer: int) -> None:
        self._uses[buffer] += 1

    def let_go(self, buffer: int) -> ops.Free | None:
        """Return the free that the last use of a buffer has held up, to be run now."""
        self._uses[buffer] -= 1
        if self._uses[buffer]:
            return None
        del self._uses[buffer]
        return self.late.pop(buffer, None)

    def holds_up(self, op: ops.Free) -> bool:
        """Return whether the buffer is in use; then `let_go` will give the op."""
        if op.buffer in self._uses:
            self.look()
        held = op.buffer in self._uses
        if held:
            self.late[op.buffer] = op
        return held
