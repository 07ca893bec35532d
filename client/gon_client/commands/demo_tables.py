"""The tables that `gon demo` prints: what each stage took at each place, how far its results are
from the references, and how the digits came out.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from gon.limits import KIB
from gon_client.demo.record import Check, Measurement, Report, Stage

# Columns of tables that go into a file.
FILE_WIDTH = 100
ABOUT_TIMES = (
    "Each run uploads its input, computes, and reads its results back. Times are medians of "
    "{rounds} rounds in which the places took turns; direct is the same program on a device in "
    "this process. Ops, round trips and KiB are what one run put on the network: ops are posted, "
    "only large uploads and the reads at the end wait."
)
ABOUT_DIFFERENCES = (
    "Differences are the largest of any pixel or digit in any round. Blur and edges are levels of "
    "255, compared with SciPy's real numbers (gaussian_filter1d, sobel): half a level is the "
    "rounding to bytes, 0.001 what 32-bit arithmetic may add. Everything else must be equal: the "
    "equalised levels (SciPy's histogram, added up), the classes (scikit-learn's "
    "KNeighborsClassifier, the same ties) and the squared distances of the neighbours."
)


def times_table(report: Report) -> Table:
    """Return a row for each stage at each place: time and traffic."""
    table = _table("the same program at each place")
    for name in ("stage", "where"):
        table.add_column(name, no_wrap=True)
    for name in ("ms", "× direct", "ops", "round trips", "KiB up", "KiB down"):
        table.add_column(name, justify="right")
    direct = {row.stage: row for row in report.measurements if row.where == "direct"}
    for stage in _stages(report):
        table.add_section()
        for number, row in enumerate(_rows(report, stage)):
            table.add_row(
                "" if number else stage.value,
                row.where,
                f"{row.median_ms:.2f}",
                _ratio(row, direct.get(stage)),
                *_traffic(row),
            )
    return table


def differences_table(report: Report) -> Table:
    """Return a row for each comparison of each stage, a column for each place."""
    table = _table("largest difference from the reference")
    for name in ("stage", "result"):
        table.add_column(name, no_wrap=True)
    wheres = tuple(dict.fromkeys(row.where for row in report.measurements))
    for name in (*wheres, "allowed"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for stage in _stages(report):
        rows = _rows(report, stage)
        table.add_section()
        for number, checks in enumerate(zip(*(row.checks for row in rows), strict=True)):
            table.add_row(
                "" if number else stage.value,
                checks[0].name,
                *map(_difference, checks),
                _number(checks[0].tolerance),
                _verdict(checks),
            )
    return table


def digits_table(report: Report) -> Table:
    """Return a row for each place: accuracy there and of the reference, and agreement."""
    table = _table("handwritten digits, 5 nearest neighbours")
    table.add_column("where")
    for name in ("asked", "right", "right by scikit-learn", "same class"):
        table.add_column(name, justify="right")
    for score in report.scores:
        table.add_row(
            score.where,
            f"{score.asked}",
            f"{score.right} ({score.right / score.asked:.2%})",
            f"{score.right_by_reference} ({score.right_by_reference / score.asked:.2%})",
            f"{score.agreed} ({score.agreed / score.asked:.2%})",
        )
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD)


def _stages(report: Report) -> tuple[Stage, ...]:
    return tuple(dict.fromkeys(row.stage for row in report.measurements))


def _rows(report: Report, stage: Stage) -> list[Measurement]:
    return [row for row in report.measurements if row.stage is stage]


def _ratio(row: Measurement, direct: Measurement | None) -> str:
    if direct is None or direct is row:
        return ""
    return f"{row.median_ms / direct.median_ms:.2f}"


def _traffic(row: Measurement) -> tuple[str, str, str, str]:
    moved = row.traffic
    if moved.ops == 0:
        return ("", "", "", "")
    return (
        f"{moved.ops}",
        f"{moved.round_trips}",
        f"{moved.bytes_up / KIB:,.1f}",
        f"{moved.bytes_down / KIB:,.1f}",
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else f"{value:.4f}"


def _difference(check: Check) -> str:
    text = _number(check.difference)
    return text if check.passed else f"[red]{text}[/]"


def _verdict(checks: Sequence[Check]) -> str:
    return "[green]agrees[/]" if all(check.passed for check in checks) else "[red]DIFFERS[/]"
