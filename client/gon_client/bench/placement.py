"""Which processors each end of a run may use.

    same    client, gond and workers share one
    split   the client has one, gond and the workers another
    free    no one is pinned

What lies on the way (the delay proxy) has one of its own where there is one left, else the host's.

A software-defined unit computes with as many threads as its worker has processors, so `direct` is
always pinned as the client: in every placement it then has as many processors to compute on as a
worker has. In `same` a worker shares its one with the client, as `direct` shares it with itself.

Rules: a child inherits the affinity of the thread that starts it; no code runs between fork and
exec.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from gon.errors import Unsupported


class Placement(Enum):
    """Who is pinned where."""

    SAME = "same"
    SPLIT = "split"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Processors:
    """The processors of both ends and of what lies between; an empty tuple pins nothing."""

    client: tuple[int, ...]
    host: tuple[int, ...]
    way: tuple[int, ...]


def processors(placement: Placement, available: Sequence[int]) -> Processors:
    """Return who gets which of the `available` processors. Raises Unsupported where there are too
    few.
    """
    ordered = sorted(available)
    match placement:
        case Placement.SAME:
            return Processors((ordered[0],), (ordered[0],), (ordered[0],))
        case Placement.SPLIT:
            if len(ordered) < 2:
                raise Unsupported("placement split needs two processors; this machine gives one")
            return Processors((ordered[0],), (ordered[1],), (ordered[1:3][-1],))
        case Placement.FREE:
            return Processors((), (), ())


def available() -> list[int]:
    """Return the processors this process may use."""
    return sorted(os.sched_getaffinity(0))


def start_pinned(
    command: Sequence[str],
    cpus: Sequence[int],
    *,
    environ: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process on `cpus` (empty: as this one). Raises OSError."""
    before = os.sched_getaffinity(0)
    if cpus:
        os.sched_setaffinity(0, cpus)
    try:
        return subprocess.Popen(  # noqa: S603 - the command is ours
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environ,
            pass_fds=pass_fds,
        )
    finally:
        os.sched_setaffinity(0, before)
