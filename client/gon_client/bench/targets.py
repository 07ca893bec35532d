"""What GoN asks of itself, judged on the rows of one run: asked, measured, met or not.

Rules: pure; ratios and differences are formed within one placement of one run only; a target whose
rows are not there is not judged. Where a target names a placement, only that one is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gon.limits import KIB, MIB
from gon_client.bench.catalogue import (
    BINDING,
    DIRECT,
    ENQUEUES,
    FLOW_SIZES,
    HOST,
    LIBRARY,
    MATRIX_SIZES,
    PLAIN,
    RATES_PLACE,
    by_id,
)
from gon_client.bench.distance import delay_ms_of
from gon_client.bench.record import Record, size_text


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target at one placement."""

    target: str
    placement: str
    asked: str
    measured: str
    met: bool


class Rows:
    """The rows of one placement, by workload and place."""

    def __init__(self, records: Sequence[Record], placement: str) -> None:
        self._by_key = {r.key: r for r in records if r.placement == placement}
        self._placement = placement

    def get(self, identifier: str, where: str, size_bytes: int = 0) -> Record | None:
        return self._by_key.get((identifier, where, self._placement, size_bytes))

    def p50(self, identifier: str, where: str, size_bytes: int = 0) -> float | None:
        row = self.get(identifier, where, size_bytes)
        return None if row is None else row.p50


