"""What may come in the middle of anything: a signal's handler that raises, as that of Ctrl-C does,
and a finalizer that uses the device.

Python runs handlers once a call has returned, where a function begins and where a loop jumps back;
the collector runs finalizers wherever objects are made. So a lock that is taken by a call is lost
between that call and its `try`, a frame that is numbered is lost before it is sent, and a finalizer
finds locks taken by the very thread that it runs in.

Rules: who takes a lock of the session's, or calls into its link, is `Inside` from before to after;
a finalizer that finds its own thread there queues and frees, and leaves all else to the pump. Locks
are plain ones, taken by `hold` or `within`, and given back by their own methods.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from gon.errors import InvalidArgument, LinkLost
from gon.forked import inherit
from gon.transport.base import Link

T = TypeVar("T")


class Inside:
    """Which threads are in the middle of something of one session."""

    __slots__ = ("threads",)

    def __init__(self) -> None:
        # Each as often as it is: changed by single steps, in a `try` and its `finally`.
        self.threads: list[int] = []

    def is_here(self) -> bool:
        """Return whether this thread is: then this is a finalizer, or called by what is there."""
        return threading.get_ident() in self.threads

    def run(self, do: Callable[[], T]) -> T:
        """Call `do` inside; return what it returns."""
        threads, here = self.threads, threading.get_ident()
        try:
            threads.append(here)
            result = do()
        finally:
            threads.remove(here)
        return result

    def check(self) -> None:
        """Raise InvalidArgument in a finalizer, for a wait that could never end."""
        if self.is_here():
            raise InvalidArgument(
                "a wait in a finalizer that runs while its thread sends or receives: "
                "finalizers may queue work and free, not wait"
            )


class Owned:
    """A lock whose owners are inside, from before they ask for it."""

    __slots__ = ("__weakref__", "inside", "lock")

    def __init__(self, inside: Inside) -> None:
        self.lock = threading.Lock()
        self.inside = inside
        inherit(self, Owned.forsake)

    def forsake(self) -> None:
        """Have a free lock in a child of fork. It is another one, for this one may be held by the
        very thread that forks, in a signal's handler, and is then given back by it.
        """
        self.lock = threading.Lock()

    def hold(self, do: Callable[[], object], timeout_s: float = 0) -> bool:
        """Call `do` with the lock if that can be had within the time; return whether it could."""
        lock = self.lock
        asked = map(lock.acquire, (timeout_s > 0,), (timeout_s or -1,))
        threads, here = self.inside.threads, threading.get_ident()
        try:
            threads.append(here)
            # It is taken here, by no call of ours: so nothing comes between that and `try`.
            (taken,) = asked
            try:
                if taken:
                    do()
            finally:
                if taken:
                    lock.release()
                    self.given()
        finally:
            threads.remove(here)
        return taken

    def within(self, do: Callable[[], T]) -> T:
        """Call `do` with the lock, once that can be had; return what it returns."""
        lock = self.lock
        asked = map(lock.acquire, (True,))
        threads, here = self.inside.threads, threading.get_ident()
        try:
            threads.append(here)
            (_,) = asked
            try:
                result = do()
            finally:
                lock.release()
                self.given()
        finally:
            threads.remove(here)
        return result

    def given(self) -> None:
        """Hear that the lock was given back."""


class Unfinished:
    """A link with which something was begun: it was not ended as long as that stands here.

    To end a link takes a call, in which a second interrupt may come. So what is begun is written
    down first, by no call, and whoever comes next and finds it ends the link.
    """

    __slots__ = ("link",)

    def __init__(self) -> None:
        self.link: Link | None = None

    def end(self) -> None:
        """End the link if something that was begun with it was broken off; for who knows that
        nobody is in the middle of it.
        """
        if self.link is not None:
            self.link.close()
            self.link = None


class Whole:
    """Frames that are numbered and sent on a link, all of it or the link ends: what is numbered is
    kept, and sent again on the next link by whoever replaces a lost one. Needs the sending lock.
    """

    __slots__ = ("_link", "_unfinished")

    def __init__(self, unfinished: Unfinished, link: Link) -> None:
        self._unfinished = unfinished
        self._link = link

    def __enter__(self) -> None:
        self._unfinished.end()
        self._unfinished.link = self._link

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> bool:
        if error is not None:
            self._link.close()
        self._unfinished.link = None
        return isinstance(error, LinkLost)
