"""The sending lock: a lock that whoever sends much in pieces can share fairly.

A plain lock goes to whoever asks first after it was given back, and that is nearly always the
thread that gave it back. So those that wait are counted, and who sends pieces lets them go first.

Rules: it is taken by `with`, by `wait`, or by `acquire(False)`, which never waits. It has the plain
lock's own `acquire` and `release`, which cost nothing more.
"""

from __future__ import annotations

import threading
from collections import deque

from gon.limits import GIVE_WAY_S


class Sending:
    """A lock, how many wait for it, and whether somebody is sending pieces."""

    __slots__ = ("_changed", "_pieces", "_waiting", "acquire", "release")

    def __init__(self) -> None:
        lock = threading.Lock()
        self.acquire = lock.acquire
        self.release = lock.release
        # Counts that two threads may change at once.
        self._waiting: deque[None] = deque()
        self._pieces: deque[None] = deque()
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        if not self.acquire(blocking=False):
            self.wait()

    def wait(self) -> None:
        """Take the lock as soon as it is free."""
        self._waiting.append(None)
        try:
            self.acquire()
        finally:
            self._waiting.pop()
        if self._pieces:
            with self._changed:
                self._changed.notify_all()

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def in_pieces(self) -> bool:
        """Whether somebody is sending pieces: they send what is gathered in between and after."""
        return bool(self._pieces)

    def begin_pieces(self) -> None:
        self._pieces.append(None)

    def end_pieces(self) -> None:
        """Say that no more pieces follow; what is gathered must be sent once more after this."""
        self._pieces.pop()

    def give_way(self) -> None:
        """Return once those that wait have the lock, or had the time to take it."""
        if self._waiting:
            with self._changed:
                self._changed.wait_for(lambda: not self._waiting, GIVE_WAY_S)
