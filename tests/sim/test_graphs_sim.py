"""A replay is what its ops would be, called one by one: random programs with graphs, and the same
ones with every replay written out, must give the same results and the same failures.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from gon.wire import ops
from gon_server.devices.graphs import Graph
from gon_server.devices.sim import SimDevice
from gon_server.replaying import on_stream
from tests.sim.players import Failed, Outcome, execute
from tests.sim.programs import Maker, Step, Tick, WaitFor


class Written(NamedTuple):
    """A program without graphs, and of each of its ops the number of the one it was written for."""

    steps: list[Step]
    numbers: list[int]


def write_out(program: list[Step]) -> Written:
    """Return the program with the ops of graphs in the place of every replay."""
    graphs: dict[int, Graph] = {}
    steps: list[Step] = []
    numbers: list[int] = []
    some = [step for step in program if not isinstance(step, WaitFor | Tick)]
    for number, op in enumerate(some, 1):
        if isinstance(op, ops.DefineGraph):
            graphs[op.graph] = Graph(op.ops, op.slots)
        elif isinstance(op, ops.RunGraph):
            for step in graphs[op.graph].changed(op.changes):
                steps.append(on_stream(step, op.stream))
                numbers.append(number)
        elif not isinstance(op, ops.CloseGraph):
            steps.append(op)
            numbers.append(number)
    return Written(steps, numbers)


def _told(outcome: Outcome, numbers: list[int]) -> Outcome:
    if isinstance(outcome, Failed) and outcome.number:
        return outcome._replace(number=numbers[outcome.number - 1])
    return outcome


@pytest.mark.parametrize("faults", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(60))
def test_a_replay_is_as_its_ops_by_themselves(seed: int, faults: float) -> None:
    # Replays that are wrong by themselves have no ops to be compared with.
    program = Maker(seed, 120, faults, wrong_replays=False).steps
    written = write_out(program)
    wanted = {
        reply: _told(outcome, written.numbers)
        for reply, outcome in execute(written.steps, SimDevice(seed)).items()
    }
    assert execute(program, SimDevice(seed)) == wanted
    assert any(isinstance(step, ops.RunGraph) for step in program) or seed
