"""The receiving turn: one thread has it, the others follow until something has changed.

Whoever waits for an answer takes the turn if it is free and receives, for all; those that find it
taken sleep until the one who has it hands it back or has settled answers. Giving the turn costs
nothing while nobody follows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from gon.forked import new_lock
from gon_client.interruption import Inside, Owned

# Whoever gives the turn back may be interrupted before it tells: a follower then looks by itself.
FOLLOW_S = 1.0


class Turn(Owned):
    """A lock whose losers wait for news instead of for the lock."""

    __slots__ = ("_changed", "_lock", "followers")

    def __init__(self, inside: Inside) -> None:
        super().__init__(inside)
        # Taken by its own methods: those of a condition are Python's, and an interrupt between them
        # and what they guard would leave it taken for good.
        self._lock = new_lock()
        self._changed = threading.Condition(self._lock)
        # Who gives the turn back tells them, if there are any.
        self.followers = 0

    def given(self) -> None:
        """Tell those who follow that the turn is free."""
        if self.followers:
            self.tell()

    def tell(self) -> None:
        """Let followers look again. A follower counts itself before it looks, so none is missed."""
        self.inside.run(self._tell)

    def _tell(self) -> None:
        with self._lock:
            self._changed.notify_all()

    def follow(self, satisfied: Callable[[], bool], timeout_s: float | None) -> None:
        """Wait until the turn is free, there is news, `satisfied` holds or the time is over;
        FOLLOW_S at most.
        """
        wait_s = FOLLOW_S if timeout_s is None else min(FOLLOW_S, timeout_s)
        self.inside.run(
            lambda: self._follow(lambda: self.lock.locked() and not satisfied(), wait_s)
        )

    def pause(self, duration_s: float) -> None:
        """Wait for news for a moment, whoever has the turn."""
        self.inside.run(lambda: self._follow(lambda: True, duration_s))

    def _follow(self, is_to_wait: Callable[[], bool], wait_s: float) -> None:
        with self._lock:
            self.followers += 1
            try:
                if is_to_wait():
                    self._changed.wait(wait_s)
            finally:
                self.followers -= 1
