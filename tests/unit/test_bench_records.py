"""Rows of a benchmark: how samples become one, what the file holds, how two runs compare."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import compare
from gon.errors import InvalidArgument
from gon.limits import KIB, MIB
from gon_client.bench.record import Record, load, percentile, save, size_text, summarise

SAMPLES = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200)


def row(identifier: str = "rtt_empty", where: str = "tcp", **fields: object) -> Record:
    """Return a row of a made-up run, with the fields that matter to a test."""
    made = summarise(identifier, where, "same", 0, "µs", [[9.0, 10.0, 11.0], [10.0, 10.0, 12.0]])
    return msgspec.structs.replace(made, **fields)


@given(SAMPLES)
def test_the_50th_percentile_is_the_median(values: list[float]) -> None:
    assert percentile(values, 50) == pytest.approx(statistics.median(values))


@given(SAMPLES, st.floats(0, 100), st.floats(0, 100))
def test_percentiles_grow_and_stay_within_the_samples(
    values: list[float], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    bound = 1e-6
    assert percentile(values, low) <= percentile(values, high) + bound
    assert min(values) - bound <= percentile(values, one) <= max(values) + bound


def test_percentiles_lie_linearly_between_samples() -> None:
    assert percentile([30, 10, 20, 40], 0) == 10
    assert percentile([30, 10, 20, 40], 100) == 40
    assert percentile([30, 10, 20, 40], 50) == 25
    assert percentile([7], 99) == 7


def test_a_row_holds_all_samples_and_the_spread_of_the_rounds() -> None:
    made = summarise("rtt_empty", "tcp", "same", 0, "µs", [[1, 2, 3], [4, 5, 6], [2, 2, 2]])
    assert (made.n, made.rounds) == (9, 3)
    assert made.p50 == 2
    assert (made.low, made.high) == (2, 5)
    assert made.p99 > 5
    assert not made.more_is_better


def test_the_bad_side_of_a_rate_is_its_low_one() -> None:
    made = summarise("h2d", "tcp", "same", MIB, "GB/s", [[float(v) for v in range(1, 101)]])
    assert made.more_is_better
    assert made.p99 < 3 < made.p50


def test_the_file_is_a_list_of_the_promised_fields(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    save([row(), row(where="unix")], path)
    rows = json.loads(path.read_text(encoding="utf-8"))
    promised = {"id", "where", "placement", "size_bytes", "p50", "p99", "unit", "n"}
    assert [promised - set(each) for each in rows] == [set(), set()]
    assert load(path) == [row(), row(where="unix")]


@pytest.mark.parametrize("text", ["", "{}", '[{"id": 3}]', "[1]", "no json"])
def test_a_file_that_holds_no_rows_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"rows\.json"):
        load(path)


def test_sizes_read_as_people_say_them() -> None:
    assert [size_text(size) for size in (64, 4 * KIB, MIB, 64 * MIB, MIB + 1)] == [
        "64 B",
        "4 KiB",
        "1 MiB",
        "64 MiB",
        "1048577 B",
    ]


# Comparing two runs -----------------------------------------------------------------------------
def test_rows_of_two_runs_are_matched_by_what_and_where() -> None:
    pairs = list(compare.pairs([row(), row(where="unix")], [row(where="unix"), row(where="zmq")]))
    assert [(bool(p.before), bool(p.after), p.row.where) for p in pairs] == [
        (True, False, "tcp"),
        (True, True, "unix"),
        (False, True, "zmq"),
    ]
    assert [p.unlike for p in pairs] == ["in one run only", "", "in one run only"]


def test_unlike_rows_are_starred_and_never_judged() -> None:
    unit = compare.Pair(row(), row(unit="ms", p50=99.0))
    count = compare.Pair(row(), row(n=1, p50=99.0))
    assert unit.unlike
    assert count.unlike
    assert unit.worse_percent == count.worse_percent == 0


def test_worse_is_more_time_but_a_lower_rate() -> None:
    slower = compare.Pair(row(p50=10.0), row(p50=12.0))
    assert slower.worse_percent == pytest.approx(20)
    before, after = row(p50=2.0, unit="GB/s"), row(p50=1.0, unit="GB/s")
    assert compare.Pair(before, after).worse_percent == pytest.approx(100)
    assert compare.Pair(after, before).worse_percent == pytest.approx(-50)


def test_a_difference_within_the_spread_may_be_chance() -> None:
    before = row(p50=10.0, low=9.0, high=11.0)
    assert compare.Pair(before, row(p50=10.5, low=10.0, high=11.5)).is_within_spread
    assert not compare.Pair(before, row(p50=13.0, low=12.0, high=14.0)).is_within_spread


def test_the_command_compares_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    save([row(p50=10.0, low=10.0, high=10.0), row(where="unix")], one)
    save([row(p50=15.0, low=15.0, high=15.0)], two)
    assert compare.main([str(one), str(two)]) == 0
    shown = capsys.readouterr().out
    assert "50 % worse" in shown
    assert "*" in shown
    assert compare.main([str(one), str(two), "--fail-above", "40"]) == 1
    assert compare.main([str(one), str(two), "--fail-above", "60"]) == 0
    assert compare.main([str(one), str(tmp_path / "none.json")]) == 2
