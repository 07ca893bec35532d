"""What is ordered with functions of engines that run aside, though it is known only by then."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from gon.errors import Code
from gon.model import GraphLaunch, Handle, Program
from gon.wire import ops
from gon.wire.batch import Batch, Reply
from gon.wire.ops import AnyOp
from gon.wire.waiter_ops import NoteWaiters
from gon_server.executor import Executor
from tests.fake_engine import FORMAT, FakeBound
from tests.gated_device import FREE, GATED, GatedDevice
from tests.unit.elastic_bench import GRAPH, KERNEL, MODULE, ONE, SIZE, Bench, args

X, Y, Z = 31, 32, 33
NEW_MODULE, NEW = 40, 41


class Call:
    """A function that runs until a test says that it is over."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self.over = False

    def done(self) -> bool:
        return self.over

    def wait(self, timeout_s: float | None = None) -> None:
        del timeout_s
        assert self.over, "nobody waits for it"
        self.function()


class Lease:
    """An executor on a unit with engines, whose functions run in no thread at all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[Call] = []
        self.ran: list[int] = []
        run = FakeBound.run

        def alone(bound: FakeBound, data: Sequence[bytes] = ()) -> None:
            assert all(call.over for call in self.calls), "one at a time"
            run(bound, data)

        monkeypatch.setattr(FakeBound, "run", alone)
        monkeypatch.setattr("gon_server.holding.EngineThread", lambda: self)
        self.device = GatedDevice()
        self.unit = Bench(self.device, "dpu", "gpu").unit
        for handle in (Handle(1), Handle(2), Handle(3)):
            self.unit.free(handle)
        self.unit.close_kernel(KERNEL)
        self.unit.unload(MODULE)
        self.executor = Executor(self.unit, 1 << 20, clock=self.device.clock)
        self.holding = self.executor.holding
        self._number = 1
        self.do(*(ops.CreateStream(each) for each in (GATED, FREE)))
        self.do(*(ops.Allocate(each, SIZE) for each in (X, Y, Z)))
        self.do(
            ops.Load(MODULE, Program(b"plus", FORMAT), 1), ops.GetKernel(KERNEL, MODULE, "plus")
        )
        self.do(NoteWaiters(2), ops.Sync(GATED, 1), ops.SyncAll(2))
        self.device.takes_s = 0.0
        self.device.gate.clear()
        self.unit.paces.slow.add(KERNEL)

    def run(self, function: Callable[[], None]) -> Call:
        """As the engines' thread does."""
        self.calls.append(Call(function))
        return self.calls[-1]

    def do(self, *some: AnyOp) -> list[Reply]:
        batch = Batch(self._number, list(some))
        self._number += len(some)
        return [*self.executor.run(batch), *self.late()]

    def late(self) -> list[Reply]:
        for _ in range(20):
            self.holding.look()
        return self.holding.take_late()


@pytest.fixture
def lease(monkeypatch: pytest.MonkeyPatch) -> Lease:
    return Lease(monkeypatch)


def call(stream: int, kernel: int = KERNEL) -> ops.Launch:
    return ops.Launch(stream, kernel, ONE, ONE, 0, args(X, Y, 3))


@pytest.mark.parametrize("by_graph", [False, True])
def test_a_function_that_is_made_in_line_runs_beside_no_other(lease: Lease, by_graph: bool) -> None:
    lease.do(call(FREE))
    program = Program(b"plus", FORMAT)
    lease.do(ops.Load(NEW_MODULE, program, 5), ops.GetKernel(NEW, NEW_MODULE, "plus"))
    lease.do(ops.Read(GATED, X, 0, 2, 6), call(FREE))
    if by_graph:
        lease.do(ops.DefineGraph(GRAPH, (on_no_stream(call(GATED, NEW)),), ()))
        lease.do(ops.RunGraph(GRAPH, GATED, ()))
    else:
        lease.do(call(GATED, NEW))
    first = lease.calls[0]
    first.over = True
    assert [each.reply for each in lease.late()] == [5]
    lease.device.gate.set()
    lease.late()
    lease.calls[1].over = True
    assert [*lease.do(ops.SyncAll(7))][-1] == Reply(7)


def on_no_stream(op: ops.Launch) -> GraphLaunch:
    return GraphLaunch(op.kernel, op.grid, op.block, op.shared_bytes, op.args)


def test_a_function_that_a_change_has_unloaded_meanwhile_is_told_as_such(lease: Lease) -> None:
    assert lease.do(ops.Reconfigure("gpu", False, 5), call(FREE)) == []
    lease.device.gate.set()
    assert [each.reply for each in lease.late()] == [5]
    (told,) = lease.do(ops.Sync(FREE, 6))
    assert told.failure is not None
    assert told.failure.code == int(Code.UNSUPPORTED)
