"""The sending lock: a lock that whoever sends much in pieces can share fairly.

A plain lock goes to whoever asks first after it was given back, and that is nearly always the
thread that gave it back. So those that wait are counted, and who sends pieces lets them go first.

Rules: it is taken by `within`, in the line, or by `hold`. What is taken is always the plain lock,
by its own methods: an interrupt between the taking and the giving back of a lock written in Python
would leave it taken for good.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gon.forked import new_lock
from gon.limits import GIVE_WAY_S
from gon.transport.base import Link
from gon_client.deadline import Deadline
from gon_client.interruption import Inside, Owned, T, Unfinished, Whole


class Sending(Owned):
    """A lock, the line before it, and whether somebody is sending pieces."""

    __slots__ = (
        "_pieces",
        "acquire",
        "begin_pieces",
        "end_pieces",
        "line",
        "release",
        "unfinished",
    )

    def __init__(self, inside: Inside) -> None:
        super().__init__(inside)
        self.acquire, self.release = self.lock.acquire, self.lock.release
        self.unfinished = Unfinished()
        # A count that two threads may change at once.
        self._pieces: deque[None] = deque()
        self.line = _Line(self._pieces)
        # Say in a `try` and its `finally` that pieces are sent: no interrupt comes between. What is
        # gathered must be sent once more after the last one.
        self.begin_pieces = partial(self._pieces.append, None)
        self.end_pieces = self._pieces.pop

    @property
    def in_pieces(self) -> bool:
        """Whether somebody is sending pieces: they send what is gathered in between and after."""
        return bool(self._pieces)

    def give_way(self) -> None:
        """Return once those in the line have had the lock, or had the time to take it."""
        self.inside.run(self.line.pass_by)

    def whole(self, link: Link) -> Whole:
        """Return what frames are sent within on a link. Needs the lock."""
        return Whole(self.unfinished, link)

    def mend(self) -> None:
        """End a link on which a frame was broken off, if nobody is sending."""
        if self.unfinished.link is not None:
            self.hold(self.unfinished.end)

    def within(self, do: Callable[[], T], deadline: Deadline | None = None) -> T:
        """Call `do` with the lock, once this thread is at the head of the line. Raises
        WaitTimeout.
        """
        return self.inside.run(partial(self._in_line, do, deadline))

    def _in_line(self, do: Callable[[], T], deadline: Deadline | None) -> T:
        with self.line:
            if deadline is None:
                return super().within(do)
            done: list[T] = []
            while not self.hold(lambda: done.append(do()), deadline.left_s() or 0):
                pass
            return done[0]


class _Line:
    """Those that wait for the lock or have it, while somebody sends pieces."""

    __slots__ = ("_changed", "_lock", "_pieces", "_waiting")

    def __init__(self, pieces: deque[None]) -> None:
        self._pieces = pieces
        self._waiting: deque[None] = deque()
        self._lock = new_lock()  # as gon_client.turn has it
        self._changed = threading.Condition(self._lock)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __enter__(self) -> None:
        if self._pieces:
            self._waiting.append(None)

    def __exit__(self, *_: object) -> None:
        if self._waiting:
            with suppress(IndexError):  # forgotten in this moment
                self._waiting.pop()
            with self._lock:
                self._changed.notify_all()

    def pass_by(self) -> None:
        if self._waiting:
            with self._lock:
                if not self._changed.wait_for(lambda: not self._waiting, GIVE_WAY_S):
                    # Whom an interrupt took out of the line is not waited for again.
                    self._waiting.clear()
