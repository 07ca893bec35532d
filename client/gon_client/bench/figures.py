"""The figures of a report, as SVG text: how latencies are spread, what round-trip time and size do.

Imported only when a report is asked for: matplotlib comes with the extra `gon[plot]`. Rules: one
column a placement, never two in one panel; a figure whose rows are not there is "".
"""

# matplotlib types its own arguments, not the keywords it passes on.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from gon_client.bench.catalogue import BINDING, DIRECT, NATIVE, PLACES, PLAIN, by_id
from gon_client.bench.distance import delay_ms_of, is_far
from gon_client.bench.record import QUANTILES, Record, size_text
from gon_client.bench.report import figure

_INK, _PALE, _GRID = "#1f2937", "#6b7280", "#e5e7eb"
COLOURS = {
    DIRECT: "#111827",
    "tcp": "#2563eb",
    "unix": "#0d9488",
    "zmq": "#d97706",
    PLAIN: "#9ca3af",
    NATIVE: "#6b7280",
    BINDING: "#9ca3af",
}
_FAR_COLOURS = ("#7c9cf5", "#8b7cf0", "#a35ee0", "#c044c0", "#d33a86", "#dc3545")
_WORKLOAD_COLOURS = {
    "rtt_empty": "#94a3b8",
    "rtt_launch": "#2563eb",
    "small_reads": "#0d9488",
    "mlp": "#d97706",
    "app": "#c026d3",
}
_STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    # Identifiers in the text come from its content: the same rows give the same page.
    "svg.hashsalt": "gon",
    "font.size": 9.5,
    "text.color": _INK,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": _PALE,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _PALE,
    "ytick.color": _PALE,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
}
_LATENCIES = ("rtt_empty", "rtt_launch", "small_reads")
_WIDTH = 5.6
# Delays nearer to each other than this share a name on the axis.
_APART = 2
# An axis that spans less has ticks at 1, 2 and 5.
_FEW_DECADES = 200


def colour_of(where: str, all_far: Sequence[str] = ()) -> str:
    """Return the colour of a place; far ones are told apart by how far they are."""
    if where in COLOURS:
        return COLOURS[where]
    rank = all_far.index(where) if where in all_far else 0
    return _FAR_COLOURS[min(rank, len(_FAR_COLOURS) - 1)]


def latency_figure(records: Sequence[Record]) -> str:
    """Draw each near place's latencies: a line from p1 to p99, a bar of the middle half, the
    median.
    """
    rows = [row for row in records if row.quantiles and not is_far(row.where)]
    panels = [each for each in _LATENCIES if any(row.id == each for row in rows)]
    return _grid(rows, panels, 2.3, _draw_spread)


def _draw_spread(axes: Axes, workload: str, rows: Sequence[Record]) -> None:
    echoes = {"socket_echo": "socket echo, Python", "c_echo": "socket echo, C"}
    mine = [row for row in rows if row.id == workload or row.id in echoes]
    mine.sort(key=lambda row: row.id in echoes)
    for place, row in enumerate(mine):
        value = dict(zip(QUANTILES, row.quantiles, strict=True))
        colour = colour_of(row.where)
        axes.plot([value[1.0], value[99.0]], [place, place], color=colour, linewidth=1.4, alpha=0.7)
        axes.barh(
            place,
            value[75.0] - value[25.0],
            0.5,
            value[25.0],
            color=colour,
            alpha=0.35,
            linewidth=0,
        )
        axes.plot([row.p50], [place], "o", color=colour, markersize=5)
        axes.plot([row.p99], [place], "|", color=colour, markersize=9)
        _say(axes, figure(row.p50), (row.p50, place), (0, 7), colour)
    axes.set_xscale("log")
    _plain_ticks(axes, "x")
    axes.set_yticks(range(len(mine)), [echoes.get(row.id, row.where) for row in mine])
    axes.set_ylim(len(mine) - 0.5, -0.7)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"{workload}: {by_id(workload).says}")
    axes.set_xlabel("µs: p1 to p99 (line), middle half (bar), median (dot)")


