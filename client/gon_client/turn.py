"""The receiving turn: one thread has it, the others follow until something has changed.

Whoever waits for an answer takes the turn if it is free and receives, for all; those that find it
taken sleep until the one who has it hands it back or has settled answers. Giving the turn costs
nothing while nobody follows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial


class Turn:
    """A lock whose losers wait for news instead of for the lock."""

    __slots__ = ("_changed", "followers", "lock", "take")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # Takes the turn if it is free and returns whether; never waits.
        self.take: Callable[[], bool] = partial(self.lock.acquire, False)
        self._changed = threading.Condition()
        # Who gives the turn back tells them, if there are any.
        self.followers = 0

    def give(self) -> None:
        """Hand the turn back, and tell those who follow."""
        self.lock.release()
        if self.followers:
            self.tell()

    def tell(self) -> None:
        """Let followers look again. A follower counts itself before it looks, so none is missed."""
        with self._changed:
            self._changed.notify_all()

    def follow(self, satisfied: Callable[[], bool], timeout_s: float | None) -> None:
        """Wait until the turn is free, there is news, `satisfied` holds or the time is over."""
        with self._changed:
            self.followers += 1
            try:
                if self.lock.locked() and not satisfied():
                    self._changed.wait(timeout_s)
            finally:
                self.followers -= 1

    def pause(self, duration_s: float) -> None:
        """Wait for news for a moment, whoever has the turn."""
        with self._changed:
            self.followers += 1
            try:
                self._changed.wait(duration_s)
            finally:
                self.followers -= 1
