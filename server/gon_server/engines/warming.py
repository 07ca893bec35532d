"""Loads engines in the background, so that a change of personality pays no import.

    [gon-engines thread] quiet? ─▶ open(format) ─▶ quiet? ─▶ open(format) …

Importing a library holds Python's lock for most of its time, and whatever else the process does
waits meanwhile. So each is begun once the thread that serves the lease has done nothing for a
moment; a lease that is never quiet has them loaded all the same, later.

Rules: nothing is loaded but what the lease may need; what fails is left to whoever asks for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from gon.clock import Clock
from gon.errors import GonError
from gon_server.engines.limits import QUIET_LOOK_S, QUIET_PATIENCE_S, QUIET_SHARE
from gon_server.engines.shelf import Shelf

log = logging.getLogger("gond.engines")


def cpu_time_of(thread: int) -> Callable[[], float]:
    """Return a function that tells the processor time of a thread of this process, in seconds."""
    clock = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(clock)


def warm(
    shelf: Shelf, formats: Iterable[str], busy_s: Callable[[], float], clock: Clock
) -> threading.Thread:
    """Load the engines of these formats in a thread of their own; `busy_s` is the processor time
    that the one who serves has taken.
    """
    wanted = [each for each in dict.fromkeys(formats) if not shelf.has(each)]
    thread = threading.Thread(
        target=_load, args=(shelf, wanted, busy_s, clock), name="gon-engines", daemon=True
    )
    thread.start()
    return thread


def _load(shelf: Shelf, formats: Iterable[str], busy_s: Callable[[], float], clock: Clock) -> None:
    for each in formats:
        wait_until_quiet(busy_s, clock)
        try:
            shelf.open(each)
        except GonError as error:
            log.info("engine of %s: %s", each, error.message)


def wait_until_quiet(busy_s: Callable[[], float], clock: Clock) -> None:
    """Return once a look has found that nearly nothing was done since the one before, or patience
    is at its end.
    """
    ends_s = clock.now_s() + QUIET_PATIENCE_S
    before_s = busy_s()
    while clock.now_s() < ends_s:
        clock.sleep_s(QUIET_LOOK_S)
        now_s = busy_s()
        if now_s - before_s <= QUIET_LOOK_S * QUIET_SHARE:
            return
        before_s = now_s
