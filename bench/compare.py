"""Compare two runs of `gon bench --json`: python bench/compare.py BEFORE.json AFTER.json

A row is starred when it is not like for like: it is in one file only, or the two differ in unit,
placement, machine, number of samples, or in the work that a rival does. A change is marked ~ when
the two runs' rounds overlap: it may be chance. Exit status 0, or 1 with `--fail-above PERCENT` if a
row that is like for like got worse by more.

`--rivals` compares within files instead: GoN over tcp with each other program's row of the same
workload, size and placement, starred where the two are not the same work.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gon.errors import GonError
from gon_client.bench.record import Record, load, size_text
from gon_client.bench.report import figure
from gon_client.bench.rivalry import difference, rivalries
from gon_client.commands.output import FILE_WIDTH


@dataclass(frozen=True, slots=True)
class Pair:
    """One row of both runs; either may be missing."""

    before: Record | None
    after: Record | None

    @property
    def row(self) -> Record:
        row = self.after or self.before
        assert row is not None, "a pair has at least one side"
        return row

    @property
    def unlike(self) -> str:
        """Why the two are not like for like; "" if they are."""
        if self.before is None or self.after is None:
            return "in one run only"
        return difference(self.before, self.after) or self.before.unlike or self.after.unlike

    @property
    def worse_percent(self) -> float:
        """How much more the later one costs, in percent; negative if better; 0 where unlike."""
        if self.before is None or self.after is None or self.unlike or not self.before.p50:
            return 0.0
        ratio = self.after.p50 / self.before.p50
        if self.row.more_is_better:
            ratio = 1 / ratio if ratio else float("inf")
        return (ratio - 1) * 100

    @property
    def is_within_spread(self) -> bool:
        """Whether each run's rounds reached the other's median: a difference that may be chance."""
        if self.before is None or self.after is None:
            return False
        low, high = max(self.before.low, self.after.low), min(self.before.high, self.after.high)
        return low <= high


def pairs(before: Sequence[Record], after: Sequence[Record]) -> Iterator[Pair]:
    """Match the rows of two runs, in the order of the first, then what only the second has.

    A row whose placement the other run has not at all stands beside one of another placement, to
    be starred.
    """
    first = {record.key: record for record in before}
    second = {record.key: record for record in after}
    both = {record.placement for record in before} & {record.placement for record in after}
    moved = {_anywhere(r): r for r in reversed(after) if r.placement not in both}
    for key, row in first.items():
        other = second.pop(key, None)
        if other is None and row.placement not in both:
            other = moved.pop(_anywhere(row), None)
            if other is not None:
                del second[other.key]
        yield Pair(row, other)
    for row in second.values():
        yield Pair(None, row)


def _anywhere(row: Record) -> tuple[str, str, int]:
    return (row.id, row.where, row.size_bytes)


def rivals_table(records: Sequence[Record]) -> Table:
    """Return GoN's rows over tcp beside the other programs' of the same runs."""
    table = Table("workload", "size", "placement", "program")
    for name in ("median", "GoN", "unit", "GoN is better by", ""):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for each in rivalries(records, records):
        table.add_section()
        for row in each.theirs:
            times, why = each.times_better(row), each.unlike(row)
            table.add_row(
                row.id,
                size_text(row.size_bytes) if row.size_bytes else "",
                row.placement,
                row.where,
                figure(row.p50),
                figure(each.ours.p50),
                row.unit,
                "" if times is None else f"[{'green' if times >= 1 else 'red'}]{figure(times)}×[/]",
                f"* {why}" if why else "",
            )
    return table


def table_of(compared: Sequence[Pair]) -> Table:
    """Return the comparison as a table."""
    table = Table("workload", "size", "where", "placement")
    for name in ("before", "after", "unit", "change", ""):
        table.add_column(name, justify="right")
    for pair in compared:
        row = pair.row
        table.add_row(
            row.id,
            size_text(row.size_bytes) if row.size_bytes else "",
            row.where,
            row.placement,
            figure(pair.before.p50) if pair.before else "",
            figure(pair.after.p50) if pair.after else "",
            row.unit,
            "" if pair.unlike else change_text(pair),
            f"* {pair.unlike}" if pair.unlike else "",
        )
    return table


def change_text(pair: Pair) -> str:
    """Return how the later run stands, and whether that is more than chance."""
    percent = pair.worse_percent
    if pair.is_within_spread:
        return f"~ {abs(percent):.0f} %"
    return f"[red]{percent:.0f} % worse[/]" if percent > 0 else f"[green]{-percent:.0f} % better[/]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two files; return the exit status."""
    parser = argparse.ArgumentParser(description="Compare two runs of gon bench.")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path, nargs="?")
    parser.add_argument("--rivals", action="store_true", help="other programs within the files")
    parser.add_argument("--fail-above", type=float, metavar="PERCENT")
    chosen = parser.parse_args(arguments)
    if chosen.after is None and not chosen.rivals:
        parser.error("a second file is needed, or --rivals")
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    try:
        before = load(chosen.before)
        after = load(chosen.after) if chosen.after is not None else []
    except (OSError, GonError) as error:
        sys.stderr.write(f"compare: {error}\n")
        return 2
    if chosen.rivals:
        console.print(rivals_table([*before, *after]))
        return 0
    compared = list(pairs(before, after))
    console.print(table_of(compared))
    if chosen.fail_above is None:
        return 0
    worse = [p for p in compared if not p.is_within_spread and p.worse_percent > chosen.fail_above]
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
