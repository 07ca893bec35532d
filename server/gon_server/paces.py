"""Which waits, and which functions of engines, take long, by how long they took lately. Pure."""

from __future__ import annotations

from gon_server.limits import SHORT_WAITS, SLOW_WAIT_S


class Paces:
    """Which of some take long, by how long they took lately."""

    def __init__(self) -> None:
        # The ones that do; who goes a shorter way looks at this very set.
        self.slow: set[int] = set()
        # Short ones of what is slow, one after the other.
        self._short: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"Paces({len(self.slow)} slow)"

    def took(self, which: int, took_s: float) -> None:
        """Hear how long one took."""
        if took_s >= SLOW_WAIT_S:
            self.slow.add(which)
            self._short.pop(which, None)
        elif which in self.slow:
            short = self._short[which] = self._short.get(which, 0) + 1
            if short >= SHORT_WAITS:
                self.forget(which)

    def forget(self, which: int) -> None:
        """Forget one: it is not known to be slow."""
        self.slow.discard(which)
        self._short.pop(which, None)
