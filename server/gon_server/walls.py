"""The walls around a worker: which files it reaches, which system calls it may make.

    fork ─▶ raise_walls (one thread) ─▶ device opened ─▶ what it is to be is known ─▶ narrow

Files are Landlock's: the worker reads what it is made of (Python, libraries, drivers), and writes
in its own directory. System calls are seccomp's, in two steps: what no worker needs is given up
before the device is opened; the rest once it is known whether it serves or builds, and before
anything of a tenant's is there.

Rules: what stands has been tried: a worker whose walls do not rise ends, and none goes without
walls that gond has told of. Nothing here needs a right. Hardware has no walls: what its driver
opens and starts is its own affair.
Must not know: leases, engines, devices but by the files they name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gon.errors import ConfigError
from gon_server import landlock, seccomp
from gon_server import system_calls as calls
from gon_server.landlock import RUN, USE_DEVICE, WRITE, Access


class Walls(msgspec.Struct, frozen=True):
    """Which walls there are."""

    files: bool = False
    calls: bool = False

    def __str__(self) -> str:
        names = [*(["files"] if self.files else []), *(["system calls"] if self.calls else [])]
        return " and ".join(names) or "none"


NO_WALLS = Walls()

# What programs and libraries are made of, beside Python's own directories, and what they ask about
# the machine; what the kernel tells of other processes it tells by rules of its own.
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/OpenCL",
    "/etc/localtime", "/proc", "/sys",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# Lists of directories, joined by ":".
_PATH_VARIABLES = ("LD_LIBRARY_PATH", "OCL_ICD_VENDORS", "PATH")


def possible() -> Walls:
    """Return which walls this kernel and machine have."""
    return Walls(files=landlock.abi() >= landlock.MOVES_SINCE, calls=seccomp.is_there())


def wanted(setting: str) -> Walls:
    """Return the walls that a setting ("auto", "off", "required") gives software-defined units.

    Raises ConfigError where they are required and not all of them can be had.
    """
    if setting == "off":
        return NO_WALLS
    there = possible()
    if setting == "required" and there != Walls(files=True, calls=True):
        raise ConfigError(f"walls are required; this host has for workers: {there}")
    return there


def raise_walls(walls: Walls, workplace: Path, more: Iterable[Path] = ()) -> None:
    """Raise the walls around this process, which has one thread and has renounced privileges.

    `workplace` is where it may write, `more` what it may read besides. Raises OSError.
    """
    if walls.files:
        landlock.restrict(
            [
                *((path, _reads(path)) for path in (*_own_directories(), *more)),
                *((Path(name), RUN) for name in _SYSTEM),
                *((Path(name), USE_DEVICE) for name in _DEVICES),
                (workplace, WRITE),
            ]
        )
    if walls.calls:
        seccomp.refuse(
            calls.OTHERS,
            calls.CHANGING,
            calls.UNSEEN,
            calls.SURROUNDINGS,
            calls.KERNEL,
            calls.CONNECTING,
            rules=[*calls.RULES, calls.scheduled_as(os.sched_getscheduler(0))],
        )


def narrow(walls: Walls, *, programs: bool, accepts: bool = False) -> None:
    """Give up what this worker, by what it is to be, does not need: sockets of its own, unless it
    `accepts` at one that listens by now, and starting `programs`. Raises OSError.
    """
    if not walls.calls:
        return
    sockets = (calls.LISTENING,) if accepts else (calls.LISTENING, calls.ACCEPTING)
    if programs:
        # What it starts must be ended by it, and sets its own limits; Landlock keeps signals in.
        seccomp.refuse(*sockets, rules=[calls.OWN_LIMITS])
        return
    seccomp.refuse(
        *sockets,
        calls.PROGRAMS,
        calls.SIGNALS,
        rules=[*calls.to_itself(os.getpid()), calls.THREADS, calls.STAYING],
    )


def _reads(path: Path) -> Access:
    """Return what a worker may do below a path; the root, whatever names it, is for listing."""
    return Access.READ_DIR if path == Path("/") else RUN


def _own_directories() -> list[Path]:
    """Return where Python and what this process has loaded lie."""
    listed = [each for name in _PATH_VARIABLES for each in os.environ.get(name, "").split(":")]
    names = [sys.prefix, sys.base_prefix, *sys.path, *filter(None, listed), *_mapped()]
    return [Path(name) for name in dict.fromkeys(names)]


def _mapped() -> set[str]:
    """Return the directories of the files that are mapped: a library finds others beside it."""
    lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    fields = (line.split(maxsplit=5) for line in lines)
    files = {each[5] for each in fields if len(each) == 6 and each[5].startswith("/")}
    # What else is mapped, as a temporary file, lies among things that are nobody's to read.
    return {str(Path(each).parent) for each in files if ".so" in Path(each).name}
