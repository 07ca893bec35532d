"""`gon bench`: what remoting costs on this machine or to that host, as tables, a file and a
picture.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gon.clock import SYSTEM_CLOCK
from gon.errors import DeviceError, InvalidArgument
from gon_client.bench import catalogue, run
from gon_client.bench.catalogue import (
    BINDING,
    DIRECT,
    ENQUEUES,
    FAR_PLACES,
    LIBRARY,
    NATIVE,
    PLACES,
    PLAIN,
    RATES_PLACE,
)
from gon_client.bench.distance import DELAY_MS_MAX, RATE_MBIT_MAX, Distance, distance
from gon_client.bench.machine import machine
from gon_client.bench.placement import Placement, Processors, available, processors
from gon_client.bench.places import Player
from gon_client.bench.private import PrivateHost, private_host
from gon_client.bench.record import Record, load, save, summarise
from gon_client.bench.report import rows_table, targets_table
from gon_client.bench.targets import judge
from gon_client.commands.output import Written, console

_Plot: TypeAlias = Callable[[Sequence[Record], Path], None]
_WritePage: TypeAlias = Callable[[Sequence[Record], Path, Sequence[Record]], None]

_WORKLOADS = [row.id for row in catalogue.ALL]
# Leases that a further one is measured by, and how long gond takes to be at rest with them.
_FURTHER = 4
_REST_S = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for on the command line."""

    host: str
    unit: str
    workloads: tuple[str, ...]
    # None: the usual places.
    asked_wheres: tuple[str, ...] | None
    placements: tuple[Placement, ...]
    effort: run.Effort

    @property
    def wheres(self) -> tuple[str, ...]:
        """The places of GoN's."""
        if self.asked_wheres is not None:
            return self.asked_wheres
        # A unix socket cannot be led through a proxy of TCP.
        far = () if self.host.startswith("unix:") else (*FAR_PLACES, RATES_PLACE)
        return (*PLACES, *far)

    @property
    def rows(self) -> list[catalogue.Workload]:
        """What is measured, and where."""
        rows = catalogue.chosen(self.workloads)
        usual = self.asked_wheres is None
        return [row.at_usual_places() for row in rows] if usual else rows

    @property
    def needs_host(self) -> bool:
        """Whether something is measured that only a gond of the run's own can give."""
        rows = self.rows
        remote = [where for where in self.wheres if where != DIRECT]
        wanted = any(row.plays_at(where) for row in rows for where in remote)
        return not self.host and (wanted or bool(self.memory))

    @property
    def memory(self) -> list[catalogue.Workload]:
        """What is asked of the memory of a gond of the run's own."""
        return [] if self.host else catalogue.chosen_memory(self.workloads)


def _checked(_ctx: click.Context, _param: click.Parameter, names: Sequence[str]) -> tuple[str, ...]:
    """Return the places' names as they are written; refuse others before anything is measured."""
    try:
        return tuple(name if name == DIRECT else str(distance(name)) for name in names)
    except InvalidArgument as error:
        raise click.BadParameter(error.message) from error


@click.command()
@click.option("--host", metavar="URI", help="Measure this host [default: a gond of its own].")
@click.option("--unit", default="", help="The unit to measure [default: the host's choice].")
@click.option("--workload", "workloads", multiple=True, type=click.Choice(_WORKLOADS))
@click.option(
    "--where",
    "wheres",
    multiple=True,
    callback=_checked,
    help="direct, tcp, unix, shm, zmq; tcp+10ms, tcp@100mbit, … through the delay proxy.",
)
@click.option(
    "--delay",
    "delays_ms",
    multiple=True,
    type=click.FloatRange(0, DELAY_MS_MAX),
    metavar="MS",
    help="Also tcp with so much more round trip; with each --rate, if there are some.",
)
@click.option(
    "--rate",
    "rates_mbit",
    multiple=True,
    type=click.FloatRange(0, RATE_MBIT_MAX),
    metavar="MBIT",
    help="Also tcp with at most so many Mbit/s each way.",
)
@click.option(
    "--placement",
    "placements",
    multiple=True,
    type=click.Choice([each.value for each in Placement]),
    help="Which processors both ends have [default: same and split].",
)
@click.option("--quick", is_flag=True, help="Fewer rounds and samples.")
@click.option("--smoke", is_flag=True, help="Everything once: whether it runs, not how fast.")
@click.option("--json", "json_path", type=Written())
@click.option("--plot", "plot_path", type=Written())
@click.option(
    "--report",
    "report_path",
    type=Written(),
    help="Write an HTML page with figures and all rows.",
)
@click.option(
    "--beside",
    "beside_paths",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Rows of other programs (make bench-rivals) to show on the page.",
)
def bench(
    host: str | None,
    unit: str,
    workloads: tuple[str, ...],
    wheres: tuple[str, ...],
    delays_ms: tuple[float, ...],
    rates_mbit: tuple[float, ...],
    placements: tuple[str, ...],
    quick: bool,
    smoke: bool,
    json_path: Path | None,
    plot_path: Path | None,
    report_path: Path | None,
    beside_paths: tuple[Path, ...],
) -> None:
    """Measure latency, launch rate, bandwidth and attach time, beside what nothing can beat."""
    drawings = None if plot_path is None and report_path is None else _drawings()
    beside = [row for path in beside_paths for row in load(path)]
    chosen = tuple(map(Placement, placements)) or _usual_placements()
    effort = run.SMOKE if smoke else run.QUICK if quick else run.FULL
    places = _places(wheres, delays_ms, rates_mbit)
    plan = Plan(host or "", unit, workloads, places, chosen, effort)
    records: list[Record] = []
    tables = console()
    for placement in plan.placements:
        records += measure(plan, placement)
        tables.print(rows_table(records, placement.value))
        if json_path is not None:
            save(records, json_path)
    verdicts = list(judge(records))
    if verdicts:
        tables.print(targets_table(verdicts))
    if drawings is not None:
        plot, write_page = drawings
        if plot_path is not None:
            plot(records, plot_path)
        if report_path is not None:
            write_page(records, report_path, beside)


