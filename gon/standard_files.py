"""The standard files of a process, as both commands need them: open at first, forgiven at the end.

Whoever starts a command may have closed them (`>&-`, some daemons). Then what is opened next gets
their numbers: a socket would be what a child, a runtime's `printf` or an error message writes to.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from typing import TextIO


@contextlib.contextmanager
def standard_files(name: str, status: int) -> Generator[None]:
    """Give standard files that are closed to the null device, before anything else is opened. A
    file, a disk or a stream that refuses ends the command `name` in one line, with `status`.

    What the standard output has not taken by the end is dropped: Python would try once more, and
    tell of it in its own way.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
        # Python has no stream for what was closed as it started.
        setattr(sys, ("stdin", "stdout", "stderr")[number], _stream(number))
    os.close(number)
    try:
        yield
    except OSError as error:
        sys.stdout = _nowhere()
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{name}: {told(error)}\n")
            sys.stderr.flush()
        sys.exit(status)
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            sys.stdout = _nowhere()


def told(error: OSError) -> str:
    """Return what people are told of a file, a disk or a stream that refuses."""
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what


def _nowhere() -> TextIO:
    return _stream(os.open(os.devnull, os.O_RDWR))


def _stream(number: int) -> TextIO:
    return open(number, "w" if number else "r", encoding="utf-8", closefd=False)
