"""What may come in the middle of anything: a signal's handler that raises, as that of Ctrl-C does,
and a finalizer that uses the device.

Python runs handlers once a call has returned, where a function begins and where a loop jumps back;
the collector runs finalizers wherever objects are made. So a lock that is taken by a call is lost
between that call and its `try`, a frame that is numbered is lost before it is sent, and a finalizer
finds locks taken by the very thread that it runs in.

Rules: locks are plain ones, taken by `with lock, owner` or by `hold`, and given back by their own
methods.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from gon.errors import LinkLost
from gon.transport.base import Link


class Owner:
    """Which thread has a lock; entered by whoever has it."""

    __slots__ = ("_lock", "thread")

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        # 0 if nobody; whom an interrupt kept from saying so is told by the lock.
        self.thread = 0

    def __enter__(self) -> None:
        self.thread = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self.thread = 0

    def is_here(self) -> bool:
        """Return whether it is this thread: then this is a finalizer."""
        return self.thread == threading.get_ident() and self._lock.locked()


class Owned:
    """A lock that knows whose it is."""

    __slots__ = ("lock", "owner")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner = Owner(self.lock)

    def hold(self, do: Callable[[], object], timeout_s: float = 0) -> bool:
        """Call `do` with the lock if that can be had within the time; return whether it could."""
        asked = map(self.lock.acquire, (timeout_s > 0,), (timeout_s or -1,))
        here, owner = threading.get_ident(), self.owner
        # It is taken here, by no call of ours: so nothing comes between that and `try`, and nothing
        # is made before it says whose it is: making may run the collector, and so finalizers.
        (taken,) = asked
        if taken:
            try:
                owner.thread = here
                do()
            finally:
                owner.thread = 0
                self.lock.release()
                self.given()
        return taken

    def given(self) -> None:
        """Hear that `hold` has given the lock back."""


class Whole:
    """Frames that are numbered and sent on a link, all of it or the link ends: what is numbered is
    kept, and sent again on the next link by whoever replaces a lost one.
    """

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> bool:
        if error is not None:
            self._link.close()
        return isinstance(error, LinkLost)
