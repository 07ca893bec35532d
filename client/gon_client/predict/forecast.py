"""What a whole command would take: its traces, each on every way asked about, in one report.

What a command does beside its devices stays as measured; reaching and leaving the host costs some
round trips more, for which there is no trace. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from gon.errors import InvalidArgument
from gon.limits import HELD_BACK_S
from gon.payoff import LINK_BYTES_PER_S
from gon_client.predict.model import Predicted, predict
from gon_client.predict.recording import MBIT_BYTES, other_way
from gon_client.predict.trace import Trace
from gon_client.predict.work import work_of

# Round trips that no trace holds (measured, docs/BENCHMARKING.md): to connect to a host; to acquire
# a device, data link and handshake included, and to give it back.
CONNECT_ROUND_TRIPS = 2
ATTACH_ROUND_TRIPS = 4


class Cell(msgspec.Struct, frozen=True):
    """One way asked about: what the command would take; a bandwidth of None is as measured."""

    rtt_s: float
    bandwidth_mbit: float | None
    total_s: float
    waiting_s: float


class WaitingLine(msgspec.Struct, frozen=True):
    """A line of the program that waits: how often, how long as measured, and how long on the
    farthest way asked about.
    """

    origin: str
    waits: int
    waiting_s: float
    farthest_s: float


class Report(msgspec.Struct, frozen=True):
    """What a command took, and what it would take elsewhere."""

    command: tuple[str, ...]
    measured_s: float
    waiting_s: float
    waits: int
    rtt_s: float
    bytes_up: int
    bytes_down: int
    cells: tuple[Cell, ...]
    lines: tuple[WaitingLine, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """The ways asked about: every round trip with every bandwidth."""

    rtts_s: Sequence[float]
    bandwidths_mbit: Sequence[float | None]

    def ways(self) -> list[tuple[float, float | None]]:
        return [(rtt, mbit) for mbit in self.bandwidths_mbit for rtt in self.rtts_s]


def forecast(
    command: Sequence[str], lived_s: float, traces: Sequence[Trace], asked: Asked
) -> Report:
    """Return the report of a command that lived so long, with at least one trace.

    Raises InvalidArgument for no trace.
    """
    if not traces:
        raise InvalidArgument("the command used no device of GoN: there is nothing to predict from")
    works = [(trace, work_of(trace)) for trace in traces]
    measured_s = lived_s - sum(trace.probe_s for trace in traces)
    rtt_s = traces[0].way.rtt_s

    def on(rtt: float | None, mbit: float | None) -> list[Predicted]:
        return [predict(t, work, other_way(t.way, rtt, mbit)) for t, work in works]

    here = on(None, None)
    beside_s = measured_s - sum(trace.measured_s for trace in traces)

    def cell(rtt: float, mbit: float | None) -> Cell:
        there = on(rtt, mbit)
        waiting_s = sum(each.waiting_s for each in there)
        total_s = beside_s + sum(each.total_s for each in there)
        attaching_s = (CONNECT_ROUND_TRIPS + len(traces) * ATTACH_ROUND_TRIPS) * (rtt - rtt_s)
        return Cell(rtt, mbit, max(0.0, total_s + attaching_s), waiting_s)

    farthest = on(max(asked.rtts_s), asked.bandwidths_mbit[0])
    return Report(
        command=tuple(command),
        measured_s=measured_s,
        waiting_s=sum(each.waiting_s for each in here),
        waits=sum(each.waits for each in here),
        rtt_s=rtt_s,
        bytes_up=sum(trace.bytes_up for trace in traces),
        bytes_down=sum(trace.bytes_down for trace in traces),
        cells=tuple(cell(*way) for way in asked.ways()),
        lines=tuple(lines(traces, here, farthest)),
        notes=tuple(notes(traces, asked)),
    )


def lines(
    traces: Sequence[Trace], here: Sequence[Predicted], farthest: Sequence[Predicted]
) -> list[WaitingLine]:
    """Return the lines that wait, those that cost most on the farthest way first."""
    found: dict[str, WaitingLine] = {}
    for trace, near, far in zip(traces, here, farthest, strict=True):
        for name, (near_s, count), (far_s, _) in zip(
            trace.origins, near.by_origin, far.by_origin, strict=True
        ):
            before = found.get(name, WaitingLine(name, 0, 0.0, 0.0))
            found[name] = WaitingLine(
                name,
                before.waits + count,
                before.waiting_s + near_s,
                before.farthest_s + far_s,
            )
    waiting = (line for line in found.values() if line.waits)
    return sorted(waiting, key=lambda line: -line.farthest_s)


def notes(traces: Sequence[Trace], asked: Asked) -> Iterable[str]:
    """Return what makes these predictions less than they look."""
    samples = sum(len(trace.contents) for trace in traces)
    if samples and _is_slow(asked):
        yield (
            f"large transfers travel compressed in this where it pays: as {samples} samples of "
            "them were, here, on both sides"
        )
    if len(traces) > 1:
        yield f"{len(traces)} devices were used; they are taken to be used one after the other"
    for trace in traces:
        if trace.cut_s:
            held_s, rest_s = trace.cut_s - trace.began_s, trace.ended_s - trace.cut_s
            yield (
                f"the trace was full after {held_s:.3g} s; the {rest_s:.3g} s after that are taken "
                "as they were measured"
            )
        if trace.early:
            yield (
                f"{trace.early} answers came {HELD_BACK_S:g} s before anybody waited for them: who "
                "asked whether they were done was told that late; on longer ways waits are missing"
            )
        if trace.links:
            yield f"{trace.links} lost links were replaced; the time of that is in all figures"


def _is_slow(asked: Asked) -> bool:
    """Return whether a bandwidth asked about is one at which compressing may pay."""
    asked_mbit = [mbit for mbit in asked.bandwidths_mbit if mbit is not None]
    return any(mbit * MBIT_BYTES < LINK_BYTES_PER_S for mbit in asked_mbit)
