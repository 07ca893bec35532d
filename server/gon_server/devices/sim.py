"""The simulator: what buffers, streams and events mean, in NumPy; the definition other backends are
held to.

Nothing runs when it is asked for. Each stream holds its ops back until somebody waits; then, one at
a time, the head of any stream that is ready may run, in an order drawn from a seed. So a program
that relies on more order than the contract gives is caught sooner or later, and its seed shows it
again. The address is that seed: "sim:7".

Kernels are those of sim_kernels, by name. Time is the number of ops run so far, in µs.

Rules: ops are checked when they are asked for; one that fails while it runs raises DeviceError at
the first wait for its stream, and those behind it run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from gon.device import Pending
from gon.errors import InvalidArgument, OutOfMemory, Unsupported
from gon.limits import BUFFERS_MAX, EVENTS_MAX, GIB, KERNELS_MAX, MODULES_MAX, STREAMS_MAX
from gon.model import DEFAULT_STREAM, DeviceInfo, Dim3, Handle, LaunchArg, ModuleInfo, Program
from gon.placement import Memory
from gon_server.devices.books import (
    Table,
    bytes_view,
    check_bare,
    check_copy,
    check_format,
    check_pattern,
    check_range,
    check_size,
    writable_view,
)
from gon_server.devices.graphs import GraphLoop
from gon_server.devices.sim_kernels import (
    FORMAT,
    LOCAL_BYTES,
    MAX_BLOCK,
    MAX_BLOCK_DIMS,
    Octets,
    SimKernel,
    bind,
    check_shape,
    parse_module,
    written_by,
)
from gon_server.devices.sim_streams import Event, Schedule, Stream, Waiting

# Buffers begin at such addresses, as every device's do: engines may need it.
_ALIGNMENT_BYTES: Final = 64

INFO: Final = DeviceInfo(
    name="simulator",
    kind="sim",
    vendor="GoN",
    driver="numpy",
    formats=(FORMAT,),
    memory_bytes=GIB,
    max_block=MAX_BLOCK,
    max_block_dims=MAX_BLOCK_DIMS,
    local_bytes=LOCAL_BYTES,
    compute_units=1,
    view_alignment_bytes=1,
)


class SimDevice(GraphLoop):
    """A device of pure semantics, as gon.device.HostDevice."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._seed = seed
        self._schedule = Schedule(lambda: self._streams.values(), seed)
        self._allocated_bytes = 0
        self._buffers: Table[Octets] = Table("buffer", BUFFERS_MAX)
        self.in_place = True
        # What was asked for by `memory_of`.
        self._views: dict[int, memoryview] = {}
        self._gone: list[Callable[[memoryview], None]] = []
        self._memory: Memory | None = None
        self._places: dict[Handle, int] = {}
        self._streams: Table[Stream] = Table("stream", STREAMS_MAX)
        self._events: Table[Event] = Table("event", EVENTS_MAX)
        self._modules: Table[dict[str, SimKernel]] = Table("module", MODULES_MAX)
        self._kernels: Table[SimKernel] = Table("kernel", KERNELS_MAX)
        self._streams[DEFAULT_STREAM] = Stream()

    def __repr__(self) -> str:
        return f"SimDevice(seed {self._seed}, {self._schedule!r})"

    @property
    def info(self) -> DeviceInfo:
        return INFO

    def _finish(self, stream: Stream) -> None:
        self._pending(stream).wait()

    def _pending(self, *streams: Stream) -> Pending:
        queue = self._schedule.queue
        return Waiting(self._schedule, [(stream, queue(stream, _nothing)) for stream in streams])

    # Buffers --------------------------------------------------------------------------------------
    def allocate(self, buffer: Handle, size_bytes: int) -> None:
        self._buffers.check_new(buffer)
        check_size(size_bytes, INFO.memory_bytes)
        if size_bytes > INFO.memory_bytes - self._allocated_bytes:
            raise OutOfMemory(f"a buffer of {size_bytes} bytes; the device has {INFO.memory_bytes}")
        taken = None if self._memory is None else self._memory.take(size_bytes)
        if taken is not None:
            self._places[buffer], array = taken
        else:
            room = np.zeros(size_bytes + _ALIGNMENT_BYTES, np.uint8)
            start = -room.ctypes.data % _ALIGNMENT_BYTES
            array = room[start : start + size_bytes]
        self._buffers.add(buffer, array)
        self._allocated_bytes += size_bytes

    def free(self, buffer: Handle) -> None:
        # Ops held back have the array itself; it goes when the last of them has run.
        self._allocated_bytes -= self._buffers.remove(buffer).nbytes
        view = self._views.pop(buffer, None)
        if view is not None:
            for gone in self._gone:
                gone(view)
        self._places.pop(buffer, None)

    def write(self, stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        snapshot = bytes(bytes_view(data))
        where = self._range(buffer, offset, len(snapshot))
        queue = self._streams[stream]
        if queue.ops:
            self._schedule.queue(queue, lambda: _store(where, snapshot))
        else:
            _store(where, snapshot)

    def read(self, stream: Handle, buffer: Handle, offset: int, out: memoryview) -> Pending:
        place = writable_view(out)
        where, queue = self._range(buffer, offset, len(place)), self._streams[stream]
        op = self._schedule.queue(queue, lambda: _load(where, place))
        return Waiting(self._schedule, [(queue, op)])

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_offset: int,
        target: Handle,
        target_offset: int,
        size: int,
    ) -> None:
        origin = self._range(source, source_offset, size)
        goal = self._range(target, target_offset, size)
        check_copy(source, source_offset, target, target_offset, size)
        self._schedule.queue(self._streams[stream], lambda: _store(goal, origin.tobytes()))

    def fill(self, stream: Handle, buffer: Handle, offset: int, size: int, pattern: bytes) -> None:
        check_pattern(pattern, size)
        where = self._range(buffer, offset, size)
        content = bytes(pattern) * (size // len(pattern))
        self._schedule.queue(self._streams[stream], lambda: _store(where, content))

    def _range(self, buffer: Handle, offset: int, size: int) -> Octets:
        array = self._buffers[buffer]
        check_range(buffer, offset, size, array.nbytes)
        return array[offset : offset + size]

    # Streams and events ---------------------------------------------------------------------------
    def create_stream(self, stream: Handle) -> None:
        self._streams.add(stream, Stream())

    def close_stream(self, stream: Handle) -> None:
        if stream == DEFAULT_STREAM:
            raise InvalidArgument("the default stream cannot be closed")
        try:
            self._finish(self._streams[stream])
        finally:
            self._streams.pop(stream, None)

    def sync(self, stream: Handle) -> Pending:
        return self._pending(self._streams[stream])

    def sync_all(self) -> Pending:
        return self._pending(*self._streams.values())

    def create_event(self, event: Handle) -> None:
        self._events.add(event, Event())

    def close_event(self, event: Handle) -> None:
        self._events.remove(event)

    def record(self, stream: Handle, event: Handle) -> None:
        queue, recorded = self._streams[stream], self._events[event]
        recorded.record, recorded.stream = self._schedule.queue(queue, _nothing), queue

    def wait_event(self, stream: Handle, event: Handle) -> None:
        queue, awaited = self._streams[stream], self._events[event].record
        if awaited is not None:
            self._schedule.queue(queue, _nothing, awaited)

    def sync_event(self, event: Handle) -> Pending:
        awaited = self._events[event]
        if awaited.record is None or awaited.stream is None:
            return Waiting(self._schedule, ())
        return Waiting(self._schedule, [(awaited.stream, awaited.record)])

    def elapsed_us(self, start: Handle, end: Handle) -> float:
        times: list[int] = []
        for event in (start, end):
            record = self._events[event].record
            if record is None:
                raise InvalidArgument(f"event {event} was never recorded")
            self.sync_event(event).wait()
            times.append(record.time_us)
        return float(times[1] - times[0])

    # Programs -------------------------------------------------------------------------------------
    def load(self, module: Handle, program: Program) -> ModuleInfo:
        self._modules.check_new(module)
        check_format(program, self.info)
        check_bare(program)
        kernels = parse_module(program.code)
        self._modules.add(module, kernels)
        return ModuleInfo(tuple(kernel.info for kernel in kernels.values()))

    def unload(self, module: Handle) -> None:
        self._modules.remove(module)

    def get_global(self, buffer: Handle, module: Handle, name: str) -> None:
        self._buffers.check_new(buffer)
        self._modules.check(module)
        raise InvalidArgument(f"the module has no variable {name!r}: {FORMAT} has none")

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self._kernels.check_new(kernel)
        found = self._modules[module].get(name)
        if found is None:
            raise InvalidArgument(f"the module has no kernel {name!r}")
        self._kernels.add(kernel, found)

    def close_kernel(self, kernel: Handle) -> None:
        self._kernels.remove(kernel)

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        queue, known = self._streams[stream], self._kernels[kernel]
        if shared_bytes:
            raise Unsupported(f"shared_bytes is {shared_bytes}; {FORMAT} has none")
        check_shape(known.info.name, grid, block)
        bound = bind(known, args, self._buffers)
        self._schedule.queue(queue, lambda: known.run(grid, block, bound))

    def written_by(self, kernel: Handle, args: Sequence[LaunchArg]) -> list[Handle]:
        return written_by(self._kernels[kernel], args)

    # The host's side ------------------------------------------------------------------------------
    def host_window(
        self, stream: Handle, buffer: Handle, offset: int, size: int, *, write: bool
    ) -> memoryview:
        queue, where = self._streams[stream], self._range(buffer, offset, size)
        if queue.window_open:
            raise InvalidArgument(f"stream {stream} has a window open already")
        self._finish(queue)
        queue.window_open = True
        return where.data if write else where.data.toreadonly()

    def close_window(self, stream: Handle) -> None:
        queue = self._streams[stream]
        if not queue.window_open:
            raise InvalidArgument(f"stream {stream} has no window open")
        queue.window_open = False

    def memory_of(self, buffer: Handle) -> memoryview:
        array = self._buffers[buffer]
        return self._views.get(buffer) or self._views.setdefault(buffer, array.data)

    def watch(self, gone: Callable[[memoryview], None]) -> None:
        self._gone.append(gone)

    def lie_in(self, memory: Memory) -> bool:
        self._memory = memory
        return True

    def place_of(self, buffer: Handle) -> int | None:
        self._buffers.check(buffer)
        return self._places.get(buffer)

    def close(self) -> None:
        for table in (self._kernels, self._modules, self._events, self._buffers, self._streams):
            table.clear()


def _store(where: Octets, content: bytes) -> None:
    where[:] = np.frombuffer(content, np.uint8)


def _load(where: Octets, place: memoryview) -> None:
    place[:] = where.data


def _nothing() -> None:
    return


def open_device(address: str) -> SimDevice:
    """Open a simulator; the address is its seed, "" for 0. Raises InvalidArgument."""
    if address and not address.isdecimal():
        raise InvalidArgument(f"the address of a simulator is its seed, not {address!r}")
    return SimDevice(int(address or 0))