Measure = Callable[[Rows], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a figure taken from the rows; `placements` are where it is asked."""

    says: str
    placements: tuple[str, ...]
    measure: Measure
    bound: float
    at_most: bool
    unit: str

    def judge(self, rows: Rows, placement: str) -> Verdict | None:
        """Return the verdict, or None where a row is missing."""
        value = self.measure(rows)
        if value is None:
            return None
        sign = "≤" if self.at_most else "≥"
        met = value <= self.bound if self.at_most else value >= self.bound
        asked = f"{sign} {self.bound:g} {self.unit}"
        return Verdict(self.says, placement, asked, f"{value:.3g} {self.unit}", met)


def _value(identifier: str, where: str) -> Measure:
    return lambda rows: rows.p50(identifier, where)


def _spread(identifier: str, where: str) -> Measure:
    """By how many times the worst of a hundred is the middle one."""

    def measure(rows: Rows) -> float | None:
        row = rows.get(identifier, where)
        return None if row is None else row.p99 / row.p50

    return measure


def _took_us(identifier: str, where: str, size_bytes: int) -> Measure:
    """The time of a transfer, of whose rate there is a row in GB/s."""

    def measure(rows: Rows) -> float | None:
        rate = rows.p50(identifier, where, size_bytes)
        return None if rate is None else size_bytes / rate / 1e3

    return measure


def _difference(identifier: str, where: str, reference: str) -> Measure:
    def measure(rows: Rows) -> float | None:
        ours, theirs = rows.p50(identifier, where), rows.p50(identifier, reference)
        return None if ours is None or theirs is None else ours - theirs

    return measure


def _ratio(
    identifier: str, baseline: str, at: str, size_bytes: int = 0, where: str = "tcp"
) -> Measure:
    def measure(rows: Rows) -> float | None:
        ours = rows.p50(identifier, where, size_bytes)
        theirs = rows.p50(baseline, at, size_bytes)
        return None if ours is None or theirs is None else ours / theirs

    return measure


def _more(identifier: str) -> Measure:
    """How much longer a small call over tcp takes than its library's own."""

    def measure(rows: Rows) -> float | None:
        ours = rows.p50(identifier, "tcp", 4 * KIB)
        theirs = rows.p50(by_id(identifier).baseline, LIBRARY, 4 * KIB)
        return None if ours is None or theirs is None else ours - theirs

    return measure


def _calls(name: str, large_bytes: int) -> Iterator[Target]:
    """What is asked of an engine's calls: small ones into outputs that are there and new ones."""
    for made, how in (("", "outputs given"), ("_new", "outputs made")):
        says = f"small {name} call, {how}, tcp over library"
        yield _at_most(says, _PINNED, 15, "µs more", _more(f"engine_{name}{made}"))
    large = _ratio(f"engine_{name}", f"{name}_call", LIBRARY, large_bytes)
    yield _at_most(f"large {name} call, tcp by library", _PINNED, 1.02, "×", large)


def _kept(identifier: str, where: str) -> Measure:
    """What is left of a rate over tcp at a far place."""

    def measure(rows: Rows) -> float | None:
        far, near = rows.p50(identifier, where), rows.p50(identifier, "tcp")
        return None if far is None or near is None else far / near

    return measure


def _waited(identifier: str, where: str, waits_by: float = 1.0) -> Measure:
    """By how many times the far row's time is what `direct` and so many times the waits' round
    trips are.
    """

    def measure(rows: Rows) -> float | None:
        ours, direct = rows.p50(identifier, where), rows.p50(identifier, DIRECT)
        if ours is None or direct is None:
            return None
        return ours / (direct + waits_by * by_id(identifier).waits * delay_ms_of(where))

    return measure


def _at_most(
    says: str, placements: tuple[str, ...], bound: float, unit: str, measure: Measure
) -> Target:
    return Target(says, placements, measure, bound, at_most=True, unit=unit)


def _at_least(
    says: str, placements: tuple[str, ...], bound: float, measure: Measure, unit: str = "×"
) -> Target:
    return Target(says, placements, measure, bound, at_most=False, unit=unit)


def _copies(identifier: str, what: str) -> Iterator[Target]:
    """What is asked of copies one way: over sockets of one-way socket copies, and the smallest in
    µs; through shared memory of copies within a process.
    """
    small = _took_us(identifier, "tcp", 4 * KIB)
    yield _at_most(f"4 KiB {what}, tcp", ("split",), 25, "µs", small)
    for size_bytes in (MIB, 64 * MIB):
        size = size_text(size_bytes)
        copied = _ratio(identifier, "socket_copy", PLAIN, size_bytes)
        yield _at_least(f"{size} {what}, tcp by socket copy", _PINNED, 0.95, copied)
    for size_bytes in (MIB, 64 * MIB):
        size = size_text(size_bytes)
        copied = _ratio(identifier, "memcpy", PLAIN, size_bytes, "shm")
        yield _at_least(f"{size} {what}, shm by memcpy", _PINNED, 0.8, copied)


_SAME, _SPLIT = ("same",), ("split",)
_PINNED = ("same", "split")
_ANY = ("same", "split", "free")

TARGETS = (
    _at_most(
        *("empty sync, tcp by socket echo", _SAME, 1.6, "×"),
        _ratio("rtt_empty", "socket_echo", PLAIN),
    ),
    _at_most("empty sync, tcp", _SPLIT, 12, "µs", _value("rtt_empty", "tcp")),
    _at_most("empty sync, shm", _PINNED, 5, "µs", _value("rtt_empty", "shm")),
    _at_most(
        *("launch + sync, tcp over direct", _SAME, 6, "µs more"),
        _difference("rtt_launch", "tcp", DIRECT),
    ),
    _at_most(
        *("launch + sync, tcp over direct", _SPLIT, 8, "µs more"),
        _difference("rtt_launch", "tcp", DIRECT),
    ),
    _at_most("launch + sync, tcp, p99 by p50", _PINNED, 4, "×", _spread("rtt_launch", "tcp")),
    _at_most("launch + 4-byte read, tcp", _SPLIT, 25, "µs", _value("small_reads", "tcp")),
    _at_least(
        *("posted launches, tcp by pyopencl's call", _ANY, 3),
        _ratio("launch_rate", "pyopencl_call", BINDING),
    ),
    _at_least(
        *("posted launches, tcp", _SPLIT, 300_000), _value("launch_rate", "tcp"), unit="launches/s"
    ),
    _at_least(
        *("replays, tcp by raw enqueues", _PINNED, 0.8),
        _ratio("graph_rate", "enqueue_rate", ENQUEUES),
    ),
    _at_least(
        *("repeats, tcp by raw enqueues", _PINNED, 0.8),
        _ratio("repeat_rate", "enqueue_rate", ENQUEUES),
    ),
    _at_least("replays 1.35 ms away, by tcp", _PINNED, 0.9, _kept("graph_rate", RATES_PLACE)),
    _at_least("repeats 1.35 ms away, by tcp", _PINNED, 0.9, _kept("repeat_rate", RATES_PLACE)),
    *_copies("h2d", "upload"),
    *_copies("d2h", "download"),
    _at_most("app, tcp by direct", _PINNED, 1.03, "×", _ratio("app", "app", DIRECT)),
    _at_most(
        *("app 1 ms away, by direct and 1.1 × its waits", _PINNED, 1, "×"),
        _waited("app", "tcp+1ms", waits_by=1.1),
    ),
    _at_most(
        *("mlp step 30 ms away, by direct and one wait", _PINNED, 1.1, "×"),
        _waited("mlp", "tcp+30ms"),
    ),
    _at_most(
        "load of a module the host has built, tcp", _ANY, 5, "ms", _value("load_cached", "tcp")
    ),
    *_calls("onnx", MATRIX_SIZES[1]),
    *_calls("stablehlo", MATRIX_SIZES[1]),
    *_calls("flow", FLOW_SIZES[1]),
    _at_most("attach, tcp", _ANY, 50, "ms", _value("attach", "tcp")),
    _at_most(
        "cold client until its first launch, tcp", _ANY, 250, "ms", _value("attach_cold", "tcp")
    ),
    _at_most("worker at rest", _ANY, 300, "MB", _value("memory_worker", HOST)),
    _at_most("one lease more", _ANY, 30, "MB", _value("memory_lease", HOST)),
    _at_most("gond at rest", _ANY, 100, "MB", _value("memory_daemon", HOST)),
)


def judge(records: Sequence[Record]) -> Iterator[Verdict]:
    """Judge every target at every placement that it is asked at and that the rows hold."""
    placements = list(dict.fromkeys(record.placement for record in records))
    for target in TARGETS:
        for placement in placements:
            if placement in target.placements:
                verdict = target.judge(Rows(records, placement), placement)
                if verdict is not None:
                    yield verdict
