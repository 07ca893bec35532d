"""The picture of a run: one panel a workload and size, one bar a place, the spread between rounds
as whiskers.

Imported only when a picture is asked for: matplotlib comes with the extra `gon[plot]`.
"""

# matplotlib types its own arguments, not the keywords it passes on.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gon_client.bench.record import Record, size_text
from gon_client.bench.report import baseline_of, figure

_COLUMNS = 3
_COLOURS = {"same": "#4c78a8", "split": "#f58518", "free": "#54a24b"}


def save_plot(records: Sequence[Record], path: Path) -> None:
    """Draw the rows and write them as PNG. Raises OSError."""
    panels = [
        (identifier, size)
        for identifier, size in dict.fromkeys((row.id, row.size_bytes) for row in records)
        if any(row.where == "direct" for row in records if row.id == identifier)
    ] or list(dict.fromkeys((row.id, row.size_bytes) for row in records))
    lines = math.ceil(len(panels) / _COLUMNS)
    drawing = Figure(figsize=(5 * _COLUMNS, 3.4 * lines), layout="constrained")
    FigureCanvasAgg(drawing)
    for number, (identifier, size) in enumerate(panels, 1):
        mine = [row for row in records if (row.id, row.size_bytes) == (identifier, size)]
        _draw(drawing.add_subplot(lines, _COLUMNS, number), mine, records)
    drawing.savefig(path, dpi=110, format="png")


def _draw(axes: Axes, rows: Sequence[Record], records: Sequence[Record]) -> None:
    first = rows[0]
    size = f", {size_text(first.size_bytes)}" if first.size_bytes else ""
    better = "more is better" if first.more_is_better else "less is better"
    axes.set_title(f"{first.id}{size}", loc="left", fontsize=11)
    axes.set_ylabel(f"{first.unit}, {better}", fontsize=9)
    placements = list(dict.fromkeys(row.placement for row in rows))
    wheres = list(dict.fromkeys(row.where for row in rows))
    width = 0.8 / len(placements)
    for shift, placement in enumerate(placements):
        mine = [row for row in rows if row.placement == placement]
        left = [wheres.index(row.where) + (shift + 0.5) * width - 0.4 for row in mine]
        spread = [[row.p50 - row.low for row in mine], [row.high - row.p50 for row in mine]]
        bars = axes.bar(
            left,
            [row.p50 for row in mine],
            width,
            yerr=[[max(0.0, value) for value in side] for side in spread],
            color=_COLOURS[placement],
            label=placement,
            capsize=3,
        )
        axes.bar_label(bars, [figure(row.p50) for row in mine], fontsize=7, padding=2)
        baseline = baseline_of(mine[0], records)
        if baseline is not None:
            label = f"{baseline.id}, {placement}"
            colour = _COLOURS[placement]
            axes.axhline(baseline.p50, color=colour, linestyle="--", linewidth=1, label=label)
    axes.set_xticks(range(len(wheres)), wheres)
    axes.margins(y=0.15)
    axes.legend(fontsize=7)
