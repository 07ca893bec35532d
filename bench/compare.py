"""Compare two runs of `gon bench --json`: python bench/compare.py BEFORE.json AFTER.json

A row is starred when it is not like for like: it is in one file only, its unit differs, or it
was measured with another number of samples. A change is marked ~ when the two runs' rounds overlap:
it may be chance. Exit status 0, or 1 with `--fail-above PERCENT` if a row that is like for like got
worse by more.
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
from gon_client.bench.report import FILE_WIDTH, figure


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
        if self.before.unit != self.after.unit:
            return f"{self.before.unit} and {self.after.unit}"
        if (self.before.n, self.before.rounds) != (self.after.n, self.after.rounds):
            return "other number of samples"
        return ""

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
    """Match the rows of two runs, in the order of the first, then what only the second has."""
    first = {record.key: record for record in before}
    second = {record.key: record for record in after}
    for key in dict.fromkeys([*first, *second]):
        yield Pair(first.get(key), second.get(key))


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
    parser.add_argument("after", type=Path)
    parser.add_argument("--fail-above", type=float, metavar="PERCENT")
    chosen = parser.parse_args(arguments)
    try:
        compared = list(pairs(load(chosen.before), load(chosen.after)))
    except (OSError, GonError) as error:
        sys.stderr.write(f"compare: {error}\n")
        return 2
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table_of(compared))
    if chosen.fail_above is None:
        return 0
    worse = [p for p in compared if not p.is_within_spread and p.worse_percent > chosen.fail_above]
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
