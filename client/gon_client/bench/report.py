"""The tables that `gon bench` prints: rows with their ratios, and what was asked and reached.

Rules: a ratio is a row's p50 by that of `direct` or of its baseline, same placement, same size;
below 1 is better for times, above 1 for rates. Must not know: how anything was measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from gon_client.bench.catalogue import by_id
from gon_client.bench.record import Record, size_text
from gon_client.bench.targets import Verdict

_ARROWS = {True: "↑", False: "↓"}


def figure(value: float) -> str:
    """Return a number with three or four significant digits, in full where it is a count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ratio(row: Record, reference: Record | None) -> str:
    """Return how a row stands to its reference, "" where there is none or it is its own."""
    if reference is None or reference is row or reference.p50 == 0 or reference.unit != row.unit:
        return ""
    return f"{row.p50 / reference.p50:.2f}×"


def rows_table(records: Sequence[Record], placement: str) -> Table:
    """Return the rows of one placement; an arrow beside the unit says which way is better."""
    table = Table(title=f"placement {placement}", title_justify="left")
    for name in ("workload", "size", "where"):
        table.add_column(name, no_wrap=True)
    for name in ("p50", "p99", "rounds' p50", "unit", "× direct", "× baseline", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    mine = [record for record in records if record.placement == placement]
    by_key = {record.key: record for record in mine}
    before = ("", -1)
    for row in mine:
        if (row.id, row.size_bytes) != before:
            table.add_section()
        direct = by_key.get((row.id, "direct", placement, row.size_bytes))
        table.add_row(
            row.id if (row.id, row.size_bytes) != before else "",
            size_text(row.size_bytes) if row.size_bytes else "",
            row.where,
            figure(row.p50),
            figure(row.p99),
            f"{figure(row.low)} … {figure(row.high)}",
            f"{row.unit} {_ARROWS[row.more_is_better]}",
            ratio(row, direct),
            ratio(row, baseline_of(row, mine)),
            f"{row.n:,}",
        )
        before = (row.id, row.size_bytes)
    return table


def baseline_of(row: Record, records: Sequence[Record]) -> Record | None:
    """Return the row's baseline among `records`."""
    wanted = by_id(row.id).baseline
    return next(
        (
            other
            for other in records
            if other.id == wanted
            and other.size_bytes == row.size_bytes
            and other.placement == row.placement
        ),
        None,
    )


def targets_table(verdicts: Sequence[Verdict]) -> Table:
    """Return what was asked and reached."""
    table = Table(title="asked and reached", title_justify="left")
    for name in ("target", "placement", "asked", "measured", "met"):
        table.add_column(name, no_wrap=True)
    for verdict in verdicts:
        met = "[green]yes[/]" if verdict.met else "[red]no[/]"
        table.add_row(verdict.target, verdict.placement, verdict.asked, verdict.measured, met)
    return table
