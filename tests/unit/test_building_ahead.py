"""Loading of what is built in another process: other work goes on while it is."""

from __future__ import annotations

import pytest

from gon.device import Pending
from gon.errors import CompileError
from gon.model import Handle, ModuleInfo, Program
from gon.wire import ops
from gon.wire.batch import Batch, Reply
from gon.wire.ops import AnyOp
from gon_server.executor import Executor
from gon_server.limits import HELD_MAX
from tests.gated_device import GatedDevice

QUOTA = 1 << 20
X, MODULE, OTHER, KERNEL = 3, 10, 11, 12
PROGRAM = Program(b"index\n", "python-sim")
WRONG = Program(b"none\n", "python-sim")
ONE = (1, 1, 1)


class Build:
    """A build that a test holds back."""

    def __init__(self) -> None:
        self.over = False

    def done(self) -> bool:
        return self.over

    def wait(self, timeout_s: float | None = None) -> None:
        del timeout_s
        self.over = True


class Lease:
    """An executor whose programs are built by nobody until a test says so."""

    def __init__(self) -> None:
        self.builds: list[Build] = []
        self.forgotten = 0
        self.device = GatedDevice()
        self.executor = Executor(self.device, QUOTA, self.load, ahead=self)
        self.holding = self.executor.holding
        self._number = 1
        self.run(ops.Allocate(X, 16))

    def load(self, module: Handle, program: Program) -> ModuleInfo:
        return self.device.load(module, program)

    def ahead(self, program: Program) -> Pending | None:
        del program
        self.builds.append(Build())
        return self.builds[-1]

    def forget(self, program: Program) -> None:
        del program
        self.forgotten += 1

    def run(self, *some: AnyOp) -> list[Reply]:
        batch = Batch(self._number, list(some))
        self._number += len(some)
        return self.executor.run(batch)

    def late(self) -> list[Reply]:
        self.holding.look()
        return self.holding.take_late()


@pytest.fixture
def lease() -> Lease:
    return Lease()


def test_others_go_on_while_a_program_is_built(lease: Lease) -> None:
    """Waits, memory that comes and goes, further programs; nobody has told of threads that wait."""
    assert lease.run(ops.Load(MODULE, PROGRAM, 1), ops.Sync(0, 2), ops.SyncAll(3))[0] == Reply(2)
    fill = ops.Fill(0, 5, 0, 16, b"\5")
    assert lease.run(ops.Allocate(5, 16), fill, ops.Read(0, 5, 0, 2, 4), ops.Free(5)) == [
        Reply(4, b"\5\5")
    ]
    assert lease.run(ops.Load(OTHER, PROGRAM, 5)) == []
    lease.builds[1].over = True
    assert [each.reply for each in lease.late()] == [3, 5]
    lease.builds[0].over = True
    assert [each.reply for each in lease.late()] == [1]
    assert lease.forgotten == 2


def test_what_uses_the_module_comes_behind(lease: Lease) -> None:
    args = (X, b"\7\0\0\0")
    lease.run(ops.Load(MODULE, PROGRAM, 1), ops.GetKernel(KERNEL, MODULE, "index"))
    assert lease.run(ops.Launch(0, KERNEL, ONE, ONE, 0, args), ops.Read(0, X, 0, 1, 2)) == []
    lease.builds[0].over = True
    assert [each.reply for each in lease.late()] == [1, 2]
    assert lease.run(ops.Read(0, X, 0, 1, 3)) == [Reply(3, b"\7")]


def test_memory_that_there_is_not_enough_of_comes_behind(lease: Lease) -> None:
    assert lease.run(ops.Load(MODULE, PROGRAM, 1), ops.Allocate(5, QUOTA), ops.Free(X)) == []
    assert lease.run(ops.Read(0, 5, 0, 1, 2)) == []
    lease.builds[0].over = True
    told = [(each.reply, each.failure is None) for each in lease.late()]
    assert told == [(1, True), (2, False)]


def test_what_does_not_compile_says_so_to_who_asked(lease: Lease) -> None:
    assert lease.run(ops.Load(MODULE, WRONG, 1)) == []
    lease.builds[0].over = True
    (told,) = lease.late()
    assert told.failure is not None
    assert (told.failure.code, told.failure.number) == (int(CompileError.code), 2)
    assert lease.run(ops.Sync(0, 2)) == [Reply(2)]


def test_waits_for_all_streams_that_tell_of_failures_wait_for_no_build(lease: Lease) -> None:
    bad = ops.Fill(0, 77, 0, 16, b"\5")
    told = lease.run(ops.Load(MODULE, PROGRAM, 1), bad, ops.SyncAll(2), ops.Sync(0, 3))
    told += lease.late()
    assert [(each.reply, each.failure is None) for each in told] == [(3, True), (2, False)]
    lease.builds[0].over = True
    assert [each.reply for each in lease.late()] == [1]


def test_a_wait_for_all_streams_that_tells_of_failures_waits_for_what_is_behind_a_build(
    lease: Lease,
) -> None:
    """But for no other one."""
    lease.run(ops.Load(OTHER, PROGRAM, 1), ops.Load(MODULE, PROGRAM, 2))
    lease.run(ops.GetKernel(KERNEL, MODULE, "index"))
    launch = ops.Launch(0, KERNEL, ONE, ONE, 0, (X, b"\7\0\0\0"))
    bad = ops.Fill(5, X, 16, 16, b"\5")
    lease.run(launch, ops.CreateStream(5), bad, ops.SyncAll(3), ops.CreateStream(6))
    assert [each.reply for each in lease.late()] == [2, 3]


def test_so_many_are_built_ahead_and_no_more(lease: Lease) -> None:
    for each in range(HELD_MAX):
        assert lease.run(ops.Load(100 + each, PROGRAM, 1 + each)) == []
    assert lease.run(ops.Load(MODULE, PROGRAM, 99)) == []
    assert len(lease.builds) == HELD_MAX
    for build in lease.builds:
        build.over = True
    assert len(lease.late()) == HELD_MAX + 1