def _places(
    wheres: Sequence[str], delays_ms: Sequence[float], rates_mbit: Sequence[float]
) -> tuple[str, ...] | None:
    """Return the places that are asked for, each once; None if none is."""
    ways = [Distance("tcp", ms, mbit) for ms in delays_ms or [0] for mbit in rates_mbit or [0]]
    far = [str(way) for way in ways if way.is_far]
    if not wheres and not far:
        return None
    return tuple(dict.fromkeys([*(wheres or (DIRECT, "tcp")), *far]))


def _drawings() -> tuple[_Plot, _WritePage]:
    """Return what draws, before anything is measured in vain."""
    try:
        from gon_client.bench.page import save_page
        from gon_client.bench.plot import save_plot
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise click.ClickException("pictures need matplotlib: pip install 'gon[plot]'") from error
    return save_plot, save_page


def _usual_placements() -> tuple[Placement, ...]:
    return (Placement.SAME, Placement.SPLIT) if len(available()) > 1 else (Placement.SAME,)


def measure(plan: Plan, placement: Placement) -> list[Record]:
    """Play everything at one placement; return the rows."""
    cpus = processors(placement, available())
    with ExitStack() as stack:
        own = stack.enter_context(private_host(cpus.host)) if plan.needs_host else None
        places = [stack.enter_context(player) for player in _players(plan, cpus, own)]
        turns = run.turns(plan.rows, places)
        # At rest: every worker has compiled and run its kernels and holds next to nothing.
        memory = _memory(own, plan, placement, cpus) if own is not None else []
        records: list[Record] = []
        with _progress(sum(run.steps(turn, plan.effort) for turn in turns)) as progress:
            for turn in turns:
                progress.describe(f"{placement.value}: {turn.says}")
                records += run.play(turn, placement.value, plan.effort, progress.step, _tell)
    measured = machine(available())
    return [msgspec.structs.replace(row, machine=measured) for row in records + memory]


def _tell(left_out: str) -> None:
    click.echo(f"gon bench: {left_out}", err=True)


def _players(plan: Plan, cpus: Processors, own: PrivateHost | None) -> Iterator[Player]:
    """Start the players that the plan needs, one after the other."""
    rows = plan.rows
    for where in (*plan.wheres, PLAIN, NATIVE, BINDING, ENQUEUES, LIBRARY):
        if not any(row.plays_at(where) for row in rows):
            continue
        address = plan.host
        if own is not None:
            address = own.unix if where == "unix" else own.tcp
        try:
            yield Player(where, cpus, host=address, unit=plan.unit)
        except DeviceError as error:
            # They need a device backend or a compiler here, which a client need not have.
            if where not in (DIRECT, NATIVE, BINDING, ENQUEUES):
                raise
            click.echo(f"gon bench: without {where}: {error.message}", err=True)


def _memory(own: PrivateHost, plan: Plan, placement: Placement, cpus: Processors) -> list[Record]:
    """Return the rows of the host's memory, its leases open and idle."""
    daemon_mb, worker_mb = own.memory_mb()
    values = {"memory_daemon": daemon_mb, "memory_worker": worker_mb}
    if any(row.id == "memory_lease" for row in plan.memory):
        try:
            values["memory_lease"] = _further_mb(own, cpus, plan.effort)
        except DeviceError as error:
            click.echo(f"gon bench: without memory_lease: {error.message}", err=True)
    return [
        summarise(row.id, catalogue.HOST, placement.value, 0, row.unit, [[values[row.id]]])
        for row in plan.memory
        if row.id in values
    ]


def _further_mb(own: PrivateHost, cpus: Processors, effort: run.Effort) -> float:
    """Return by how much all memory of the host's grows with each lease that runs kernels."""
    further, rest_s = (_FURTHER, _REST_S) if effort.rests else (1, 0)
    with ExitStack() as stack:
        SYSTEM_CLOCK.sleep_s(rest_s)
        before_mb = own.share_mb()
        for _ in range(further):
            stack.enter_context(Player("tcp", cpus, host=own.tcp))
        SYSTEM_CLOCK.sleep_s(rest_s)
        return (own.share_mb() - before_mb) / further


class _Steps:
    """A progress bar that is drawn between rounds only: a drawing thread would disturb them."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=total)

    def describe(self, text: str) -> None:
        if not self._progress.console.is_terminal:
            click.echo(text, err=True)
        self._progress.update(self._bar, description=text, refresh=True)

    def step(self) -> None:
        self._progress.update(self._bar, advance=1, refresh=True)


@contextmanager
def _progress(total: int) -> Generator[_Steps]:
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    where = Console(stderr=True)
    with Progress(*columns, console=where, auto_refresh=False, transient=True) as progress:
        yield _Steps(progress, total)
