"""The report page: figures where the rows for them are, tables with stars, nothing from outside."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec

from bench import report
from gon_client.bench import catalogue
from gon_client.bench.figures import bandwidth_figure, distance_figure, latency_figure
from gon_client.bench.page import page
from gon_client.bench.record import Record, save, summarise

PLACES = (*catalogue.PLACES, *catalogue.FAR_PLACES, catalogue.PLAIN, catalogue.NATIVE)


def made_up(*placements: str) -> list[Record]:
    """Return a row of everything at every place."""
    rows = [
        summarise(row.id, where, placement, size, row.unit, [[3.0 + number, 5.0, 9.0], [4.0, 6.0]])
        for placement in placements
        for row in catalogue.ALL
        for size in row.sizes
        for number, where in enumerate((*PLACES, catalogue.BINDING, catalogue.HOST))
        if row.plays_at(where)
    ]
    return [msgspec.structs.replace(row, machine="a <machine>") for row in rows]


def test_figures_are_drawn_where_their_rows_are() -> None:
    rows = made_up("same", "split")
    for draw in (latency_figure, distance_figure, bandwidth_figure):
        svg = draw(rows)
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert draw([]) == ""
        assert draw(made_up("same", "split")) == svg
    near = [row for row in rows if "+" not in row.where]
    assert distance_figure(near) == ""
    assert "rtt_launch" in latency_figure(near)


def test_rows_of_older_files_have_no_spread_and_are_left_out() -> None:
    old = [msgspec.structs.replace(row, quantiles=()) for row in made_up("same")]
    assert latency_figure(old) == ""
    assert "All rows" in page(old)


def test_the_page_shows_everything_and_loads_nothing() -> None:
    rows = made_up("same")
    text = page(rows)
    for title in ("Asked and reached", "Latency", "Distance", "Bandwidth", "All rows"):
        assert f"<h2>{title}</h2>" in text
    assert "Beside other programs" not in text
    assert "a &lt;machine&gt;" in text
    assert not re.search(r"<(script|link|img)\b|@import|url\(http", text)
    assert len(re.findall(r"<tr>", text)) > len(rows)


def test_rivals_stand_beside_with_stars_and_reasons() -> None:
    rows = made_up("same")
    theirs = summarise("rtt_launch", "rpyc", "same", 0, "µs", [[100.0], [100.0]])
    text = page(rows, [msgspec.structs.replace(theirs, unlike="no <device>")])
    assert "Beside other programs" in text
    assert re.search(r"100\* <span class=\"yes\">\([\d.]+×\)", text)
    assert "rpyc: no &lt;device&gt;" in text


def test_kept_rows_become_a_page(tmp_path: Path) -> None:
    rows, to = tmp_path / "rows.json", tmp_path / "page.html"
    save(made_up("same"), rows)
    assert report.main([str(rows), "--to", str(to), "--beside", str(rows)]) == 0
    assert to.read_text("utf-8").startswith("<!doctype html>")
    assert report.main([str(tmp_path / "none.json"), "--to", str(to)]) == 2
