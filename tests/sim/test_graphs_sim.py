"""A replay is what its ops would be, called one by one: random programs with graphs, and the same
ones with every replay written out, must give the same results and the same failures.
"""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

import pytest

from gon.device import HostDevice
from gon.limits import PIECE_BYTES_MAX
from gon.model import Program
from gon.testing.kernels import MODULES
from gon.wire import ops
from gon_server.devices import opencl
from gon_server.devices.graphs import Graph
from gon_server.devices.sim import SimDevice
from gon_server.replaying import on_stream
from tests.inproc_worker import remote
from tests.sim.players import Failed, Outcome, Outcomes, Player, execute
from tests.sim.programs import QUOTA_BYTES, Maker, Step, Tick, WaitFor


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


def by_themselves(program: list[Step], device: HostDevice) -> Outcomes:
    """Return what the program gives with its replays written out, told by its own numbers."""
    written = write_out(program)
    outcomes = execute(written.steps, device, PIECE_BYTES_MAX)
    return {reply: _told(outcome, written.numbers) for reply, outcome in outcomes.items()}


def _told(outcome: Outcome, numbers: list[int]) -> Outcome:
    if isinstance(outcome, Failed) and outcome.number:
        return outcome._replace(number=numbers[outcome.number - 1])
    return outcome


@pytest.mark.parametrize("faults", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(60))
def test_a_replay_is_as_its_ops_by_themselves(seed: int, faults: float) -> None:
    # Replays that are wrong by themselves have no ops to be compared with.
    program = Maker(seed, 120, faults, wrong_replays=False).steps
    replayed = execute(program, SimDevice(seed), PIECE_BYTES_MAX)
    assert replayed == by_themselves(program, SimDevice(seed))


@pytest.mark.parametrize("seed", range(24))
def test_the_ports_way_of_a_replay_is_no_other(seed: int) -> None:
    """From afar, on a device that has a port: what gon_server._replay does where that is built."""
    module = Program(MODULES["opencl-c"].code, "opencl-c")
    program = Maker(seed, 120, 0.05 * (seed % 3), wrong_replays=False, module=module).steps
    with closing(opencl.open_device("")) as device:
        wanted = by_themselves(program, device)
    with remote(opencl.open_device(""), memory_bytes=QUOTA_BYTES) as far:
        assert Player(far).play(program) == wanted
