"""What GoN asks of itself, judged on the rows of one run: asked, measured, met or not.

Rules: pure; ratios and differences are formed within one placement of one run only; a target whose
rows are not there is not judged. Where a target names a placement, only that one is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gon.limits import MIB
from gon_client.bench.catalogue import (
    BINDING,
    DIRECT,
    ENQUEUES,
    HOST,
    PLAIN,
    RATES_PLACE,
    by_id,
)
from gon_client.bench.distance import delay_ms_of
from gon_client.bench.record import Record

_BULK = 64 * MIB


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

    def p50(self, identifier: str, where: str, size_bytes: int = 0) -> float | None:
        row = self._by_key.get((identifier, where, self._placement, size_bytes))
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


def _difference(identifier: str, where: str, reference: str) -> Measure:
    def measure(rows: Rows) -> float | None:
        ours, theirs = rows.p50(identifier, where), rows.p50(identifier, reference)
        return None if ours is None or theirs is None else ours - theirs

    return measure


def _ratio(identifier: str, baseline: str, at: str, size_bytes: int = 0) -> Measure:
    def measure(rows: Rows) -> float | None:
        ours = rows.p50(identifier, "tcp", size_bytes)
        theirs = rows.p50(baseline, at, size_bytes)
        return None if ours is None or theirs is None else ours / theirs

    return measure


def _kept(identifier: str, where: str) -> Measure:
    """What is left of a rate over tcp at a far place."""

    def measure(rows: Rows) -> float | None:
        far, near = rows.p50(identifier, where), rows.p50(identifier, "tcp")
        return None if far is None or near is None else far / near

    return measure


def _waited(identifier: str, where: str) -> Measure:
    """By how many times the far row's time is what `direct` and the waits' round trips are."""

    def measure(rows: Rows) -> float | None:
        ours, direct = rows.p50(identifier, where), rows.p50(identifier, DIRECT)
        if ours is None or direct is None:
            return None
        return ours / (direct + by_id(identifier).waits * delay_ms_of(where))

    return measure


_PINNED = ("same", "split")
_ANY = ("same", "split", "free")

TARGETS = (
    Target(
        "launch + sync, tcp over direct",
        _PINNED,
        _difference("rtt_launch", "tcp", "direct"),
        10,
        at_most=True,
        unit="µs more",
    ),
    Target(
        "empty sync, tcp by socket echo",
        ("same",),
        _ratio("rtt_empty", "socket_echo", PLAIN),
        2,
        at_most=True,
        unit="×",
    ),
    Target(
        "posted launches, tcp by pyopencl's call",
        _ANY,
        _ratio("launch_rate", "pyopencl_call", BINDING),
        1.5,
        at_most=False,
        unit="×",
    ),
    Target(
        "replays, tcp by raw enqueues",
        _PINNED,
        _ratio("graph_rate", "enqueue_rate", ENQUEUES),
        0.8,
        at_most=False,
        unit="×",
    ),
    Target(
        "repeats, tcp by raw enqueues",
        _PINNED,
        _ratio("repeat_rate", "enqueue_rate", ENQUEUES),
        0.8,
        at_most=False,
        unit="×",
    ),
    Target(
        "replays 1.35 ms away, by tcp",
        _PINNED,
        _kept("graph_rate", RATES_PLACE),
        0.9,
        at_most=False,
        unit="×",
    ),
    Target(
        "repeats 1.35 ms away, by tcp",
        _PINNED,
        _kept("repeat_rate", RATES_PLACE),
        0.9,
        at_most=False,
        unit="×",
    ),
    Target(
        "64 MiB upload, tcp by socket copy",
        _ANY,
        _ratio("h2d", "socket_copy", PLAIN, _BULK),
        0.85,
        at_most=False,
        unit="×",
    ),
    Target(
        "64 MiB download, tcp by socket copy",
        _ANY,
        _ratio("d2h", "socket_copy", PLAIN, _BULK),
        0.85,
        at_most=False,
        unit="×",
    ),
    Target(
        "app, tcp by direct",
        _PINNED,
        _ratio("app", "app", DIRECT),
        1.03,
        at_most=True,
        unit="×",
    ),
    Target(
        "app 1 ms away, by direct and its 20 waits",
        _PINNED,
        _waited("app", "tcp+1ms"),
        1.1,
        at_most=True,
        unit="×",
    ),
    Target(
        "mlp step 30 ms away, by direct and one wait",
        _PINNED,
        _waited("mlp", "tcp+30ms"),
        1.1,
        at_most=True,
        unit="×",
    ),
    Target(
        "load of a module the host has built, tcp",
        _ANY,
        _value("load_cached", "tcp"),
        5,
        at_most=True,
        unit="ms",
    ),
    Target("attach, tcp", _ANY, _value("attach", "tcp"), 50, at_most=True, unit="ms"),
    Target(
        "cold client until its first launch, tcp",
        _ANY,
        _value("attach_cold", "tcp"),
        250,
        at_most=True,
        unit="ms",
    ),
    Target("worker at rest", _ANY, _value("memory_worker", HOST), 300, at_most=True, unit="MB"),
    Target("one lease more", _ANY, _value("memory_lease", HOST), 30, at_most=True, unit="MB"),
    Target("gond at rest", _ANY, _value("memory_daemon", HOST), 100, at_most=True, unit="MB"),
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
