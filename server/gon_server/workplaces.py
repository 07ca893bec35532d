"""Where workers work: a directory of each one's own, empty at first, below gond's state.

    STATE/workers/NUMBER    current directory and temporary files of that worker

So what a library opens by a relative path is no file of anybody's, and what a compiler leaves
behind goes with its process, however that ends.

Rules: the spawner makes a directory before it forks, and removes it once the worker is reaped, in a
process of its own if there is anything in it: what a hostile worker piles up holds up nobody. What
a life of gond left behind that was killed goes before the first worker of the next.
Must not know: leases, what workers do.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path

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
        """`state` is gond's state directory. Nothing is touched before the first `make`: by then
        gond holds it for itself.
        """
        self._path = state.resolve() / _NAME
        self._swept = False

    def __repr__(self) -> str:
        return f"Workplaces({self._path})"

    def make(self, worker: int) -> Path:
        """Return a new directory, that nobody but this user enters. Raises OSError."""
        if not self._swept:
            if self._path.exists():
                _clear(self._path)
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._swept = True
        place = self._path / str(worker)
        place.mkdir(mode=0o700)
        return place

    def remove(self, worker: int) -> int | None:
        """Remove the directory of a worker that is gone; return the process that still does it, for
        the caller to reap, None if none is needed.
        """
        place = self._path / str(worker)
        try:
            place.rmdir()
        except FileNotFoundError:
            return None
        except OSError:  # there is something in it
            return self._remove_apart(place)
        return None

    def _remove_apart(self, place: Path) -> int | None:
        try:
            pid = os.fork()
        except OSError as error:
            log.warning("%s stays until the next start: %s", place, error)
            return None
        if pid == 0:
            _clear(place)
            os._exit(0)
        return pid

    def close(self) -> None:
        """Remove all of them; no worker is left."""
        if self._swept:
            _clear(self._path)


def _clear(path: Path) -> None:
    """Remove a directory with all that is in it, as far as that goes; follows no link."""
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError) as error:
        log.warning("%s cannot be removed: %r", path, error)
