"""Seeded simulation of waits that are held: a program gives what it gives where none is."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gon.wire import ops
from gon.wire.ops import AnyOp
from gon_server.devices.sim import SimDevice
from gon_server.line import Held, Line
from tests.forced_holding import force_holding
from tests.sim.held_programs import PROGRAM_BYTES, HeldMaker, HeldPlayer, SimEngines, unit
from tests.sim.players import execute
from tests.sim.programs import Maker
from tests.sim.test_conversation_sim import PIECE_BYTES, STEPS, Simulation


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs' buffers be many pieces."""
    for limit in ("MIN", "MAX", "SHARED"):
        monkeypatch.setattr(f"gon.wire.pieces.PIECE_BYTES_{limit}", PIECE_BYTES)


@pytest.mark.parametrize("seed", range(100))
def test_waits_that_are_held_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Maker(seed, STEPS, faults=0.1 if seed % 2 else 0.0).steps
    expected = execute(program, SimDevice(seed), PIECE_BYTES)
    force_holding(monkeypatch)
    outcomes = Simulation(seed, SimDevice(seed)).play(program)
    assert outcomes == expected


@pytest.mark.parametrize("seed", range(100))
def test_whatever_is_held_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of engines, programs that are uploaded, changes of personality, times."""
    program = HeldMaker(seed, STEPS, faults=0.1 if seed % 2 else 0.0).steps
    expected = execute(program, unit(seed), PIECE_BYTES, PROGRAM_BYTES)
    force_holding(monkeypatch)
    monkeypatch.setattr("gon_server.holding.EngineThread", SimEngines)
    if seed % 4 > 1:
        monkeypatch.setattr("gon_server.holding.LINE_MAX", 4)
    simulation = Simulation(seed, unit(seed), program_bytes=PROGRAM_BYTES, player=HeldPlayer)
    assert simulation.play(program) == expected


def test_waits_are_held_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    made = force_holding(monkeypatch)
    monkeypatch.setattr("gon_server.holding.EngineThread", SimEngines)
    SimEngines.calls = 0
    begun: set[type[AnyOp]] = set()
    add = Line.add

    def noted(self: Line, held: Held, after: Iterable[Held] = ()) -> None:
        begun.add(type(held.op))
        add(self, held, after)

    monkeypatch.setattr(Line, "add", noted)
    for seed in range(10):
        program = HeldMaker(seed, 4 * STEPS).steps
        simulation = Simulation(seed, unit(seed), program_bytes=PROGRAM_BYTES, player=HeldPlayer)
        simulation.play(program)
    assert sum(each.answered_late for each in made) >= 50
    assert SimEngines.calls >= 50
    assert begun >= {
        *(ops.SyncAll, ops.Elapsed, ops.Read, ops.Reconfigure, ops.LoadUploaded, ops.WritePart),
        *(ops.Free, ops.GetKernel, ops.CloseKernel, ops.Launch, ops.Record, ops.WaitEvent),
    }
