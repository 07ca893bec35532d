"""A clock for sessions in tests: time goes on, but who sleeps by it is held until told to tick.

A session's pump sleeps by it, so that nothing but the test's own calls makes a session do anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from gon.clock import SYSTEM_CLOCK
from tests.inproc_worker import PATIENCE_S


class HeldClock:
    """See gon.clock.Clock; `now_s` tells the time. For one sleeper."""

    def __init__(self, now_s: Callable[[], float] = SYSTEM_CLOCK.now_s) -> None:
        self.now_s = now_s
        self._changed = threading.Condition()
        self._asleep = False
        self._over = False

    def sleep_s(self, duration_s: float, /) -> None:
        del duration_s
        with self._changed:
            self._asleep = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._asleep or self._over)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.sleep_s(timeout_s)
        return event.is_set()

    def settle(self) -> None:
        """Wait until the sleeper sleeps."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._asleep, PATIENCE_S), "nobody sleeps"

    def tick(self, times: int = 1) -> None:
        """Wake the sleeper and wait until it sleeps again."""
        for _ in range(times):
            self.wake()
            self.settle()

    def wake(self) -> None:
        """Wake the sleeper."""
        with self._changed:
            self._asleep = False
            self._changed.notify_all()

    def close(self) -> None:
        """Hold nobody any more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
