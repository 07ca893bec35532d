"""What may be compared: rows of two runs that are not like for like, GoN beside other programs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench import compare
from gon_client.bench.record import Record, save, summarise
from gon_client.bench.rivalry import difference, is_rival, rivalries


def row(where: str = "tcp", identifier: str = "rtt_launch", **fields: object) -> Record:
    """Return a row of a made-up run, with the fields that matter to a test."""
    made = summarise(identifier, where, "same", 0, "µs", [[9.0, 10.0, 11.0], [10.0, 10.0, 12.0]])
    return msgspec.structs.replace(made, **{"machine": "a machine", **fields})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unit": "ms"}, "µs and ms"),
        ({"placement": "split"}, "placements same and split"),
        ({"machine": "another"}, "other machine"),
        ({"n": 7}, "other number of samples"),
        ({"rounds": 3}, "other number of samples"),
        ({"p50": 99.0, "low": 1.0}, ""),
    ],
)
def test_rows_differ_in_what_makes_them_unlike(change: dict[str, object], why: str) -> None:
    other = msgspec.structs.replace(row(), **change)
    assert difference(row(), other) == why
    assert compare.Pair(row(), other).unlike == why
    if why:
        assert compare.Pair(row(), other).worse_percent == 0


def test_a_rivals_other_work_is_starred_between_runs_too() -> None:
    before, after = row("rpyc", unlike="NumPy, no kernels"), row("rpyc")
    assert compare.Pair(before, after).unlike == "NumPy, no kernels"


def test_runs_of_other_placements_stand_side_by_side_with_stars() -> None:
    before = [row(), row("unix")]
    after = [row(placement="split"), row("zmq", placement="split")]
    compared = list(compare.pairs(before, after))
    assert [(pair.row.where, pair.unlike) for pair in compared] == [
        ("tcp", "placements same and split"),
        ("unix", "in one run only"),
        ("zmq", "in one run only"),
    ]


def test_a_placement_that_both_runs_have_is_not_mixed_with_another() -> None:
    before = [row(), row("unix", placement="split")]
    after = [row(placement="split"), row("unix", placement="split")]
    assert [(p.row.placement, p.unlike) for p in compare.pairs(before, after)] == [
        ("same", "in one run only"),
        ("split", ""),
        ("split", "in one run only"),
    ]


# Rivals -----------------------------------------------------------------------------------------
def test_rivals_stand_beside_our_row_of_the_same_work_and_placement() -> None:
    ours = [row(p50=10.0), row("unix"), row("direct")]
    theirs = [
        row("rpyc", p50=100.0),
        row("tvm", p50=5.0, unlike="one call is launch and sync"),
        row("tvm", placement="split"),
        row("tvm", "app"),
        row("tcp+1ms"),
        row("plain"),
    ]
    (found,) = rivalries(ours, theirs)
    assert found.ours is ours[0]
    assert [each.where for each in found.theirs] == ["rpyc", "tvm"]
    rpyc, tvm = found.theirs
    assert found.unlike(rpyc) == ""
    assert found.unlike(tvm) == "one call is launch and sync"
    assert found.times_better(rpyc) == pytest.approx(10)
    assert found.times_better(tvm) == pytest.approx(0.5)


def test_far_rivals_stand_beside_our_row_of_the_same_distance() -> None:
    ours = [row(), row("tcp+1.35ms"), row("tcp+10ms"), row("opencl")]
    theirs = [row("rpyc"), row("rpyc+1.35ms"), row("tvm+1.35ms"), row("tcp+1.35ms")]
    near, far = rivalries(ours, theirs)
    assert (near.ours.where, [each.where for each in near.theirs]) == ("tcp", ["rpyc"])
    assert far.ours.where == "tcp+1.35ms"
    assert [each.where for each in far.theirs] == ["rpyc+1.35ms", "tvm+1.35ms"]
    assert not is_rival(row("opencl"))


def test_a_higher_rate_is_better() -> None:
    ours, theirs = row(unit="launches/s", p50=300.0), row("tvm", unit="launches/s", p50=100.0)
    (found,) = rivalries([ours], [theirs])
    assert found.times_better(theirs) == pytest.approx(3)
    (mixed,) = rivalries([ours], [row("tvm")])
    assert mixed.times_better(mixed.theirs[0]) is None


def test_the_command_compares_rivals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rivals.json"
    save([row(p50=10.0), row("rpyc", p50=134.0, unlike="NumPy, no kernels")], path)
    assert compare.main([str(path), "--rivals"]) == 0
    shown = capsys.readouterr().out
    assert "13.4×" in shown
    assert "* NumPy, no kernels" in shown
    with pytest.raises(SystemExit):
        compare.main([str(path)])
