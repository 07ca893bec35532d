"""The unit that a program has through a foreign API, and how it is given back where the program is
none of Python's.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable

from gon_client.leased import Leased

__all__ = ["Leased", "run_exit_functions"]


def run_exit_functions() -> None:
    """Do what Python does at a program's end: an interpreter in another's program never ends."""
    run_all: Callable[[], None] = vars(atexit)["_run_exitfuncs"]
    run_all()
