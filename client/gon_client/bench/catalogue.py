"""The table of what is measured: workloads, baselines, sizes, how many samples a round takes.

Rules: pure; identifiers are stable, since files of rows are compared across versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gon.limits import KIB, MIB

DIRECT = "direct"
PLACES = (DIRECT, "tcp", "unix", "shm", "zmq")
# Where baselines are measured: plain Python, and the driver's own Python binding.
PLAIN = "plain"
BINDING = "pyopencl"
# Where the private host's own figures come from.
HOST = "host"

SIZES = (4 * KIB, 1 * MIB, 64 * MIB)
LAUNCHES = 10_000
LAUNCHES_QUICK = 2_000


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing measured.

    `baseline` is the id it is set in relation to, "" where there is none; workloads of one `group`
    have the same sizes and take their turns together; `samples` is how many a round takes, for each
    size.
    """

    id: str
    says: str
    unit: str
    group: str
    samples: tuple[int, ...]
    sizes: tuple[int, ...] = (0,)
    places: tuple[str, ...] = PLACES
    baseline: str = ""

    def samples_of(self, size_bytes: int, *, quick: bool) -> int:
        """Return how many samples a round takes at this size."""
        full = self.samples[self.sizes.index(size_bytes)]
        return max(1, full // 4) if quick else full


def _latency(identifier: str, says: str) -> Workload:
    return Workload(identifier, says, "µs", "latency", (400,), baseline="socket_echo")


def _bulk(identifier: str, says: str, baseline: str = "") -> Workload:
    places = PLACES if baseline else (PLAIN,)
    return Workload(identifier, says, "GB/s", "bulk", (200, 40, 3), SIZES, places, baseline)


WORKLOADS = (
    _latency("rtt_empty", "sync of an empty stream"),
    _latency("rtt_launch", "launch of a tiny kernel + sync"),
    _latency("small_reads", "launch of a tiny kernel + read of 4 bytes"),
    Workload(
        "launch_rate",
        "posted launches + one sync",
        "launches/s",
        "rate",
        (1,),
        baseline="pyopencl_call",
    ),
    _bulk("h2d", "upload + sync", "socket_copy"),
    _bulk("d2h", "download into an array", "socket_copy"),
    Workload("load_cached", "compile of a program that the host has built", "ms", "load", (20,)),
    Workload("attach", "acquire, first sync, release", "ms", "attach", (2,)),
    Workload("attach_cold", "a new process until its first launch is done", "ms", "cold", (1,)),
    Workload("attach_cold_call", "the same from gon.connect() on", "ms", "cold", (1,)),
)

BASELINES = (
    Workload("socket_echo", "64 bytes there and back", "µs", "latency", (400,), places=(PLAIN,)),
    _bulk("socket_copy", "one way to another process, acknowledged"),
    _bulk("memcpy", "within the process"),
    Workload(
        "pyopencl_call",
        "the same launches by pyopencl's own call",
        "launches/s",
        "rate",
        (1,),
        places=(BINDING,),
    ),
)

MEMORY = (
    Workload("memory_daemon", "gond at rest", "MB", "memory", (1,), places=(HOST,)),
    Workload("memory_worker", "largest worker at rest", "MB", "memory", (1,), places=(HOST,)),
    Workload("memory_lease", "one lease more, all told", "MB", "memory", (1,), places=(HOST,)),
)

GROUPS = ("latency", "rate", "bulk", "load", "attach", "cold")
ALL = (*WORKLOADS, *BASELINES, *MEMORY)


def by_id(identifier: str) -> Workload:
    """Return the row of an id that is in the table."""
    return next(row for row in ALL if row.id == identifier)


def chosen_memory(identifiers: Sequence[str]) -> list[Workload]:
    """Return the rows of the host's memory among these ids (none: all)."""
    return [row for row in MEMORY if not identifiers or row.id in identifiers]


def chosen(identifiers: Sequence[str]) -> list[Workload]:
    """Return the workloads of these ids (none: all), with the baselines they are set in relation
    to.
    """
    asked = [row for row in (*WORKLOADS, *BASELINES) if not identifiers or row.id in identifiers]
    related = [by_id(row.baseline) for row in asked if row.baseline]
    return asked + [row for row in BASELINES if row in related and row not in asked]
