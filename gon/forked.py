"""What a process that was forked off does with what it has inherited: it leaves it to its parent.

    inherit(thing, forsake) ──▶ noted, weakly ──os.fork──▶ in the child: forsake(thing)

A child has its parent's connections, drivers and locks, and none of its threads. So what would use
them is replaced there, once, right after the fork: no call asks which process it is in.

Rules: `forsake` takes no lock that another thread may have, waits for nothing, tells nobody, does
not raise, and may be called again, for children have children. What is forsaken is kept as long as
the child lives: finalizers of drivers wait for threads that are not there. A program that forks
without Python (a driver's, in C) never comes here. Must not know: what is inherited.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from gon.errors import BadHandle

_Thing = TypeVar("_Thing", bound=object)

_INHERITED: Final[WeakKeyDictionary[object, Callable[[object], None]]] = WeakKeyDictionary()
_KEPT: Final[list[object]] = []


class _Lock(Protocol):
    """What Python's own locks have for this."""

    def _at_fork_reinit(self) -> None: ...
    def _is_owned(self) -> bool: ...


def inherit(thing: _Thing, forsake: Callable[[_Thing], None]) -> None:
    """Let a child call `forsake` with the thing, if it is there still."""
    _INHERITED[thing] = cast("Callable[[object], None]", forsake)


def keep(thing: object) -> None:
    """Keep something as long as this child lives; for `forsake`."""
    _KEPT.append(thing)


def made_before_fork() -> BadHandle:
    """Return what every use of something inherited raises."""
    return BadHandle("made before fork: connect in the child, for this is its parent's")


def end_without_drivers() -> None:
    """Let this child end as those of multiprocessing do, without what libraries do at an end: some
    would wait there for threads that they had in the parent. Where the C library can: GNU's.
    """
    library = ctypes.CDLL(None)
    with suppress(AttributeError):
        # Called with the status when Python has ended, and before what was registered earlier.
        library.on_exit(library._exit, None)  # noqa: SLF001


def new_lock() -> threading.RLock:
    """Return a lock that is free in a child if another thread had it. One that the forking thread
    has stays its own: a signal's handler may fork in the middle of anything, and what it raises in
    the child, SystemExit at least, gives back what is held on its way out.
    """
    lock = threading.RLock()
    inherit(lock, _free)
    return lock


def _free(lock: object) -> None:
    known = cast(_Lock, lock)
    if not known._is_owned():  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        known._at_fork_reinit()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _forsake_all() -> None:
    # One reference more than there are: not even the end of Python, which clears modules, drops it.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_KEPT))
    failed: list[Exception] = []
    for thing, forsake in list(_INHERITED.items()):
        keep(thing)
        try:
            forsake(thing)
        except Exception as error:  # noqa: BLE001 - the others must be forsaken nonetheless
            failed.append(error)
    if failed:
        raise ExceptionGroup("what this child of fork has inherited stays its parent's", failed)


os.register_at_fork(after_in_child=_forsake_all)
