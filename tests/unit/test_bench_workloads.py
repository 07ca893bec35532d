"""The workloads that launch one body again and again, and cold clients whose time is told twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

import gon
from gon.errors import DeviceError
from gon_client.bench import workloads
from gon_client.bench.catalogue import DIRECT
from gon_client.bench.messages import Play
from gon_client.bench.replays import BODY, Replays, shape
from gon_client.bench.stage import Address, Stage, open_stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage(Address(DIRECT, "", "")) as opened:
        yield opened


def test_a_pass_is_as_long_as_there_are_launches() -> None:
    assert shape(10_000) == (BODY, 20_000 // BODY)
    assert shape(BODY + 1) == (BODY, 2)
    assert shape(20) == (20, 2)
    assert shape(1) == (1, 2)


@pytest.mark.parametrize("workload", ["graph_rate", "repeat_rate"])
@pytest.mark.parametrize("launches", [1, 20, 3 * BODY])
def test_replays_and_repeats_do_the_same(stage: Stage, workload: str, launches: int) -> None:
    rates = workloads.play(stage, Play(workload, 0, 2, launches))
    assert len(rates) == 2
    assert all(rate > 0 for rate in rates)
    body, passes = shape(launches)
    wanted = passes * sum(place & 7 for place in range(1, body))
    wanted += sum(number & 7 for number in range(passes))
    assert (stage.y.get() == wanted).all()


def test_a_lost_launch_is_an_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(_graph: gon.Graph, _stream: gon.Stream, **_changes: object) -> None: ...

    monkeypatch.setattr(gon.Graph, "launch", launch)
    with pytest.raises(DeviceError, match="lost"):
        Replays(stage).replayed(20)


def test_a_cold_client_is_started_once_for_both_of_its_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[float, float]] = []

    def cold(_stage: object, _play: Play) -> tuple[float, float]:
        started.append((300.0 + len(started), 20.0 + len(started)))
        return started[-1]

    class Kept:
        """What a stage keeps, without a device."""

        def __init__(self) -> None:
            self.made: dict[object, object] = {}

        def once(self, make: type) -> object:
            if make not in self.made:
                self.made[make] = make(self)
            return self.made[make]

    monkeypatch.setattr(workloads, "_cold", cold)
    kept = cast(Stage, Kept())
    whole, call = (Play(name, 0, 2, 20) for name in ("attach_cold", "attach_cold_call"))
    assert workloads.play(kept, whole) == [300.0, 301.0]
    assert workloads.play(kept, call) == [20.0, 21.0]
    assert len(started) == 2
    # Asked for by itself it starts clients of its own.
    assert workloads.play(kept, call) == [22.0, 23.0]
