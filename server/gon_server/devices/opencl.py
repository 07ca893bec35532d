"""The OpenCL backend: any OpenCL device of this host, by default its own CPU as a software unit.

Streams are in-order queues, events are markers in them with the device's time. On a device that
shares the host's memory buffers are the host's pages, so links receive and send in place.

Rules: pyopencl is spoken to here and in the modules beside it; its errors leave as ours. One
thread at a time uses a device; waits give up the GIL. An endless kernel cannot be stopped: the
process that holds the device is the boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pyopencl as cl

from gon.device import SETTLED, Pending
from gon.errors import BadHandle, GonError, InvalidArgument, OutOfMemory, Unsupported
from gon.limits import BUFFERS_MAX, DIRECT_BYTES_MAX, EVENTS_MAX, KEPT_BYTES_MAX, MIB, STREAMS_MAX
from gon.model import DEFAULT_STREAM, DeviceInfo, Dim3, Handle, LaunchArg
from gon.native import NATIVE
from gon.placement import Memory
from gon.together import Together
from gon_server.devices import opencl_driver as driver
from gon_server.devices.books import (
    Table,
    bytes_view,
    check_copy,
    check_pattern,
    check_range,
    check_size,
    writable_view,
)
from gon_server.devices.graphs import GraphLoop
from gon_server.devices.opencl_driver import DriverError, enqueue_kernel
from gon_server.devices.opencl_images import DeviceImages
from gon_server.devices.opencl_kernel import Freed
from gon_server.devices.opencl_memory import BufferMemory, DeviceBuffer
from gon_server.devices.opencl_programs import ProgramCalls, Programs
from gon_server.devices.opencl_ranges import RangeLaunches
from gon_server.devices.opencl_runtime import (
    discover,
    info_of,
    kind_of,
    prepare_workers,
    runs_programs,
    select,
)
from gon_server.devices.opencl_stream import Record, Stream
from gon_server.devices.opencl_timing import DeviceTiming
from gon_server.devices.opencl_trial import try_device

if TYPE_CHECKING or NATIVE:
    from gon._port import Port
    from gon_server.devices._opencl_port import OpenClPort

__all__ = ["OpenClDevice", "discover", "open_device", "prepare_workers"]

PIECE_BYTES: Final = MIB  # of a pattern that the driver cannot fill in with


class OpenClDevice(GraphLoop, RangeLaunches, ProgramCalls):
    """One OpenCL device, as gon.device.HostDevice and Builder; `open_device` makes it."""

    def __init__(
        self, unit: driver.Unit, address: str, trial: bytes = b"", *, may_share: bool = True
    ) -> None:
        """Open `unit`; `may_share` says whether buffers may be the host's own memory."""
        super().__init__()
        self._unit = unit
        self._context = cl.Context([unit])
        self._service = driver.create_queue(self._context, unit)
        may_share = may_share and kind_of(unit) != "gpu"
        tried = try_device(self._context, unit, self._service, trial, may_share=may_share)
        self.in_place = tried.shares
        svm = int(unit.svm_capabilities) if self.in_place else 0
        any_address = bool(svm & cl.device_svm_capabilities.FINE_GRAIN_SYSTEM)
        alignment = 1 if any_address else max(unit.mem_base_addr_align // 8, 1)
        self._info = info_of(unit, address, alignment)
        self._buffer_bytes_max = unit.max_mem_alloc_size
        self._memory = BufferMemory(
            self._context, self._service, in_place=self.in_place, any_address=any_address
        )
        self._memory.most_bytes = self._info.memory_bytes
        self.watch = self._memory.watch
        self.runs_programs, self.freed = runs_programs(unit), Freed()
        self._closed = False
        self._buffers: Table[DeviceBuffer] = Table("buffer", BUFFERS_MAX)
        self._streams: Table[Stream] = Table("stream", STREAMS_MAX)
        self._events: Table[Record] = Table("event", EVENTS_MAX)
        self.images = self._open_images()
        self.timing = DeviceTiming(self._streams, self._events)
        self._programs = Programs(
            self._context, unit, self._info, tried, self._memory.filled, self.images
        )
        self._kernels = self._programs.kernels
        self._streams[DEFAULT_STREAM] = Stream(driver.create_queue(self._context, unit))
        ports = (self._streams, self._kernels, self._buffers, self._events)
        self.port: Port | None = OpenClPort(self, self.freed, *ports) if NATIVE else None

    def __repr__(self) -> str:
        where = "the host's" if self.in_place else "its own"
        return (
            f"OpenClDevice({self._info.name} by {self._info.driver}, {where} memory, "
            f"{len(self._buffers)} buffers, {len(self._streams)} streams)"
        )

    def _open_images(self) -> DeviceImages | None:
        if not self._unit.image_support:
            return None
        beside = (self._streams, self._buffers, self._memory)
        return DeviceImages(self._context, self._unit, self._service, *beside)

    @property
    def info(self) -> DeviceInfo:
        return self._info

    # Buffers --------------------------------------------------------------------------------------
    def allocate(self, buffer: Handle, size_bytes: int) -> None:
        self._check_new(buffer)
        check_size(size_bytes, self._info.memory_bytes)
        free_bytes = self._info.memory_bytes - self._memory.taken_bytes
        if size_bytes > min(free_bytes, self._buffer_bytes_max):
            raise OutOfMemory(
                f"a buffer of {size_bytes} bytes: {free_bytes} of {self._info.memory_bytes} are "
                f"free, one buffer has at most {self._buffer_bytes_max}"
            )
        try:
            self._buffers.add(buffer, self._memory.make(size_bytes))
        except DriverError as error:
            raise driver.error_of(error, f"allocating {size_bytes} bytes") from error

    def _check_new(self, buffer: Handle) -> None:
        self._buffers.check_new(buffer)
        if self.images is not None and buffer in self.images.table:
            raise BadHandle(f"buffer {buffer} is there already: an image")

    def bound_memory(self, size_bytes: int) -> None:
        self._memory.most_bytes = min(size_bytes, self._info.memory_bytes)

    def free(self, buffer: Handle) -> None:
        images = self.images
        image = None if images is None else images.table.pop(buffer, None)
        freed = image or self._buffers.remove(buffer)
        self.freed.count += 1
        busy = [stream for stream in self._streams.values() if stream.last is not None]
        for stream in busy:
            stream.keep(freed, freed.size_bytes)
        if isinstance(freed, DeviceBuffer):
            beneath = images is not None and images.lies_over(freed)
            self._memory.take_back(freed, used=bool(busy) or beneath)
        else:
            self._memory.taken_bytes -= freed.size_bytes
        for stream in busy:
            stream.trim()

    def write(self, stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        queue, target = self._streams[stream], self._buffers[buffer]
        data = bytes_view(data)
        size = len(data)
        check_range(buffer, offset, size, target.size_bytes)
        if not size:
            return
        if target.host is not None and size > KEPT_BYTES_MAX:
            queue.settle()
        if target.host is not None and queue.last is None:
            target.host[offset : offset + size] = data
            return
        # On an idle stream it is to be there for every other stream too, so it is waited for.
        idle = queue.last is None
        waits = idle or size > KEPT_BYTES_MAX
        kept = data if waits else bytes(data)
        try:
            event = driver.enqueue_write(queue.queue, target.memory, kept, offset, None, waits)
        except DriverError as error:
            raise driver.error_of(error, f"writing {size} bytes") from error
        if idle:
            return
        queue.last = event
        queue.keep(event, size)
        queue.trim()

    def read(self, stream: Handle, buffer: Handle, offset: int, out: memoryview) -> Pending:
        queue, source = self._streams[stream], self._buffers[buffer]
        out = writable_view(out)
        size = len(out)
        check_range(buffer, offset, size, source.size_bytes)
        if not size:
            return SETTLED
        if source.host is not None and queue.last is None:
            out[:] = source.host[offset : offset + size]
            return SETTLED
        try:
            event = driver.enqueue_read(queue.queue, source.memory, out, offset, None, False)
        except DriverError as error:
            raise driver.error_of(error, f"reading {size} bytes") from error
        queue.last = event
        pending = queue.pending()
        queue.keep(event, 0)
        queue.trim()
        return pending

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_offset: int,
        target: Handle,
        target_offset: int,
        size: int,
    ) -> None:
        queue, origin, goal = self._streams[stream], self._buffers[source], self._buffers[target]
        check_range(source, source_offset, size, origin.size_bytes)
        check_range(target, target_offset, size, goal.size_bytes)
        check_copy(source, source_offset, target, target_offset, size)
        if not size:
            return
        direct = queue.last is None and size <= DIRECT_BYTES_MAX
        if direct and origin.host is not None and goal.host is not None:
            piece = origin.host[source_offset : source_offset + size]
            goal.host[target_offset : target_offset + size] = piece
            return
        try:
            queue.last = driver.enqueue_copy(
                queue.queue, origin.memory, goal.memory, size, source_offset, target_offset
            )
        except DriverError as error:
            raise driver.error_of(error, f"copying {size} bytes") from error

    def fill(self, stream: Handle, buffer: Handle, offset: int, size: int, pattern: bytes) -> None:
        queue, target = self._streams[stream], self._buffers[buffer]
        check_pattern(pattern, size)
        check_range(buffer, offset, size, target.size_bytes)
        if not size:
            return
        if target.host is not None and queue.last is None and size <= DIRECT_BYTES_MAX:
            target.host[offset : offset + size] = pattern * (size // len(pattern))
            return
        if offset % len(pattern):  # the driver fills at multiples of the pattern's size only
            piece = memoryview(pattern * (min(size, PIECE_BYTES) // len(pattern)))
            for start in range(0, size, len(piece)):
                self.write(stream, buffer, offset + start, piece[: size - start])
            return
        try:
            queue.last = driver.enqueue_fill(queue.queue, target.memory, pattern, offset, size)
        except DriverError as error:
            raise driver.error_of(error, f"filling {size} bytes") from error

    # Streams and events ---------------------------------------------------------------------------
    def create_stream(self, stream: Handle) -> None:
        self._streams.check_new(stream)
        try:
            self._streams.add(stream, Stream(driver.create_queue(self._context, self._unit)))
        except DriverError as error:
            raise driver.error_of(error, "creating a stream") from error

    def close_stream(self, stream: Handle) -> None:
        if stream == DEFAULT_STREAM:
            raise InvalidArgument("the default stream cannot be closed")
        self._streams.remove(stream).settle()

    def sync(self, stream: Handle) -> Pending:
        return self._streams[stream].pending()

    def sync_all(self) -> Pending:
        busy = [stream.pending() for stream in self._streams.values() if stream.last is not None]
        return busy[0] if len(busy) == 1 else Together(busy) if busy else SETTLED

    def create_event(self, event: Handle) -> None:
        self._events.add(event, Record())

    def close_event(self, event: Handle) -> None:
        self._events.remove(event)

    def record(self, stream: Handle, event: Handle) -> None:
        queue, recorded = self._streams[stream], self._events[event]
        try:
            queue.record(recorded)
        except DriverError as error:
            raise driver.error_of(error, "recording an event") from error

    def wait_event(self, stream: Handle, event: Handle) -> None:
        queue, awaited = self._streams[stream], self._events[event]
        try:
            queue.wait_for(awaited)
        except DriverError as error:
            raise driver.error_of(error, "waiting for an event") from error

    def sync_event(self, event: Handle) -> Pending:
        return self._events[event].pending()

    def elapsed_us(self, start: Handle, end: Handle) -> float:
        """Return device time between two records; the resolution is the device's, 1 ns on CPUs."""
        return (self._time_ns(end) - self._time_ns(start)) / 1000.0

    def _time_ns(self, event: Handle) -> int:
        try:
            time_ns = self._events[event].time_ns()
        except DriverError as error:
            raise driver.error_of(error, "reading an event's time") from error
        if time_ns is None:
            raise InvalidArgument(f"event {event} was never recorded")
        return time_ns

    # Programs -------------------------------------------------------------------------------------
    def get_global(self, buffer: Handle, module: Handle, name: str) -> None:
        self._check_new(buffer)
        self._buffers.add(buffer, self._programs.variable(module, name))

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        queue = self._streams[stream]
        bound = self._kernels[kernel]
        shape = bound.shapes.get((grid, block)) or bound.check_shape(grid, block)
        try:
            if shared_bytes != bound.shared_bytes:
                bound.share(shared_bytes)
            if args != bound.args or bound.freed != self.freed.count:
                bound.bind(args, self._buffers, self.freed)
            queue.last = enqueue_kernel(queue.queue, bound.kernel, shape[0], shape[1])
        except DriverError as error:
            raise driver.error_of(error, f"launching kernel {bound.name}") from error

    def written_by(self, kernel: Handle, args: Sequence[LaunchArg]) -> list[Handle]:
        return [Handle(buffer) for buffer in self._kernels[kernel].written(args)]

    # The host's side ------------------------------------------------------------------------------
    def host_window(
        self, stream: Handle, buffer: Handle, offset: int, size: int, *, write: bool
    ) -> memoryview:
        queue, seen = self._streams[stream], self._buffers[buffer]
        check_range(buffer, offset, size, seen.size_bytes)
        queue.open_window()
        try:
            if seen.host is None and size:
                return queue.map_window(seen.memory, offset, size, write=write)
        except DriverError as error:
            queue.close_window()
            raise driver.error_of(error, "opening a window") from error
        view = memoryview(bytearray()) if seen.host is None else seen.host[offset : offset + size]
        return view if write else view.toreadonly()

    def close_window(self, stream: Handle) -> None:
        self._streams[stream].close_window()

    def memory_of(self, buffer: Handle) -> memoryview:
        host = self._buffers[buffer].host
        if host is None:
            raise Unsupported(f"the memory of buffer {buffer} is the device's own")
        return host

    def lie_in(self, memory: Memory) -> bool:
        if self.in_place:
            self._memory.within = memory
        return self.in_place

    def place_of(self, buffer: Handle) -> int | None:
        return self._buffers[buffer].place

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for stream in self._streams.values():
            try:
                stream.settle()
            except GonError:  # whose results nobody will see any more
                continue
        self._programs.clear()
        if self.images is not None:
            self.images.table.clear()
        for table in (self._events, self._buffers, self._streams):
            table.clear()
        self._memory.clear()


def open_device(address: str, trial: bytes = b"") -> OpenClDevice:
    """Open "PLATFORM NAME/INDEX" (as `discover` names it), or for "" the host's default software
    unit; `trial` is what the same device gave in another process.

    The device has run a kernel when this returns. Raises InvalidArgument for an address that is not
    there, DeviceError for a device that does not work.
    """
    unit = select(address)
    try:
        return OpenClDevice(unit, address, trial)
    except DriverError as error:
        raise driver.error_of(error, f"opening OpenCL device {address!r}") from error
