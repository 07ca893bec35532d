"""What comes of a program: played on a device, here or afar, or by an executor alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from gon.device import SETTLED, Device, HostDevice, Pending, Waiting
from gon.errors import GonError
from gon.limits import INLINE_BYTES_MAX
from gon.model import Handle
from gon.wire import ops
from gon.wire.batch import Batch, Failure, Reply
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
                taken = bytearray(data)
                device.write(Handle(stream), Handle(buffer), offset, memoryview(taken))
                taken[:] = bytes(len(taken))  # as it may once the call has returned
            case ops.Copy(stream, source, source_at, target, target_at, size):
                device.copy(
                    Handle(stream), Handle(source), source_at, Handle(target), target_at, size
                )
            case ops.RunGraph(graph, stream, changes):
                device.run_graph(Handle(graph), Handle(stream), changes)
            case ops.Fill(stream, buffer, offset, size, pattern):
                device.fill(Handle(stream), Handle(buffer), offset, size, pattern)
            case ops.Read(stream, buffer, offset, size, reply):
                self._read(stream, buffer, offset, bytearray(size), reply)
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

    def _read(self, stream: int, buffer: int, offset: int, place: bytearray, reply: int) -> None:
        """Read, and wait where it is called now and then, if the device has a call for that."""
        where = (Handle(stream), Handle(buffer), offset, memoryview(place))
        if reply % 2 and len(place) > INLINE_BYTES_MAX and isinstance(self._device, Waiting):
            try:
                self._device.read_now(*where)
            except GonError as error:
                self.outcomes[reply] = Failed(int(error.code), error.op, error.number)
            else:
                self._pending[reply] = (SETTLED, place)
        else:
            self._pending[reply] = (self._device.read(*where), place)

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
            case ops.Unload(module):
                device.unload(Handle(module))
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


def in_parts(op: AnyOp, piece_bytes: int) -> list[AnyOp]:
    """Return the ops that carry a large write."""
    if not isinstance(op, ops.Write) or op.size_bytes <= max(piece_bytes, INLINE_BYTES_MAX):
        return [op]
    return [
        ops.WritePart(
            op.stream,
            op.buffer,
            op.offset + at,
            min(piece_bytes, op.size_bytes - at),
            op.offset,
            op.size_bytes,
        )
        for at in range(0, op.size_bytes, piece_bytes)
    ]


def execute(
    program: list[Step], device: HostDevice, piece_bytes: int, program_bytes: int = 0
) -> Outcomes:
    """Give the program's ops to an executor, one a batch: no session, no link."""
    executor = Executor(device, QUOTA_BYTES, program_bytes=program_bytes)
    outcomes: Outcomes = {}
    some = [step for step in program if not isinstance(step, WaitFor | Tick)]
    number = 0
    for whole in some:
        for op in in_parts(whole, piece_bytes):
            number += 1
            if isinstance(op, ops.WritePart) or (
                isinstance(op, ops.Write) and op.size_bytes > INLINE_BYTES_MAX
            ):
                assert isinstance(whole, ops.Write)
                assert whole.data is not None
                place = executor.begin_write(op, number)
                if place is not None:
                    begin = op.offset - whole.offset
                    place[:] = whole.data[begin : begin + op.size_bytes]
                executor.end_window()
                continue
            for reply in executor.run(Batch(number, [op])):
                outcomes[reply.reply] = _outcome(executor, op, reply, number)
    return outcomes


def _outcome(executor: Executor, op: AnyOp, reply: Reply, number: int) -> Outcome:
    failure = reply.failure
    if failure is None and reply.size_bytes:
        assert isinstance(op, ops.Read)
        try:
            data = bytes(executor.begin_read(op, 0, op.size_bytes))
        except GonError as error:
            failure = Failure.of(error, "Read", number)
        else:
            executor.end_window()
            return data
    if failure is not None:
        return Failed(failure.code, failure.op, failure.number)
    # What the answers of others carry the program never sees.
    return reply.data or b"" if isinstance(op, ops.Read) else b""
