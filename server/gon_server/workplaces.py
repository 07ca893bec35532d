"""Where workers work: a directory of each one's own, empty at first, below gond's state.

    STATE/workers/LIFE/NUMBER    current directory and temporary files of that worker

LIFE is a new name each time gond starts, so that nothing that is left stands in anybody's way.

So what a library opens by a relative path is no file of anybody's, and what a compiler leaves
behind goes with its process, however that ends.

Rules: the spawner makes a directory before it forks, and removes it once the worker is reaped, in a
process of its own if there is anything in it: what a hostile worker piles up holds up nobody. So
goes, once the next gond starts, what one left behind that was killed.
Must not know: leases, what workers do.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gon_server import confine
from gon_server.clearing import clear

log = logging.getLogger("gond.spawner")

_NAME = "workers"


def enter(workplace: Path) -> None:
    """Have this process, and what it starts, work there."""
    os.chdir(workplace)
    tempfile.tempdir = str(workplace)
    # What libraries keep for the next process is kept for nobody here: pyopencl would read objects
    # of Python that another tenant's worker has written. PoCL compiles by way of such files.
    for name in ("TMPDIR", "XDG_CACHE_HOME", "POCL_CACHE_DIR"):
        os.environ[name] = str(workplace)


class Workplaces:
    """The directories of one spawner's workers."""

    def __init__(self, state: Path) -> None:
        """`state` is gond's state directory. Nothing is touched before `sweep`: by then gond holds
        it for itself.
        """
        self._path = state.resolve() / _NAME
        self._life: Path | None = None

    def __repr__(self) -> str:
        return f"Workplaces({self._life or self._path})"

    def sweep(self) -> int | None:
        """Begin, the first time; return what still removes what others left, as `remove` does.
        Raises OSError.
        """
        if self._life is not None:
            return None
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        left = list(self._path.iterdir())
        self._life = Path(tempfile.mkdtemp(dir=self._path))
        return _remove_apart(left) if left else None

    def make(self, worker: int) -> Path:
        """Return a new directory, that nobody but this user enters. Raises OSError."""
        place = self._place(worker)
        place.mkdir(mode=0o700)
        return place

    def remove(self, worker: int) -> int | None:
        """Remove the directory of a worker that is gone; return the process that still does it, for
        the caller to reap, None if none is needed.
        """
        place = self._place(worker)
        try:
            place.rmdir()
        except FileNotFoundError:
            return None
        except OSError:  # there is something in it
            return _remove_apart([place])
        return None

    def close(self) -> None:
        """Remove all of them; no worker is left."""
        if self._life is not None:
            clear(self._path)

    def _place(self, worker: int) -> Path:
        assert self._life is not None, "not begun"
        return self._life / str(worker)


def _remove_apart(places: Sequence[Path]) -> int | None:
    """Remove directories in a process of its own, which ends with this one and has no file of it
    but the standard streams: gond is to see when this one is gone.
    """
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        log.warning("%s stays until the next start: %s", places[0], error)
        return None
    if pid == 0:
        try:
            confine.die_with(parent)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            for place in places:
                clear(place)
        finally:
            os._exit(0)
    return pid
