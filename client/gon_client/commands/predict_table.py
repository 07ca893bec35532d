"""What `gon predict` prints: what was measured, what each way would take, which lines wait."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from gon.limits import KIB, MIB
from gon_client.predict.forecast import Report, WaitingLine
from gon_client.predict.quantities import bandwidth_text, rtt_text

# Lines of the program that are shown.
LINES_SHOWN = 10


def seconds(value: float) -> str:
    """Return a duration with three significant digits."""
    if value < 1:
        return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.0f} µs"
    return f"{value:.3g} s" if value < 100 else f"{value:,.0f} s"


def size(count: int) -> str:
    """Return a number of bytes."""
    if count < 10 * KIB:
        return f"{count:,} bytes"
    return f"{count / KIB:,.0f} KiB" if count < 10 * MIB else f"{count / MIB:,.0f} MiB"


def shown(report: Report, here: Path) -> Group:
    """Return all that is to be printed; paths below `here` are shown from there."""
    said = [Text(f"note: {note}") for note in report.notes]
    return Group(Text(summary(report)), ways_table(report), lines_table(report, here), *said)


def summary(report: Report) -> str:
    """Return what was measured, in one sentence."""
    return (
        f"{seconds(report.measured_s)} measured, {seconds(report.waiting_s)} of it in "
        f"{report.waits:,} waits for a device {seconds(report.rtt_s)} away; "
        f"{size(report.bytes_up)} up, {size(report.bytes_down)} down"
    )


def ways_table(report: Report) -> Table:
    """Return what the command would take, one row a way."""
    table = Table(title="it would take", title_justify="left")
    for name in ("bandwidth", "round trip", "takes", "× measured", "of it in waits"):
        table.add_column(name, justify="left" if name == "bandwidth" else "right", no_wrap=True)
    before = ""
    for cell in report.cells:
        name = bandwidth_text(cell.bandwidth_mbit)
        if name != before:
            table.add_section()
        table.add_row(
            name if name != before else "",
            rtt_text(cell.rtt_s),
            seconds(cell.total_s),
            f"{cell.total_s / report.measured_s:.2f}",
            f"{cell.waiting_s / cell.total_s:.0%}" if cell.total_s else "",
        )
        before = name
    return table


def lines_table(report: Report, here: Path) -> Table:
    """Return the lines that wait, those that cost most first."""
    farthest = max(cell.rtt_s for cell in report.cells)
    table = Table(title="who waits", title_justify="left")
    table.add_column("line", overflow="fold")
    for name in ("waits", "measured", f"{rtt_text(farthest)} away"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in report.lines[:LINES_SHOWN]:
        taken = (f"{line.waits:,}", seconds(line.waiting_s), seconds(line.farthest_s))
        table.add_row(place(line, here), *taken)
    left = report.lines[LINES_SHOWN:]
    if left:
        table.add_row(
            f"{len(left)} more lines",
            f"{sum(line.waits for line in left):,}",
            seconds(sum(line.waiting_s for line in left)),
            seconds(sum(line.farthest_s for line in left)),
        )
    return table


def place(line: WaitingLine, here: Path) -> str:
    """Return a line's name, from `here` if it is below."""
    path, colon, number = line.origin.rpartition(":")
    if colon and Path(path).is_relative_to(here):
        return f"{Path(path).relative_to(here)}:{number}"
    return line.origin
