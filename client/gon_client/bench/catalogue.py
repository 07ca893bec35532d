"""The table of what is measured: workloads, baselines, sizes, how many samples a round takes.

Rules: pure; identifiers are stable, since files of rows are compared across versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gon.limits import KIB, MIB
from gon_client.bench.distance import delay_ms_of, is_far

DIRECT = "direct"
PLACES = (DIRECT, "tcp", "unix", "shm", "zmq")
# Behind the delay proxy: what a run goes to unless told otherwise.
FAR_PLACES = ("tcp+0.1ms", "tcp+1ms", "tcp+10ms", "tcp+30ms", "tcp+100ms")
# And where launch rates go besides: where what is asked of them is asked.
RATES_PLACE = "tcp+1.35ms"
# Where baselines are measured: plain Python, plain C, the driver's own Python binding, and its C
# calls without any Python between them.
PLAIN = "plain"
NATIVE = "c"
BINDING = "pyopencl"
ENQUEUES = "opencl"
# And where the libraries of engines are called by themselves.
LIBRARY = "library"
# Where the private host's own figures come from.
HOST = "host"

SIZES = (4 * KIB, 1 * MIB, 64 * MIB)
# What programs of engines are given: the large ones take 50 ms and more.
MATRIX_SIZES = (4 * KIB, 1 * MIB)
FLOW_SIZES = (4 * KIB, 128 * MIB)
# Calls of engines are measured where their data is, and where a program's is.
CALL_PLACES = (DIRECT, "tcp", "shm")
# Workloads of one call and its answer; a round of them begins with one for so many that count.
LATENCY = "latency"
FIRST_SHARE = 20
# What a round at a far place may spend waiting for its round trips, each size and workload.
FAR_ROUND_MS = 200.0


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing measured.

    `baseline` is the id it is set in relation to, "" where there is none; workloads of one `group`
    take their turns together, size by size, as far as they have the first one's sizes; `samples` is
    how many a round takes, for each size; `waits` is how many round trips a sample costs at least,
    0 for what is not measured at far places. To which of these it goes unless told otherwise is
    `far_places`; `roams` says whether it goes to all that it is told to.
    """

    id: str
    says: str
    unit: str
    group: str
    samples: tuple[int, ...]
    sizes: tuple[int, ...] = (0,)
    places: tuple[str, ...] = PLACES
    baseline: str = ""
    waits: int = 0
    far_places: tuple[str, ...] = FAR_PLACES
    roams: bool = True

    def at_usual_places(self) -> Workload:
        """Return it as it is measured where nobody says where."""
        far = self.far_places if self.waits else ()
        return replace(self, places=(*self.places, *far), roams=False)

    def samples_of(self, size_bytes: int, where: str, divisor: int) -> int:
        """Return how many samples a round takes at this size and place, of a run that takes one
        `divisor`th of them; at far places half as many, or what there is patience for.
        """
        full = max(1, self.samples[self.sizes.index(size_bytes)] // divisor)
        wait_ms = self.waits * delay_ms_of(where)
        if is_far(where):
            full = (full + 1) // 2
        return min(full, max(1, int(FAR_ROUND_MS / wait_ms))) if wait_ms else full

    def first_of(self, samples: int) -> int:
        """Return how many more a round of so many begins with that do not count: the first calls
        after a rest find caches cold and receivers asleep, and of latencies they are the tail.
        """
        return samples // FIRST_SHARE if self.group == LATENCY else 0

    def plays_at(self, where: str) -> bool:
        """Whether it is measured at a place."""
        return where in self.places or (self.roams and self.waits > 0 and is_far(where))


def _latency(identifier: str, says: str) -> Workload:
    return Workload(identifier, says, "µs", LATENCY, (400,), baseline="socket_echo", waits=1)


def _rate(identifier: str, says: str, group: str, baseline: str) -> Workload:
    far = (*FAR_PLACES, RATES_PLACE)
    return Workload(
        *(identifier, says, "launches/s", group, (1,)), baseline=baseline, waits=2, far_places=far
    )


def _launches(identifier: str, says: str, group: str, where: str) -> Workload:
    return Workload(identifier, says, "launches/s", group, (1,), places=(where,))


def _bulk(identifier: str, says: str, baseline: str = "") -> Workload:
    places, waits = (PLACES, 1) if baseline else ((PLAIN,), 0)
    return Workload(identifier, says, "GB/s", "bulk", (200, 40, 3), SIZES, places, baseline, waits)


def _calls(name: str, sizes: tuple[int, int]) -> tuple[Workload, Workload]:
    """Return calls of an engine, into outputs that are there and into new ones (small ones only:
    of a large one the call itself is what takes time).
    """
    given = f"call of a {name} program + sync"
    return (
        Workload(
            *(f"engine_{name}", given, "µs", f"engine_{name}", (200, 1), sizes, CALL_PLACES),
            baseline=f"{name}_call",
        ),
        Workload(
            *(f"engine_{name}_new", f"{given}, outputs made", "µs", f"engine_{name}", (200,)),
            *(sizes[:1], CALL_PLACES),
            baseline=f"{name}_call",
        ),
    )


def _call(name: str, sizes: tuple[int, int]) -> Workload:
    return Workload(
        *(f"{name}_call", "the same by its library's own call", "µs", f"engine_{name}", (200, 1)),
        *(sizes, (LIBRARY,)),
    )


WORKLOADS = (
    _latency("rtt_empty", "sync of an empty stream"),
    _latency("rtt_launch", "launch of a tiny kernel + sync"),
    _latency("small_reads", "launch of a tiny kernel + read of 4 bytes"),
    _rate("launch_rate", "posted launches + one sync", "rate", "pyopencl_call"),
    _rate("graph_rate", "launches of a graph's replays + one sync", "replay", "enqueue_rate"),
    _rate("repeat_rate", "the same launches, posted in a loop", "replay", "enqueue_rate"),
    _bulk("h2d", "upload + sync", "socket_copy"),
    _bulk("d2h", "download into an array", "socket_copy"),
    Workload("app", "200 steps of three kernels, a read each tenth", "ms", "app", (1,), waits=20),
    Workload("mlp", "a training step, its loss read", "ms", "mlp", (40,), waits=1),
    Workload(
        *("load_cached", "compile of a program that the host has built", "ms", "load", (10,)),
        waits=1,
    ),
    *_calls("onnx", MATRIX_SIZES),
    *_calls("stablehlo", MATRIX_SIZES),
    *_calls("flow", FLOW_SIZES),
    Workload("attach", "acquire, first sync, release", "ms", "attach", (1,), waits=5),
    Workload("attach_cold", "a new process until its first launch is done", "ms", "cold", (1,)),
    Workload("attach_cold_call", "the same from gon.connect() on", "ms", "cold", (1,)),
)

BASELINES = (
    Workload("socket_echo", "64 bytes there and back", "µs", LATENCY, (400,), places=(PLAIN,)),
    Workload("c_echo", "the same in C", "µs", LATENCY, (400,), places=(NATIVE,)),
    _bulk("socket_copy", "one way to another process, acknowledged"),
    _bulk("memcpy", "within the process"),
    _launches("pyopencl_call", "the same launches by pyopencl's own call", "rate", BINDING),
    _launches("enqueue_rate", "as many by OpenCL's own calls, without Python", "replay", ENQUEUES),
    _call("onnx", MATRIX_SIZES),
    _call("stablehlo", MATRIX_SIZES),
    _call("flow", FLOW_SIZES),
)

MEMORY = (
    Workload("memory_daemon", "gond at rest", "MB", "memory", (1,), places=(HOST,)),
    Workload("memory_worker", "largest worker at rest", "MB", "memory", (1,), places=(HOST,)),
    Workload("memory_lease", "one lease more, all told", "MB", "memory", (1,), places=(HOST,)),
)

GROUPS = (
    *(LATENCY, "rate", "replay", "bulk", "app", "mlp", "load"),
    *("engine_onnx", "engine_stablehlo", "engine_flow", "attach", "cold"),
)
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
    if by_id("socket_echo") in related:
        related.append(by_id("c_echo"))
    return asked + [row for row in BASELINES if row in related and row not in asked]
