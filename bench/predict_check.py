"""Check what is predicted against what is measured: python bench/predict_check.py [--smoke]

Each workload is recorded at a place without delay, its time at every far place is predicted from
that, and measured there, through the delay proxy. It is predicted for the round trip that an empty
sync takes at the far place, and for its cap (where it has none, for what the proxy was measured to
carry in the same round).

Rounds alternate; medians are compared, and beside them the least of all rounds, which a busy
machine disturbs less: a row is off if both differ by more than ALLOWED.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

from gon.clock import SYSTEM_CLOCK
from gon.errors import GonError
from gon.limits import KIB, MIB
from gon.transport.base import Link
from gon_client.bench.app import STEPS
from gon_client.bench.distance import distance
from gon_client.bench.messages import Play
from gon_client.bench.private import private_host
from gon_client.bench.stage import Address, Stage, open_stage
from gon_client.bench.workloads import play
from gon_client.predict.model import predict
from gon_client.predict.recording import MBIT_BYTES, probed, record
from gon_client.predict.trace import Way
from gon_client.predict.work import work_of

NEAR = "tcp"
FAR = ("tcp+1ms", "tcp+10ms", "tcp+30ms", "tcp+100ms", "tcp+1ms@100mbit", "tcp+10ms@100mbit")
# What a prediction may be off.
ALLOWED = 0.10
TITLE = (
    f"{'workload':<12} {'where':<18} {'predicted':>10} {'measured':>10} {'off':>8} "
    f"{'of least':>8}  measured, all rounds (ms)"
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is run: rounds, and how much a workload does in one."""

    rounds: int
    samples: int
    steps: int
    bulk_bytes: int


FULL = Effort(rounds=7, samples=20, steps=STEPS, bulk_bytes=4 * MIB)
SMOKE = Effort(rounds=1, samples=2, steps=10, bulk_bytes=64 * KIB)


@dataclass(slots=True)
class Row:
    """One workload at one far place."""

    workload: str
    where: str
    predicted_s: list[float] = field(default_factory=list[float])
    measured_s: list[float] = field(default_factory=list[float])

    def text(self) -> str:
        """Return the row as it is printed."""
        predicted, measured = map(statistics.median, (self.predicted_s, self.measured_s))
        least = min(self.predicted_s) / min(self.measured_s) - 1
        off = predicted / measured - 1
        spread = f"{min(self.measured_s) * 1e3:.1f} … {max(self.measured_s) * 1e3:.1f}"
        verdict = "" if min(abs(off), abs(least)) <= ALLOWED else "  off"
        figures = f"{predicted * 1e3:10.1f} {measured * 1e3:10.1f} {off:+8.1%} {least:+8.1%}"
        return f"{self.workload:<12} {self.where:<18} {figures}  {spread:<20}{verdict}"


def later_read(stage: Stage, effort: Effort) -> None:
    """Read what a launch wrote while the program does something of its own for a while."""
    out = np.zeros(1, np.int32)
    for _ in range(effort.samples):
        stage.launch_once()
        future = stage.flag.get_async(out)
        until = time.perf_counter() + 0.005
        while time.perf_counter() < until:
            pass
        future.result()


def workloads(effort: Effort) -> dict[str, Callable[[Stage], None]]:
    """Return what is recorded and measured, by name."""

    def of(name: str, size: int = 0, samples: int = effort.samples) -> Callable[[Stage], None]:
        asked = Play(name, size, samples, effort.steps, False)
        return lambda stage: void(play(stage, asked))

    return {
        "app": of("app", samples=1),
        "mlp": of("mlp"),
        "small_reads": of("small_reads"),
        "later_read": lambda stage: later_read(stage, effort),
        "launch_rate": of("launch_rate", samples=1),
        "h2d": of("h2d", effort.bulk_bytes, 3),
        "d2h": of("d2h", effort.bulk_bytes, 3),
    }


def void(_values: list[float]) -> None:
    """Forget what a workload measured itself."""


def timed_s(work: Callable[[Stage], None], stage: Stage) -> float:
    start = time.perf_counter()
    work(stage)
    return time.perf_counter() - start


def sync_s(stage: Stage) -> float:
    """Return what an empty sync takes."""

    def sync(each: Stage) -> None:
        each.stream.sync()

    samples = max(5, min(25, int(0.05 / timed_s(sync, stage))))
    return statistics.median(timed_s(sync, stage) for _ in range(samples))


def carried(where: str, stage: Stage) -> Way:
    """Return what a far place carries: its cap, or what the proxy itself manages."""
    capped = distance(where).rate_mbit
    if capped:
        return Way(0.0, capped * MBIT_BYTES, capped * MBIT_BYTES)
    return probed(stage.device, SYSTEM_CLOCK)


def renew(stage: Stage) -> None:
    """Have the session begin on a new link, on which nothing is measured yet, as a program's is."""
    link = stage.device.lead
    assert link is not None, "a stage here has a device of another host's"
    found: list[Link] = []

    def look(each: Link) -> Link:
        found.append(each)
        return each

    link(look)
    found[0].close()
    stage.device.sync()


def check(effort: Effort, wheres: Sequence[str], names: Sequence[str]) -> list[Row]:
    """Record, predict and measure; return the rows."""
    chosen = {k: v for k, v in workloads(effort).items() if not names or k in names}
    rows = {(name, where): Row(name, where) for name in chosen for where in wheres}
    with ExitStack() as stack:
        host = stack.enter_context(private_host(())).tcp
        near = stack.enter_context(open_stage(Address(NEAR, host, "")))
        far = {w: stack.enter_context(open_stage(Address(w, host, ""))) for w in wheres}
        for stage in (near, *far.values()):
            for work in chosen.values():
                work(stage)
        for _ in range(effort.rounds):
            carries = {where: carried(where, stage) for where, stage in far.items()}
            for name, work in chosen.items():
                with record(near.device) as recording:
                    work(near)
                trace = recording.trace
                done = work_of(trace)
                for where, stage in far.items():
                    row = rows[name, where]
                    renew(stage)
                    way = replace(carries[where], rtt_s=sync_s(stage))
                    row.predicted_s.append(predict(trace, done, way).total_s)
                    row.measured_s.append(timed_s(work, stage))
    return list(rows.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rows; return the exit status."""
    parser = argparse.ArgumentParser(description="Check predictions against the delay proxy.")
    parser.add_argument("--smoke", action="store_true", help="whether it runs, not how well")
    parser.add_argument("--where", action="append", default=[], metavar="PLACE")
    parser.add_argument("--workload", action="append", default=[], metavar="NAME")
    chosen = parser.parse_args(arguments)
    try:
        rows = check(SMOKE if chosen.smoke else FULL, chosen.where or FAR, chosen.workload)
    except GonError as error:
        sys.stderr.write(f"predict_check: {error}\n")
        return 2
    print(TITLE)
    for row in rows:
        print(row.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