def distance_figure(records: Sequence[Record]) -> str:
    """Draw what a workload costs more than `direct` against the round trip that was added."""
    rows = [row for row in records if _is_on_the_way(row)]
    if not any(is_far(row.where) for row in rows):
        return ""
    return _grid(rows, ["overhead", "rate"], 3.2, _draw_distance)


def _is_on_the_way(row: Record) -> bool:
    return row.where == DIRECT or row.where == "tcp" or (is_far(row.where) and "@" not in row.where)


def _draw_distance(axes: Axes, panel: str, rows: Sequence[Record]) -> None:
    delays = sorted({delay_ms_of(row.where) for row in rows if is_far(row.where)})
    # tcp itself has no place on a logarithmic axis: it is drawn left of the nearest.
    left = min(delays) / 4
    # Before anything is drawn: changing the scale forgets how ticks are written.
    axes.set_xscale("log")
    axes.set_yscale("log")
    if panel == "rate":
        _draw_rate(axes, rows, left)
    else:
        _draw_overhead(axes, rows, left)
    axes.xaxis.set_minor_locator(NullLocator())
    named = _apart(delays)
    axes.set_xticks([left, *named], ["tcp", *(f"{delay:g}" for delay in named)])
    axes.set_xlabel("round trip added, ms")


def _draw_overhead(axes: Axes, rows: Sequence[Record], left: float) -> None:
    drawn: set[int] = set()
    for workload, colour in _WORKLOAD_COLOURS.items():
        mine = [row for row in rows if row.id == workload]
        direct = next((row.p50 for row in mine if row.where == DIRECT), None)
        if direct is None:
            continue
        in_ms = 1e-3 if mine[0].unit == "µs" else 1.0
        points = sorted(
            (delay_ms_of(row.where) or left, (row.p50 - direct) * in_ms)
            for row in mine
            if row.where != DIRECT and row.p50 > direct
        )
        if points:
            axes.plot(*zip(*points, strict=True), "o-", color=colour, markersize=4, label=workload)
        drawn.add(by_id(workload).waits)
    delays = [left * 4, max(delay_ms_of(row.where) for row in rows)]
    for waits in sorted(drawn):
        name = "one round trip" if waits == 1 else f"{waits} round trips"
        costs = [waits * delay for delay in delays]
        axes.plot(delays, costs, "--", color=_PALE, linewidth=1, alpha=0.7)
        _say(axes, name, (delays[1], costs[1]), (-4, 5), _PALE, side="right")
    axes.set_title("Time beyond direct, against round-trip time")
    axes.set_ylabel("ms more than direct (mlp: a step)")
    _plain_ticks(axes, "y")
    axes.legend(loc="lower right")


def _draw_rate(axes: Axes, rows: Sequence[Record], left: float) -> None:
    mine = [row for row in rows if row.id == "launch_rate"]
    points = sorted(
        (delay_ms_of(row.where) or left, row.p50 / 1e3) for row in mine if row.where != DIRECT
    )
    if points:
        axes.plot(*zip(*points, strict=True), "o-", color=COLOURS["tcp"], markersize=4)
        named = _apart([delay for delay, _rate in points])
        for delay, rate in (point for point in points if point[0] in named):
            _say(axes, figure(rate), (delay, rate), (0, 7), COLOURS["tcp"])
    for row in mine:
        if row.where == DIRECT:
            axes.axhline(row.p50 / 1e3, color=COLOURS[DIRECT], linewidth=1.2, linestyle="--")
            rightmost = max(delay_ms_of(each.where) for each in mine)
            _say(axes, "direct", (rightmost, row.p50 / 1e3), (0, 4), COLOURS[DIRECT])
    axes.set_title("Posted launches, against round-trip time")
    axes.set_ylabel("thousand launches a second")
    axes.margins(y=0.2)
    _plain_ticks(axes, "y")


