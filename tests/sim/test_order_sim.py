"""Seeded simulation of what a worker holds: results, failures and what is left of a program are
those of the same program in the order of its calls.
"""

from __future__ import annotations

import pytest

from gon_server.holding import Holding
from tests.forced_holding import force_holding
from tests.sim.arriving import Arriving, arrive
from tests.sim.held_programs import PROGRAM_BYTES, SimBuilds, SimEngines, unit
from tests.sim.order_programs import OrderMaker

STEPS = 40
FAULTS = (0.0, 0.05, 0.15, 0.3)


def played(seed: int, ahead: SimBuilds | None = None) -> Arriving:
    """Play a program on an executor; the seed is that of how its streams go on, too."""
    program = OrderMaker(seed, STEPS, faults=FAULTS[seed % len(FAULTS)]).steps
    return arrive(program, unit(seed), seed, PROGRAM_BYTES, ahead)


def hold(monkeypatch: pytest.MonkeyPatch) -> list[Holding]:
    made = force_holding(monkeypatch)
    monkeypatch.setattr("gon_server.holding.EngineThread", SimEngines)
    SimEngines.calls = 0
    return made


# Those above 1000 differed once.
@pytest.mark.parametrize("seed", [*range(120), 1401, 6930, 21032])
def test_what_is_held_gives_what_it_gives_in_the_order_of_calls(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = played(seed)
    hold(monkeypatch)
    if seed % 8 > 5:
        monkeypatch.setattr("gon_server.holding.LINE_MAX", 4)
    held = played(seed, SimBuilds(seed) if seed % 3 else None)
    assert held.outcomes == expected.outcomes
    assert held.state() == expected.state()


def test_enough_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    made = hold(monkeypatch)
    for seed in range(20):
        played(seed)
    assert sum(each.answered_late for each in made) >= 50
