"""Seeded simulation of waits that are held: a program gives what it gives where none is."""

from __future__ import annotations

import pytest

from gon_server.devices.sim import SimDevice
from tests.forced_holding import force_holding
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


def test_waits_are_held_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    made = force_holding(monkeypatch)
    for seed in range(10):
        Simulation(seed, SimDevice(seed)).play(Maker(seed, 4 * STEPS).steps)
    assert sum(each.answered_late for each in made) >= 50