def _apart(delays: Sequence[float]) -> list[float]:
    """Return those of ascending delays that are far enough from the one before to be written."""
    kept: list[float] = []
    for delay in delays:
        if not kept or delay >= _APART * kept[-1]:
            kept.append(delay)
    return kept


def bandwidth_figure(records: Sequence[Record]) -> str:
    """Draw GB/s of copies against their size, near and far."""
    rows = [row for row in records if row.size_bytes and row.unit == "GB/s"]
    panels = [each for each in ("h2d", "d2h") if any(row.id == each for row in rows)]
    return _grid(rows, panels, 3.2, _draw_bandwidth)


def _draw_bandwidth(axes: Axes, workload: str, rows: Sequence[Record]) -> None:
    far = sorted({row.where for row in rows if is_far(row.where)}, key=delay_ms_of)
    baselines = {"memcpy": "memcpy", "socket_copy": "socket copy"}
    lines = [(where, workload, where) for where in (*PLACES, *far)]
    lines += [(name, identifier, PLAIN) for identifier, name in baselines.items()]
    for name, identifier, where in lines:
        points = sorted(
            (row.size_bytes, row.p50)
            for row in rows
            if row.id == identifier and row.where == where and row.p50 > 0
        )
        if not points:
            continue
        style = ":" if identifier in baselines else "-"
        axes.plot(
            *zip(*points, strict=True),
            f"o{style}",
            color=_PALE if identifier == "memcpy" else colour_of(where, far),
            linewidth=1.2 if where in far else 1.8,
            markersize=3 if where in far else 4,
            label=name,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = sorted({row.size_bytes for row in rows})
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sizes, [size_text(size) for size in sizes])
    _plain_ticks(axes, "y")
    axes.set_title(f"{workload}: {by_id(workload).says}")
    axes.set_ylabel("GB/s")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _say(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    shift: tuple[float, float],
    colour: str,
    side: Literal["center", "right"] = "center",
) -> None:
    """Write beside a point, `shift` points of type away."""
    axes.annotate(text, at, shift, textcoords="offset points", ha=side, fontsize=8, color=colour)


def _plain(value: float, _place: int | None) -> str:
    return f"{value:,.6g}"


def _plain_ticks(axes: Axes, which: str) -> None:
    """Write the ticks of a logarithmic axis as people say them."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    few = high / low < _FEW_DECADES
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(_plain))
    axis.set_minor_formatter(NullFormatter())


def _grid(
    rows: Sequence[Record],
    panels: Sequence[str],
    height: float,
    draw: Callable[[Axes, str, Sequence[Record]], None],
) -> str:
    """Draw the panels of each name, a column a placement; return the SVG."""
    placements = list(dict.fromkeys(row.placement for row in rows))
    if not panels or not placements:
        return ""
    with mpl.rc_context(cast("Any", _STYLE)):
        # Of one placement two panels stand side by side, so that all pages are drawn at one scale.
        cells = [(panel, placement) for panel in panels for placement in placements]
        columns = max(2, len(placements))
        lines = math.ceil(len(cells) / columns)
        drawing = Figure(figsize=(_WIDTH * columns, height * lines), layout="constrained")
        FigureCanvasSVG(drawing)
        drawing.set_facecolor("none")
        for place, (panel, placement) in enumerate(cells, 1):
            axes = drawing.add_subplot(lines, columns, place)
            axes.set_facecolor("none")
            draw(axes, panel, [row for row in rows if row.placement == placement])
            if len(placements) > 1:
                axes.set_title(f"{axes.get_title('left')} · {placement}", loc="left")
        out = io.StringIO()
        drawing.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    # What stands before <svg is for files of their own; the page scales what it shows.
    svg = svg[svg.index("<svg") :]
    return re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"|\A', r"\1", svg, count=1)
