"""The slow tick behind a session: a thread that is parked while there is nothing to do.

It ticks for a little while after the last activity, as often as the batcher says, then once a
second, so that an idle device costs nothing and a lost link is still noticed long before its grace
is over.

A tick in Python disturbs a program that waits in a loop: it takes the interpreter's lock for longer
than a wait takes, and every 2 ms is nearly each hundredth wait. Such a program sends what it queues
and receives what comes, so it is spared most ticks (`Attendance`), natively without that lock. In
the middle of a long wait there is nothing to do but that, so the pump parks until something is
queued after it: its ticks would take a processor from kernels where both ends share one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from gon.clock import Clock
from gon.errors import GonError
from gon_client.batcher import Batcher

PARKED_TICK_S = 1.0
# Ticks without anything to do before the pump parks.
QUIET_TICKS = 25
# Ticks in a row that a program that waits is spared: 16 ms of them at most.
SPARED_TICKS = 7


class Bell(threading.Event):
    """An event that finalizers may set in the middle of a set, or a wait, of their own thread: each
    is a step of a plain lock, which is free while it is set. For one that waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Lock()
        self.clear()

    def is_set(self) -> bool:
        return not self._free.locked()

    def set(self) -> None:
        with suppress(RuntimeError):  # it is
            self._free.release()

    def clear(self) -> None:
        self._free.acquire(blocking=False)

    def wait(self, timeout: float | None = None) -> bool:
        rung = self._free.acquire(timeout=-1 if timeout is None else timeout)
        if rung:
            self.set()
        return rung


class Program(Enum):
    """What a program has done since the last tick."""

    # It has left ops gathered, and nobody has sent them; it has waited; neither; or that is to be
    # seen to in this tick.
    LEAVES = "leaves"
    WAITS = "waits"
    RESTS = "rests"
    WAITED = "waited"


class Tick(Enum):
    """What a tick has found."""

    # Something to do, or there soon may be; nothing; nothing that whoever waits does not do.
    BUSY = "busy"
    QUIET = "quiet"
    AWAITED = "awaited"


class Attendance:
    """Says what the program does, from what each tick sees, and sleeps between two."""

    __slots__ = ("_first", "_sleep_s", "_spared", "_waits", "doze")

    def __init__(self, clock: Clock) -> None:
        self._sleep_s = clock.sleep_s
        self._first = self._waits = self._spared = 0
        # Sleeps for a tick, and for others up to a number while the program waits and leaves
        # nothing; returns the number of the first op that was not sent before the last of them.
        self.doze: Callable[[float, int], int] | None = None

    def sleep(self, tick_s: float) -> None:
        """Return when the next tick is due."""
        if self.doze is None:
            self._sleep_s(tick_s)
        else:
            self._first = self.doze(tick_s, SPARED_TICKS + 1)
            self._spared = SPARED_TICKS

    def look(self, first: int, gathered: int, waits: int) -> Program:
        """Hear the number of the first op that is not sent, how many are gathered, and how often
        the program has ever waited; return what it has done: of SPARED_TICKS in a row that it
        waits, the next one is that it has waited.
        """
        left, waited = gathered > 0 and first == self._first, waits != self._waits
        self._first, self._waits = first, waits
        if left:
            return Program.LEAVES
        self._spared = self._spared + 1 if waited else 0
        if not waited:
            return Program.RESTS
        if self._spared <= SPARED_TICKS:
            return Program.WAITS
        self._spared = 0
        return Program.WAITED


class Pump:
    """Calls `tick` until stopped; `tick` returns what it has found."""

    def __init__(
        self,
        tick: Callable[[], Tick],
        batcher: Batcher,
        clock: Clock,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """`sleep` returns when the next tick is due, after so many seconds or some times that."""
        self._tick = tick
        self._batcher = batcher
        self._clock = clock
        self._sleep = sleep or clock.sleep_s
        self._event = Bell()
        self._stopped = False
        self.parked = False
        self._thread = threading.Thread(target=self._run, name="gon-pump", daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int | None:
        """The thread's number."""
        return self._thread.ident

    def wake(self) -> None:
        """Tick fast again; cheap enough to be called when `parked` is seen."""
        self._event.set()

    def stop(self) -> None:
        """End the thread soon; may be called by it."""
        self._stopped = True
        self._event.set()

    def _run(self) -> None:
        quiet = 0
        try:
            while not self._stopped:
                found = self._tick()
                quiet = quiet + 1 if found is Tick.QUIET else 0
                if found is Tick.AWAITED or quiet >= QUIET_TICKS:
                    self._park()
                if found is Tick.AWAITED or quiet < QUIET_TICKS:
                    # What was queued after a wait is gathered as ever.
                    self._sleep(self._batcher.age_s)
        except GonError:
            # The session keeps its fault and raises it to whoever uses it next.
            return

    def _park(self) -> None:
        """Sleep until something is queued, a second at most."""
        self._event.clear()
        self.parked = True
        # An op queued before `parked` was seen is found by this tick; a later one wakes us.
        if self._tick() is not Tick.BUSY and not self._stopped:
            self._clock.wait(self._event, PARKED_TICK_S)
        self.parked = False
