"""Run suites of OpenCL directly and through GoN's driver: python -m tests.suites.run

Each suite runs twice, one way after the other: on the runtime that a software-defined unit stands
on, in the program's own process, and by `gon run` over tcp on a unit of a gond started here. The
table of both goes to the standard output and into `out/conformance.md`. The status is 1 if a test
fails through GoN alone and `catalogue.py` does not know why, 2 if nothing can be run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gon.limits import MIB
from gon_client.bench.baselines import PlainBaselines
from gon_client.bench.placement import available
from gon_server.devices.opencl_runtime import intel_library
from gon_shim.embedding import missing
from tests.e2e.gond_process import real_gond
from tests.suites import packages
from tests.suites.catalogue import BUILT, CLPEAK, LATENCY, READ, SUITES, WRITE, Suite
from tests.suites.tallies import Tally, figures
from tests.suites.ways import DIRECT, GON, Ended, Way, directly, through_gon

# Debian's loader, which programs that bring none are linked with or look for.
LOADER = "ocl-icd-libopencl1"
# Of what a suite said that went wrong.
TOLD_LINES = 40
_COPY_BYTES, _COPY_SAMPLES = 64 * MIB, 15


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a suite; `ended` by the way's name, empty if it cannot be had: `why`."""

    suite: Suite
    version: str = ""
    ended: tuple[tuple[str, Ended, Tally], ...] = ()
    why: str = ""

    @property
    def unexplained(self) -> tuple[str, ...]:
        """The tests that fail through GoN, not directly, for no reason that is known."""
        failed = {way: set(tally.failed) for way, _ended, tally in self.ended}
        alone = failed.get(GON, set[str]()) - failed.get(DIRECT, set[str]())
        return tuple(sorted(alone - self.suite.known.keys()))


def play(suite: Suite, ways: Sequence[Way], *, quick: bool) -> Row:
    """Run a suite by all ways."""
    command = suite.quick if quick else suite.command
    try:
        versions = [packages.program(each) for each in suite.programs]
        version = suite.package.partition("==")[2] or "".join(versions[:1])
        wanted = (*((suite.package,) if suite.package else ()), *suite.packages)
        if wanted:
            command = (str(packages.python(wanted, suite.build)), *command)
        elif not versions:
            command = (str(packages.built(BUILT) / command[0]), *command[1:])
        where = packages.sources(suite.package) / suite.tests if suite.tests else packages.ROOT
        layers = {"OPENCL_LAYERS": str(packages.layer("as_gpu"))} if suite.as_gpu else {}
    except packages.MissingError as error:
        return Row(suite, why=str(error))
    found: list[tuple[str, Ended, Tally]] = []
    for way in ways:
        ended = way.run(command, where, {**suite.settings, **layers}, suite.limit_s)
        tally = suite.read(ended.output, ended.status)
        print(
            f"{suite.name} {version} {way.name}: {tally.passed} passed, {len(tally.failed)} failed,"
            f" {tally.skipped} left out; {ended.took_s:.0f} s",
            flush=True,
        )
        found.append((way.name, ended, tally))
    return Row(suite, version, tuple(found))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Give the lines of a table: passed / failed / left out."""
    yield f"| suite | version | {GON} | {DIRECT} | fails {GON} alone |"
    yield "|---|---|---|---|---|"
    for row in rows:
        tallies = {way: tally for way, _ended, tally in row.ended}
        counts = [_counts(tallies[way]) if way in tallies else "–" for way in (GON, DIRECT)]
        alone = dict.fromkeys(row.unexplained, "?")
        told = tallies[GON].failed if GON in tallies else ()
        alone |= {name: row.suite.known[name] for name in told if name in row.suite.known}
        why = "; ".join(f"{name}: {reason}" for name, reason in alone.items()) or row.why
        yield f"| {row.suite.name} | {row.version} | {' | '.join(counts)} | {why} |"


def _counts(tally: Tally) -> str:
    return f"{tally.passed} / {len(tally.failed)} / {tally.skipped}"


def speeds(rows: Sequence[Row]) -> Iterator[str]:
    """Give what clpeak says of launches and transfers, beside a copy over a socket."""
    told = {
        way: dict(figures(ended.output))
        for row in rows
        for way, ended, _tally in row.ended
        if row.suite.name == CLPEAK.name
    }
    if len(told) < 2:
        return
    for name in (LATENCY, WRITE, READ):
        if name in told[GON] and name in told[DIRECT]:
            unit = "µs" if name == LATENCY else "GB/s"
            yield f"clpeak, {name}: {told[GON][name]} {unit} {GON}, {told[DIRECT][name]} {DIRECT}"
    if WRITE in told[GON]:
        baselines = PlainBaselines(available())
        try:
            rates = baselines.play("socket_copy", _COPY_BYTES, _COPY_SAMPLES)
        finally:
            baselines.close()
        yield f"one way over a socket, {_COPY_BYTES >> 20} MiB: {statistics.median(rates):.2f} GB/s"


def main() -> int:
    """Run what is asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.suites.run", description=__doc__)
    names = [suite.name for suite in SUITES]
    parser.add_argument("--suite", action="append", choices=names, help="this one only")
    parser.add_argument("--quick", action="store_true", help="the short ones, shorter")
    parser.add_argument("--to", type=Path, default=packages.ROOT / "out" / "conformance.md")
    chosen = parser.parse_args()
    named = chosen.suite or [each.name for each in SUITES if not each.large]
    asked = [each for each in SUITES if each.name in named]
    suites = [each for each in asked if each.quick or not chosen.quick]
    library = intel_library()
    lacks = missing() or ("" if library else "Intel's runtime: pip install 'gon[soft]'")
    if lacks or library is None:
        print(f"the driver cannot be tried: there is not {lacks}", file=sys.stderr)
        return 2
    try:
        packages.program(LOADER)
    except packages.MissingError as error:
        print(error, file=sys.stderr)
        return 2
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gon-suites-")))
        gond = stack.enter_context(real_gond(folder, unit="eagphpu0=opencl:,slices=1"))
        ways = [through_gon(folder / "gon", gond.tcp), directly(folder / "direct", library)]
        rows = [play(suite, ways, quick=chosen.quick) for suite in suites]
    lines = [*table(rows), "", *speeds(rows)]
    chosen.to.parent.mkdir(parents=True, exist_ok=True)
    chosen.to.write_text("\n".join([*lines, ""]), "utf-8")
    print("\n".join(lines))
    if not any(row.ended for row in rows):
        print("no suite can be had here", file=sys.stderr)
        return 2
    return complain(rows)


def complain(rows: Sequence[Row]) -> int:
    """Print what a suite said where a test failed through GoN alone; return the exit status."""
    wrong = [row for row in rows if row.unexplained]
    for row in wrong:
        said = next(ended.output for way, ended, _tally in row.ended if way == GON)
        print(f"{row.suite.name}: {', '.join(row.unexplained)}", file=sys.stderr)
        print("\n".join(said.splitlines()[-TOLD_LINES:]), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
