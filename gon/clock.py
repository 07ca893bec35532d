"""Time, as an argument: whatever waits or expires is given a `Clock` and asks it, so that tests own
time.

Rules: nothing else in the project calls `time.monotonic` for policy; durations are named `*_s`.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tells monotonic time and sleeps by it."""

    def now_s(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
        ...

    def sleep_s(self, duration_s: float, /) -> None:
        """Return after `duration_s` seconds of this clock."""
        ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until `event` is set or `timeout_s` have passed; return whether it is set."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    __slots__ = ()

    # The functions themselves: a receiver that spins asks for the time twice a round trip.
    now_s = staticmethod(time.monotonic)
    sleep_s = staticmethod(time.sleep)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)


SYSTEM_CLOCK = SystemClock()
