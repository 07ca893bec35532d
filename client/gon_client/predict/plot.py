"""The picture of a prediction: what the command would take against the round trip, a curve for each
bandwidth.

Imported only when a picture is asked for: matplotlib comes with the extra `gon[plot]`.
"""

# matplotlib types its own arguments, not the keywords it passes on.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gon_client.predict.forecast import Report
from gon_client.predict.quantities import bandwidth_text


def save_plot(report: Report, path: Path) -> None:
    """Draw the report and write it as PNG. Raises OSError."""
    drawing = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    for mbit, group in groupby(report.cells, lambda cell: cell.bandwidth_mbit):
        cells = sorted(group, key=lambda cell: cell.rtt_s)
        axes.plot(
            [cell.rtt_s * 1e3 for cell in cells],
            [cell.total_s for cell in cells],
            marker="o",
            label=bandwidth_text(mbit),
        )
    axes.axhline(report.measured_s, color="grey", linestyle="--", linewidth=1, label="measured")
    if all(cell.rtt_s > 0 for cell in report.cells):
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("round trip, ms")
    axes.set_ylabel("s, less is better")
    axes.set_title(" ".join(report.command)[:80], loc="left", fontsize=10)
    axes.legend(fontsize=8, title="bandwidth")
    drawing.savefig(path, dpi=110, format="png")
