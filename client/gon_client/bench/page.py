"""The report of a run: one HTML file that needs nothing else, with figures, what was asked and
reached, other programs beside GoN, and every row.

Imported only when a report is asked for (its figures need `gon[plot]`). Rules: nothing from outside
is loaded by the page; a row of a rival that is not like for like carries a star and the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from gon_client.bench.catalogue import by_id
from gon_client.bench.figures import bandwidth_figure, distance_figure, latency_figure
from gon_client.bench.record import Record, size_text
from gon_client.bench.report import baseline_of, figure, ratio
from gon_client.bench.rivalry import Rivalry, rivalries
from gon_client.bench.targets import judge

_FIGURES = (
    (
        "Latency",
        latency_figure,
        (
            "A sync of an empty stream, a launch with its sync, and a launch with the read of what "
            "it wrote, beside an echo of 64 bytes that does nothing else."
        ),
    ),
    (
        "Distance",
        distance_figure,
        (
            "The same programs behind a proxy that adds round-trip time. What waits pays for its "
            "waits: the dashed lines are that many round trips."
        ),
    ),
    (
        "Bandwidth",
        bandwidth_figure,
        (
            "Copies to and from the unit against their size, beside a one-way copy over a socket "
            "and one within memory (dotted)."
        ),
    ),
)


def save_page(records: Sequence[Record], path: Path, rivals: Sequence[Record] = ()) -> None:
    """Write the report of a run, other programs' rows beside it. Raises OSError."""
    path.write_text(page(records, rivals), "utf-8")


def page(records: Sequence[Record], rivals: Sequence[Record] = ()) -> str:
    """Return the report as HTML."""
    template = Template((files("gon_client.bench") / "page.html").read_text("utf-8"))
    sections = [_targets(records)]
    for title, draw, says in _FIGURES:
        svg = draw(records)
        if svg:
            sections.append(_section(title, f'<div class="figure">{svg}</div>', says))
    sections += [_rivals(records, rivals), _rows(records)]
    machines = list(dict.fromkeys(row.machine for row in records if row.machine))
    placements = list(dict.fromkeys(row.placement for row in records))
    return template.substitute(
        machine=escape("; ".join(machines) or "an unnamed machine"),
        placements=escape(", ".join(placements)),
        count=f"{len(records):,}",
        sections="\n".join(section for section in sections if section),
    )


def _section(title: str, body: str, says: str = "") -> str:
    told = f"<p>{escape(says)}</p>" if says else ""
    return f"<section><h2>{escape(title)}</h2>{told}\n{body}</section>"


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]], numbers_from: int) -> str:
    """Return a table; cells are HTML, those from `numbers_from` on stand to the right."""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if place >= numbers_from else ''}>{value}</{tag}>"
            for place, value in enumerate(values)
        )

    head = f"<thead><tr>{cells('th', [escape(each) for each in columns])}</tr></thead>"
    body = "\n".join(f"<tr>{cells('td', line)}</tr>" for line in lines)
    return f'<div class="table"><table>{head}<tbody>{body}</tbody></table></div>'


def _targets(records: Sequence[Record]) -> str:
    verdicts = list(judge(records))
    if not verdicts:
        return ""
    lines = [
        (
            escape(each.target),
            escape(each.placement),
            escape(each.asked),
            escape(each.measured),
            '<b class="yes">met</b>' if each.met else '<b class="no">not met</b>',
        )
        for each in verdicts
    ]
    met = sum(each.met for each in verdicts)
    columns = ("target", "placement", "asked", "measured", "")
    says = f"{met} of {len(verdicts)} met. Ratios are formed within this run."
    return _section("Asked and reached", _table(columns, lines, 2), says)


def _rivals(records: Sequence[Record], rivals: Sequence[Record]) -> str:
    found = rivalries(records, rivals)
    if not found:
        return ""
    wheres = list(dict.fromkeys(row.where for each in found for row in each.theirs))
    lines = [
        (
            escape(each.ours.id),
            size_text(each.ours.size_bytes) if each.ours.size_bytes else "",
            escape(each.ours.placement),
            escape(each.ours.unit),
            f"<b>{figure(each.ours.p50)}</b>",
            *(_rival(each, where) for where in wheres),
        )
        for each in found
    ]
    notes = dict.fromkeys(
        f"{row.where}: {why}" for each in found for row in each.theirs if (why := each.unlike(row))
    )
    columns = ("workload", "size", "placement", "unit", "GoN (tcp)", *wheres)
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    body = _table(columns, lines, 4) + (f'<ul class="notes">{listed}</ul>' if listed else "")
    says = (
        "Medians; in brackets by how many times GoN is better (below 1: worse). "
        "Rows with a star are not like for like."
    )
    return _section("Beside other programs", body, says)


def _rival(each: Rivalry, where: str) -> str:
    row = next((row for row in each.theirs if row.where == where), None)
    if row is None:
        return ""
    times = each.times_better(row)
    told = f"{figure(times)}×" if times is not None else "–"
    mark = "yes" if times is not None and times >= 1 else "no"
    star = "*" if each.unlike(row) else ""
    return f'{figure(row.p50)}{star} <span class="{mark}">({told})</span>'


def _rows(records: Sequence[Record]) -> str:
    by_key = {row.key: row for row in records}
    lines: list[tuple[str, ...]] = []
    before: tuple[str, int, str] | None = None
    for row in sorted(records, key=lambda row: row.placement):
        this = (row.id, row.size_bytes, row.placement)
        direct = by_key.get((row.id, "direct", row.placement, row.size_bytes))
        name = f'<b title="{escape(by_id(row.id).says)}">{escape(row.id)}</b>'
        lines.append(
            (
                escape(row.placement),
                name if this != before else "",
                size_text(row.size_bytes) if row.size_bytes else "",
                escape(row.where),
                f"<b>{figure(row.p50)}</b>",
                figure(row.p99),
                f"{figure(row.low)} … {figure(row.high)}",
                f"{escape(row.unit)} {'↑' if row.more_is_better else '↓'}",
                ratio(row, direct),
                ratio(row, baseline_of(row, records)),
                f"{row.n:,}",
            )
        )
        before = this
    columns = ("placement", "workload", "size", "where", "p50", "p99", "rounds’ p50", "unit")
    table = _table((*columns, "× direct", "× baseline", "n"), lines, 4)
    says = "p99 is always the bad side. The arrow says which way is better."
    return _section(
        "All rows", f"<details><summary>{len(lines):,} rows</summary>{table}</details>", says
    )
