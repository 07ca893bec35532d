"""The common part of the rivals' files, and their runner, with a rival that is a few lines here."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from bench.rivals import rival
from bench.rivals import run as rivals
from gon.errors import DeviceError
from gon_client.bench import app, catalogue
from gon_client.bench.detour import open_detour
from gon_client.bench.distance import distance
from gon_client.bench.messages import Play
from gon_client.bench.placement import Processors

FREE = Processors((), (), ())
RIVALS = Path(rivals.__file__).parent
# A whole rival, both ends: its host is nobody.
STANDIN = """
import sys, threading
sys.path.insert(0, {folder!r})
import numpy as np, rival
class Here:
    def touch(self, value): self.flag = value
    def sync(self): pass
    def read(self): return self.flag
    def post(self, launches): raise RuntimeError("posts nothing")
    def upload(self, data): self.bulk = data.copy()
    def download(self): return self.bulk
    def app(self, start, steps): return lambda: rival.expected_sum(steps)
def serve():
    print("told", flush=True)
    threading.Event().wait()
rival.main(serve, lambda told: Here())
"""


def ours(_rival: rivals.Rival) -> Path:
    """Return this Python, for a rival that needs nothing installed."""
    return Path(sys.executable)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> rivals.RivalPlace:
    (tmp_path / "here_rival.py").write_text(STANDIN.format(folder=str(RIVALS)), "utf-8")
    monkeypatch.setattr(rivals, "environment", ours)
    monkeypatch.setattr(rivals, "FOLDER", tmp_path)
    return rivals.RivalPlace(rivals.Rival("here", ()), FREE)


def test_a_rival_plays_what_it_can_and_the_rest_is_said(place: rivals.RivalPlace) -> None:
    said = io.StringIO()
    try:
        able = rivals.trial(place, Console(file=said, width=200))
        assert able == [each for each in rivals.WORKLOADS if each != "launch_rate"]
        assert "here without launch_rate: RuntimeError: posts nothing" in said.getvalue()
        assert len(place.play(Play("rtt_launch", 0, 7, 1))) == 7
        assert len(place.play(Play("h2d", 4096, 3, 1))) == 3
        with pytest.raises(DeviceError, match="posts nothing"):
            place.play(Play("launch_rate", 0, 1, 10))
    finally:
        place.close()


def test_the_apps_of_rivals_and_of_ours_are_the_same_program() -> None:
    start: NDArray[np.float32] = rival.start_values()
    np.testing.assert_array_equal(start, app.start_values())
    assert rival.FACTORS == app.FACTORS
    assert rival.expected_sum(20) == pytest.approx(app.expected(20)[1], rel=1e-5)


def test_every_rival_has_a_file_and_workloads_of_the_catalogue() -> None:
    files = {path.name for path in RIVALS.glob("*_rival.py")}
    assert files == {f"{each.name}_rival.py" for each in rivals.RIVALS}
    for identifier in rivals.WORKLOADS:
        assert catalogue.by_id(identifier).plays_at("tcp")


def test_a_far_rival_is_told_the_way_by_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin = STANDIN.format(folder=str(RIVALS))
    # What it reads is the port that it was told to dial.
    standin = standin.replace('"told"', "7").replace("lambda told: Here()", "Told")
    standin = standin.replace(
        "def serve",
        "class Told(Here):\n"
        "    def __init__(self, told): self.told = told\n"
        "    def post(self, launches): raise RuntimeError(f'dials {self.told}')\n"
        "def serve",
    )
    (tmp_path / "here_rival.py").write_text(standin, "utf-8")
    monkeypatch.setattr(rivals, "environment", ours)
    monkeypatch.setattr(rivals, "FOLDER", tmp_path)
    with open_detour(distance("tcp+1ms")) as detour:
        place = rivals.RivalPlace(rivals.Rival("here", ()), FREE, detour)
        try:
            assert place.where == f"here{rivals.FAR}"
            port = detour.through("tcp://127.0.0.1:7").rpartition(":")[2]
            with pytest.raises(DeviceError, match=f"dials {port}"):
                place.play(Play("launch_rate", 0, 1, 10))
        finally:
            place.close()
