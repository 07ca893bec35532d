"""A run's order and rows, what is asked of it, its tables and picture; on made-up places."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from gon.errors import Unsupported
from gon_client.bench import catalogue, run
from gon_client.bench.messages import Play
from gon_client.bench.placement import Placement, Processors, processors
from gon_client.bench.plot import save_plot
from gon_client.bench.record import Record, summarise
from gon_client.bench.report import rows_table, targets_table
from gon_client.bench.targets import TARGETS, judge
from gon_client.commands.output import FILE_WIDTH

SMALL = run.Effort(rounds=2, slow_rounds=1, divisor=4, launches=100)


class Stand:
    """A place that answers each round with the number of the question, and writes down who was
    asked.
    """

    def __init__(self, where: str, asked: list[tuple[str, str]]) -> None:
        self.where = where
        self._asked = asked
        self._rounds = 0

    def play(self, asked: Play) -> list[float]:
        assert asked.launches == SMALL.launches
        assert asked.size_bytes in catalogue.by_id(asked.workload).sizes
        self._asked.append((asked.workload, self.where))
        self._rounds += 1
        return [float(self._rounds)] * asked.samples


def test_rounds_alternate_between_the_places_and_the_first_is_not_counted() -> None:
    asked: list[tuple[str, str]] = []
    places = [Stand(where, asked) for where in ("direct", "tcp", "plain")]
    (turn,) = run.turns(catalogue.chosen(["rtt_empty"]), places)
    steps: list[None] = []
    records = run.play(turn, "same", SMALL, lambda: steps.append(None))
    once = [("rtt_empty", "direct"), ("rtt_empty", "tcp"), ("socket_echo", "plain")]
    assert asked == once * 3
    assert len(steps) == run.steps(turn, SMALL)
    assert [(r.id, r.where, r.low, r.high) for r in records] == [
        (workload, where, 2.0, 3.0) for workload, where in once
    ]
    assert {(r.n, r.rounds, r.placement) for r in records} == {(200, 2, "same")}


def test_a_workload_brings_the_baseline_it_is_related_to() -> None:
    ids = [row.id for row in catalogue.chosen(["rtt_empty"])]
    assert ids == ["rtt_empty", "socket_echo", "c_echo"]
    ids = [row.id for row in catalogue.chosen(["h2d"])]
    assert ids == ["h2d", "socket_copy"]
    ids = [row.id for row in catalogue.chosen(["graph_rate", "repeat_rate"])]
    assert ids == ["graph_rate", "repeat_rate", "enqueue_rate"]
    assert {row.id for row in catalogue.chosen([])} == {
        row.id for row in (*catalogue.WORKLOADS, *catalogue.BASELINES)
    }


def test_turns_play_each_size_and_leave_out_places_there_are_none_of() -> None:
    places = [Stand(where, []) for where in ("direct", "plain")]
    turns = run.turns(catalogue.chosen(["h2d", "launch_rate"]), places)
    assert [(turn.group, turn.size_bytes) for turn in turns] == [
        ("rate", 0),
        *(("bulk", size) for size in catalogue.SIZES),
    ]
    assert run.turns(catalogue.chosen(["attach"]), [Stand("plain", [])]) == []


def test_what_a_place_has_not_is_left_out_and_told() -> None:
    class Without(Stand):
        def play(self, asked: Play) -> list[float]:
            if asked.workload == "engine_onnx_new":
                raise Unsupported("no npu here")
            return super().play(asked)

    places = [Without("tcp", []), Stand("library", [])]
    told: list[str] = []
    records = [
        row
        for turn in run.turns(catalogue.chosen(["engine_onnx", "engine_onnx_new"]), places)
        for row in run.play(turn, "same", SMALL, tell=told.append)
    ]
    assert [(row.id, row.size_bytes) for row in records] == [
        (name, size) for size in catalogue.MATRIX_SIZES for name in ("engine_onnx", "onnx_call")
    ]
    assert told == ["without engine_onnx_new at tcp: no npu here"]


def test_the_table_of_workloads_is_sound() -> None:
    ids = [row.id for row in catalogue.ALL]
    assert len(ids) == len(set(ids))
    for row in catalogue.ALL:
        assert len(row.samples) == len(row.sizes)
        assert row.baseline == "" or set(row.sizes) <= set(catalogue.by_id(row.baseline).sizes)
        for where in (*catalogue.PLACES, *catalogue.FAR_PLACES):
            assert row.samples_of(row.sizes[0], where, 10_000) == 1


def test_far_places_are_played_less_often_and_only_what_waits() -> None:
    asked: list[tuple[str, str]] = []
    places = [Stand(where, asked) for where in ("tcp", "tcp+100ms")]
    records = [
        row
        for turn in run.turns(catalogue.chosen(["rtt_empty", "attach_cold"]), places)
        for row in run.play(turn, "same", SMALL)
    ]
    assert [(r.id, r.where, r.rounds) for r in records] == [
        ("rtt_empty", "tcp", 2),
        ("rtt_empty", "tcp+100ms", 1),
        ("attach_cold", "tcp", 2),
    ]
    assert asked.count(("rtt_empty", "tcp+100ms")) == 2
    assert records[1].n == catalogue.FAR_ROUND_MS // 100


def test_without_a_word_only_launch_rates_go_where_they_are_judged() -> None:
    usual = [row.at_usual_places() for row in catalogue.chosen([])]
    there = [row.id for row in usual if row.plays_at(catalogue.RATES_PLACE)]
    assert there == ["launch_rate", "graph_rate", "repeat_rate"]
    assert [row.id for row in usual if row.plays_at("tcp+1ms")] == [
        row.id for row in catalogue.chosen([]) if row.waits
    ]
    assert not any(row.plays_at("tcp+7ms") for row in usual)
    assert catalogue.by_id("app").plays_at(catalogue.RATES_PLACE)
    assert not catalogue.by_id("attach_cold").plays_at("tcp+7ms")


def test_a_smoke_run_asks_for_everything_once() -> None:
    counts = {
        row.samples_of(size, where, run.SMOKE.divisor)
        for row in catalogue.ALL
        for size in row.sizes
        for where in (*catalogue.PLACES, *catalogue.FAR_PLACES)
    }
    assert counts == {1}
    assert run.SMOKE.rounds_at("tcp") == run.SMOKE.rounds_at("tcp+10ms") == 1


# Placement --------------------------------------------------------------------------------------
def test_placements_pin_both_ends() -> None:
    assert processors(Placement.SAME, [4, 2]) == Processors((2,), (2,), (2,))
    assert processors(Placement.SPLIT, [4, 2]) == Processors((2,), (4,), (4,))
    assert processors(Placement.SPLIT, [1, 2, 4, 8]) == Processors((1,), (2,), (4,))
    assert processors(Placement.FREE, [4, 2]) == Processors((), (), ())
    with pytest.raises(Unsupported):
        processors(Placement.SPLIT, [0])


# What is asked ----------------------------------------------------------------------------------
def rows(placement: str, **p50: float) -> list[Record]:
    """Return rows named workload__where, of each size where the workload has sizes; a worst sample
    beside the middle ones where the name ends with __worst.
    """
    made: list[Record] = []
    for name, value in p50.items():
        identifier, where, *worst = name.replace("_plus_", "+").split("__")
        workload = catalogue.by_id(identifier)
        samples = [value] * 9 + [value * (9 if worst else 1)]
        for size in workload.sizes:
            row = summarise(identifier, where, placement, size, workload.unit, [samples])
            made.append(row)
    return made


GOOD: dict[str, float] = {
    "rtt_launch__direct": 10.0,
    "rtt_launch__tcp": 15.0,
    "rtt_empty__tcp": 9.0,
    "rtt_empty__shm": 4.0,
    "small_reads__tcp": 24.0,
    "socket_echo__plain": 6.0,
    "launch_rate__tcp": 360e3,
    "pyopencl_call__pyopencl": 120e3,
    "enqueue_rate__opencl": 250e3,
    "graph_rate__tcp": 240e3,
    "graph_rate__tcp_plus_1.35ms": 230e3,
    "repeat_rate__tcp": 210e3,
    "repeat_rate__tcp_plus_1.35ms": 200e3,
    "h2d__tcp": 2.0,
    "d2h__tcp": 2.0,
    "h2d__shm": 8.0,
    "d2h__shm": 8.0,
    "socket_copy__plain": 2.1,
    "memcpy__plain": 10.0,
    "app__direct": 300.0,
    "app__tcp": 308.0,
    "app__tcp_plus_1ms": 321.0,
    "mlp__direct": 1.0,
    "mlp__tcp_plus_30ms": 33.0,
    "load_cached__tcp": 1.0,
    "engine_onnx__tcp": 1010.0,
    "engine_onnx_new__tcp": 1010.0,
    "engine_stablehlo__tcp": 1010.0,
    "engine_stablehlo_new__tcp": 1010.0,
    "engine_flow__tcp": 1010.0,
    "engine_flow_new__tcp": 1010.0,
    "onnx_call__library": 1000.0,
    "stablehlo_call__library": 1000.0,
    "flow_call__library": 1000.0,
    "attach__tcp": 20.0,
    "attach_cold__tcp": 200.0,
    "memory_worker__host": 250.0,
    "memory_lease__host": 12.0,
    "memory_daemon__host": 80.0,
}
BAD: dict[str, float] = {
    "rtt_empty__tcp": 12.5,
    "rtt_empty__shm": 5.1,
    "small_reads__tcp": 25.1,
    "launch_rate__tcp": 299e3,
    "graph_rate__tcp": 199e3,
    "graph_rate__tcp_plus_1.35ms": 179e3,
    "repeat_rate__tcp": 199e3,
    "repeat_rate__tcp_plus_1.35ms": 179e3,
    "h2d__tcp": 0.16,
    "d2h__tcp": 0.16,
    "h2d__shm": 7.9,
    "d2h__shm": 7.9,
    "app__tcp": 310.0,
    "app__tcp_plus_1ms": 323.0,
    "mlp__tcp_plus_30ms": 34.2,
    "load_cached__tcp": 5.1,
    "engine_onnx__tcp": 1030.0,
    "engine_onnx_new__tcp": 1030.0,
    "engine_stablehlo__tcp": 1030.0,
    "engine_stablehlo_new__tcp": 1030.0,
    "engine_flow__tcp": 1030.0,
    "engine_flow_new__tcp": 1030.0,
    "attach__tcp": 51.0,
    "attach_cold__tcp": 251.0,
    "memory_worker__host": 301.0,
    "memory_lease__host": 30.1,
    "memory_daemon__host": 101.0,
    "pyopencl_call__pyopencl": 130e3,
    "rtt_launch__tcp__worst": 19.0,
}


def judged(placement: str, p50: dict[str, float]) -> dict[str, bool]:
    """Return each target that is judged, and whether it is met."""
    return {verdict.target: verdict.met for verdict in judge(rows(placement, **p50))}


@pytest.mark.parametrize("placement", ["same", "split"])
def test_every_target_is_judged_and_met_by_good_rows(placement: str) -> None:
    met = judged(placement, GOOD)
    assert list(met) == [each.says for each in TARGETS if placement in each.placements]
    assert all(met.values()), met


@pytest.mark.parametrize("placement", ["same", "split"])
def test_every_target_can_be_missed(placement: str) -> None:
    missed = {name: value for name, value in GOOD.items() if name != "rtt_launch__tcp"} | BAD
    met = judged(placement, missed)
    assert list(met) == [each.says for each in TARGETS if placement in each.placements]
    assert not any(met.values()), met


def test_targets_are_judged_where_they_are_asked_and_not_without_their_rows() -> None:
    assert "empty sync, tcp by socket echo" not in judged("split", GOOD)
    assert "empty sync, tcp" not in judged("same", GOOD)
    only = judged("same", {"rtt_launch__tcp": 12.0})
    assert list(only) == ["launch + sync, tcp, p99 by p50"]


def test_rows_of_other_placements_are_never_mixed() -> None:
    mixed = rows("same", h2d__tcp=2.0) + rows("split", socket_copy__plain=2.0)
    assert list(judge(mixed)) == []


# Tables and picture -----------------------------------------------------------------------------
def shown(records: list[Record]) -> str:
    console = Console(width=FILE_WIDTH)
    with console.capture() as captured:
        console.print(rows_table(records, "same"))
        console.print(targets_table(list(judge(records))))
    return captured.get()


def test_the_table_shows_ratios_to_direct_and_to_the_baseline() -> None:
    text = shown(rows("same", **GOOD))
    line = next(line for line in text.splitlines() if "rtt_launch" in line and "direct" in line)
    assert "1.67×" in line
    line = next(line for line in text.splitlines() if "tcp" in line and "15" in line)
    assert "1.50×" in line
    assert "2.50×" in line
    assert "µs ↓" in text
    assert "GB/s ↑" in text
    assert "yes" in text


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "rows.png"
    save_plot(rows("same", **GOOD) + rows("split", **GOOD), path)
    assert path.read_bytes().startswith(b"\x89PNG")
