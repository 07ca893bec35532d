"""What a process gives up: dying with its parent, readable memory, new privileges, dumps, more
memory than it is given; and what gond alone takes, as many files as it may have.

Rules: Linux only; each call takes effect for the calling process and, but for the parent's death,
for those it forks. Must not know: who calls.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Be killed when the process `parent`, which started this one, ends; at once if it has ended.

    Raises ProcessLookupError in the latter case.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise ProcessLookupError(f"the parent {parent} is gone")


def hide_memory() -> None:
    """Let no other process of this user read or trace this one, and leave no core behind."""
    _prctl(_PR_SET_DUMPABLE, 0)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def bound_data(size_bytes: int) -> None:
    """Let no more than this become memory of this process's own, beside what is now: what asks for
    more is refused.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = size_bytes + _data_bytes()
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _data_bytes() -> int:
    """Return what the kernel counts as this process's data now: drivers may have reserved much."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[5])
    return pages * resource.getpagesize()


def files_max() -> int:
    """Return how many files this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def open_many_files() -> None:
    """Let this process have as many files open as it may."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def renounce_privileges() -> None:
    """Never gain privileges by running another program."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}, {value}): {os.strerror(number)}")
