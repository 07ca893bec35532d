"""What comes of a program: played on a device, here or afar, or by an executor alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from gon.device import Device, HostDevice, Pending
from gon.errors import GonError
from gon.limits import INLINE_BYTES_MAX
from gon.model import Handle
from gon.wire import ops
from gon.wire.batch import Batch, Reply
from gon.wire.ops import AnyOp
from gon_server.executor import Executor
from tests.sim.programs import QUOTA_BYTES, Step, Tick, WaitFor


class Failed(NamedTuple):
    """The failure an answer carried: its code, and which op it tells of."""

    code: int
    op: str
    number: int


# What an answer brought: bytes read, nothing, or a failure.
Outcome: TypeAlias = bytes | Failed
Outcomes: TypeAlias = dict[int, Outcome]


class Player:
    """Plays a program on a device, whatever it is, and keeps what its answers bring."""

    def __init__(self, device: Device, tick: Callable[[], None] = lambda: None) -> None:
        self._device = device
        self._tick = tick
        self._pending: dict[int, tuple[Pending, bytearray]] = {}
        self.outcomes: Outcomes = {}

    def play(self, program: list[Step]) -> Outcomes:
        for step in program:
            match step:
                case WaitFor(reply):
                    self._wait(reply)
                case Tick():
                    self._tick()
                case _:
                    self._call(step)
        return self.outcomes

    def _wait(self, reply: int) -> None:
        if reply in self.outcomes:
            return
        pending, place = self._pending.pop(reply)
        try:
            pending.wait()
            self.outcomes[reply] = bytes(place)
        except GonError as error:
            self.outcomes[reply] = Failed(int(error.code), error.op, error.number)

    def _call(self, op: AnyOp) -> None:
        device = self._device
        match op:
            case ops.Launch(stream, kernel, grid, block, shared_bytes, args):
                device.launch(Handle(stream), Handle(kernel), grid, block, shared_bytes, args)
            case ops.Write(stream, buffer, offset, _size, data):
                assert data is not None
                device.write(Handle(stream), Handle(buffer), offset, memoryview(data))
            case ops.Copy(stream, source, source_at, target, target_at, size):
                device.copy(
                    Handle(stream), Handle(source), source_at, Handle(target), target_at, size
                )
            case ops.RunGraph(graph, stream, changes):
                device.run_graph(Handle(graph), Handle(stream), changes)
            case ops.Fill(stream, buffer, offset, size, pattern):
                device.fill(Handle(stream), Handle(buffer), offset, size, pattern)
            case ops.Read(stream, buffer, offset, size, reply):
                place = bytearray(size)
                pending = device.read(Handle(stream), Handle(buffer), offset, memoryview(place))
                self._pending[reply] = (pending, place)
            case ops.Sync(stream, reply):
                self._pending[reply] = (device.sync(Handle(stream)), bytearray())
            case ops.SyncAll(reply):
                self._pending[reply] = (device.sync_all(), bytearray())
            case ops.SyncEvent(event, reply):
                self._pending[reply] = (device.sync_event(Handle(event)), bytearray())
            case ops.Load(module, program, reply):
                device.load(Handle(module), program)
                self.outcomes[reply] = b""
            case _:
                self._make_or_forget(op)

    def _make_or_forget(self, op: AnyOp) -> None:
        device = self._device
        match op:
            case ops.Allocate(buffer, size):
                device.allocate(Handle(buffer), size)
            case ops.Free(buffer):
                device.free(Handle(buffer))
            case ops.CreateStream(stream):
                device.create_stream(Handle(stream))
            case ops.CloseStream(stream):
                device.close_stream(Handle(stream))
            case ops.CreateEvent(event):
                device.create_event(Handle(event))
            case ops.CloseEvent(event):
                device.close_event(Handle(event))
            case ops.Record(stream, event):
                device.record(Handle(stream), Handle(event))
            case ops.WaitEvent(stream, event):
                device.wait_event(Handle(stream), Handle(event))
            case ops.GetKernel(kernel, module, name):
                device.get_kernel(Handle(kernel), Handle(module), name)
            case ops.GetGlobal(buffer, module, name):
                device.get_global(Handle(buffer), Handle(module), name)
            case ops.CloseKernel(kernel):
                device.close_kernel(Handle(kernel))
            case ops.DefineGraph(graph, captured, slots):
                device.define_graph(Handle(graph), captured, slots)
            case ops.CloseGraph(graph):
                device.close_graph(Handle(graph))
            case _:
                raise AssertionError(f"no program has {op}")


def execute(program: list[Step], device: HostDevice) -> Outcomes:
    """Give the program's ops to an executor, one a batch: no session, no link."""
    executor = Executor(device, QUOTA_BYTES)
    outcomes: Outcomes = {}
    some = [step for step in program if not isinstance(step, WaitFor | Tick)]
    for number, op in enumerate(some, 1):
        if isinstance(op, ops.Write) and op.size_bytes > INLINE_BYTES_MAX:
            assert op.data is not None
            place = executor.begin_write(op, number)
            if place is not None:
                place[:] = op.data
            executor.end_window()
            continue
        for reply in executor.run(Batch(number, [op])):
            loads = isinstance(op, ops.Load)
            outcomes[reply.reply] = _outcome(reply, executor.window, loads=loads)
            executor.end_window()
    return outcomes


def _outcome(reply: Reply, window: memoryview | None, *, loads: bool) -> Outcome:
    failure = reply.failure
    if failure is not None:
        return Failed(failure.code, failure.op, failure.number)
    if window is not None:
        return bytes(window)
    return b"" if loads else reply.data or b""
