"""The CUDA backend: one NVIDIA GPU, or one instance of a GPU that is cut into several, by CuPy.

Streams do not wait for CUDA's default one, which is never used; events carry the device's time;
modules are CUDA C (by NVRTC), PTX or machine code; host windows are page-locked memory.

Rules: CuPy is spoken to here and in the modules beside it; its errors leave as ours. One thread at
a time uses a device; waits give up the GIL. An endless kernel cannot be stopped, and one that
reaches an illegal address ends CUDA for its process: then every call raises DeviceError, and the
lease is to be given back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import MutableMapping, Sequence
from typing import Final

from gon.device import SETTLED, Device, Pending
from gon.errors import GonError, InvalidArgument, OutOfMemory
from gon.limits import BUFFERS_MAX, EVENTS_MAX, STREAMS_MAX
from gon.model import DEFAULT_STREAM, DeviceInfo, Dim3, Handle, LaunchArg, ModuleInfo, Program
from gon.together import Together
from gon_server.devices.books import (
    Table,
    bytes_view,
    check_copy,
    check_pattern,
    check_range,
    check_size,
    writable_view,
)
from gon_server.devices.cuda_build import ReadSource
from gon_server.devices.cuda_cubin import ParamSize, driver_param_size
from gon_server.devices.cuda_driver import Cuda, Health, load_compiler, load_cuda
from gon_server.devices.cuda_graphs import CapturingLoop
from gon_server.devices.cuda_memory import DeviceBuffer, Staging, Window
from gon_server.devices.cuda_peers import Peers, Place
from gon_server.devices.cuda_programs import Programs
from gon_server.devices.cuda_signatures import told_by_source
from gon_server.devices.cuda_stream import Marker, Stream
from gon_server.devices.cuda_tables import HealthyTable
from gon_server.devices.cuda_trial import TRIAL, try_out
from gon_server.devices.cuda_units import choose, describe, discover, prepare_workers

__all__ = ["CudaDevice", "discover", "open_device", "prepare_workers"]

# What a pool of CuPy's rounds sizes up to.
_POOL_UNIT_BYTES: Final = 512


class CudaDevice(CapturingLoop):
    """One CUDA device, as gon.device.HostDevice and Builder; `open_device` makes it.

    `trial` is its first kernel, for other processes.
    """

    def __init__(
        self,
        cuda: Cuda,
        index: int,
        *,
        read_source: ReadSource,
        param_size: ParamSize = driver_param_size,
    ) -> None:
        """Open the device of that number in this process. Raises DeviceError."""
        super().__init__(cuda, Health())
        self._runtime = cuda.api.runtime
        self._set_device = cuda.api.runtime.setDevice
        self._launch = cuda.api.driver.launchKernel
        self._errors = cuda.errors
        self._index = index
        self._allocated_bytes = 0
        self._closed = False
        self.trial = b""
        try:
            unit = describe(cuda, index)
            self._bind()
            self._pool = cuda.api.MemoryPool()
            self._pool.set_limit(size=unit.info.memory_bytes)
        except cuda.errors as error:
            raise self._health.error_of(error, "opening a CUDA device") from error
        self._info = unit.info
        self._staging = Staging(cuda, self._health)
        self._peers = Peers(cuda, self._health, index)
        self._programs = Programs(cuda, unit, self._health, read_source, param_size)
        self._kernels = self._programs.kernels
        self._buffers = HealthyTable("buffer", BUFFERS_MAX, self._health)
        self._streams: Table[Stream] = HealthyTable("stream", STREAMS_MAX, self._health)
        self._events: Table[Marker | None] = HealthyTable("event", EVENTS_MAX, self._health)
        self._windows: dict[int, Window] = {}
        self._streams[DEFAULT_STREAM] = Stream(cuda, self._health)
        self._service = Stream(cuda, self._health)

    def __repr__(self) -> str:
        state = self._health.lost or f"{len(self._buffers)} buffers, {len(self._streams)} streams"
        return f"CudaDevice({self._info.name} by {self._info.driver}, {state})"

    @property
    def info(self) -> DeviceInfo:
        return self._info

    def _bind(self) -> None:
        """Turn the calling thread to this device: others in the process may turn it to theirs."""
        try:
            self._set_device(self._index)
        except self._errors as error:
            raise self._health.error_of(error, "turning to the device") from error

    def _stream(self, stream: Handle) -> Stream:
        self._bind()
        return self._streams[stream]

    # Buffers --------------------------------------------------------------------------------------
    def bound_memory(self, size_bytes: int) -> None:
        self._bind()
        rounding_bytes = BUFFERS_MAX * _POOL_UNIT_BYTES
        self._pool.set_limit(size=min(size_bytes + rounding_bytes, self._info.memory_bytes))

    def allocate(self, buffer: Handle, size_bytes: int) -> None:
        self._buffers.check_new(buffer)
        check_size(size_bytes, self._info.memory_bytes)
        free_bytes = self._info.memory_bytes - self._allocated_bytes
        if size_bytes > free_bytes:
            memory_bytes = self._info.memory_bytes
            raise OutOfMemory(f"a buffer of {size_bytes}: {free_bytes} of {memory_bytes} are free")
        self._bind()
        try:
            made = self._allocate(size_bytes)
        except OutOfMemory:
            # What was freed may still be kept for queued work.
            self._settle_all()
            self._pool.free_all_blocks()
            made = self._allocate(size_bytes)
        self._buffers.add(buffer, made)
        self._allocated_bytes += size_bytes

    def _allocate(self, size_bytes: int) -> DeviceBuffer:
        """Return a buffer of zeroes, which every stream sees. Raises OutOfMemory, DeviceError."""
        service = self._service
        try:
            memory = self._pool.malloc(size_bytes)
            self._runtime.memsetAsync(memory.ptr, 0, size_bytes, service.ptr)
        except self._errors as error:
            raise self._health.error_of(error, f"allocating {size_bytes} bytes") from error
        service.queued += 1
        service.settle()
        return DeviceBuffer(memory.ptr, size_bytes, memory)

    def free(self, buffer: Handle) -> None:
        freed = self._buffers.remove(buffer)
        self._generation += 1
        if not freed.borrowed:
            self._allocated_bytes -= freed.size_bytes
        self._keep(freed, 0 if freed.borrowed else freed.size_bytes)

    def _keep(self, needed: object, size_bytes: int) -> None:
        """Keep what queued work may need until it has finished."""
        self._bind()
        for stream in [stream for stream in self._streams.values() if stream.busy]:
            stream.keep(needed, size_bytes)

    def write(self, stream: Handle, buffer: Handle, offset: int, data: memoryview) -> None:
        queue, target = self._stream(stream), self._buffers[buffer]
        data = bytes_view(data)
        check_range(buffer, offset, len(data), target.size_bytes)
        was_busy = queue.busy
        self._staging.upload(queue, target.ptr + offset, data)
        if not was_busy:
            queue.settle()  # every stream is to see it

    def read(self, stream: Handle, buffer: Handle, offset: int, out: memoryview) -> Pending:
        queue, source = self._stream(stream), self._buffers[buffer]
        out = writable_view(out)
        check_range(buffer, offset, len(out), source.size_bytes)
        if len(out):
            self._staging.download(queue, source.ptr + offset, out)
        return queue.pending()

    def copy(
        self,
        stream: Handle,
        source: Handle,
        source_offset: int,
        target: Handle,
        target_offset: int,
        size: int,
    ) -> None:
        queue, origin, goal = self._stream(stream), self._buffers[source], self._buffers[target]
        check_range(source, source_offset, size, origin.size_bytes)
        check_range(target, target_offset, size, goal.size_bytes)
        check_copy(source, source_offset, target, target_offset, size)
        if size:
            self._staging.copy(queue, goal.ptr + target_offset, origin.ptr + source_offset, size)

    def fill(self, stream: Handle, buffer: Handle, offset: int, size: int, pattern: bytes) -> None:
        queue, target = self._stream(stream), self._buffers[buffer]
        check_pattern(pattern, size)
        check_range(buffer, offset, size, target.size_bytes)
        if size:
            self._staging.fill(queue, target.ptr + offset, size, pattern)

    def copy_from_peer(
        self,
        stream: Handle,
        target: Handle,
        target_offset: int,
        peer: Device,
        peer_stream: Handle,
        source: Handle,
        source_offset: int,
        size: int,
    ) -> bool:
        if not isinstance(peer, CudaDevice):
            return False
        place = peer.place(peer_stream, source, source_offset, size)
        self._peers.copy(place, self.place(stream, target, target_offset, size), size)
        return True

    def place(self, stream: Handle, buffer: Handle, offset: int, size: int) -> Place:
        """Return one end of a copy between two devices."""
        queue, held = self._stream(stream), self._buffers[buffer]
        check_range(buffer, offset, size, held.size_bytes)
        return Place(self._index, queue, held.ptr + offset)

    # Streams and events ---------------------------------------------------------------------------
    def create_stream(self, stream: Handle) -> None:
        self._streams.check_new(stream)
        self._bind()
        self._streams.add(stream, Stream(self._cuda, self._health))

    def close_stream(self, stream: Handle) -> None:
        if stream == DEFAULT_STREAM:
            raise InvalidArgument("the default stream cannot be closed")
        self._bind()
        self._streams.remove(stream).settle()
        self._windows.pop(stream, None)

    def sync(self, stream: Handle) -> Pending:
        return self._stream(stream).pending()

    def sync_all(self) -> Pending:
        self._health.check()
        self._bind()
        busy = [stream.pending() for stream in self._streams.values() if stream.busy]
        return busy[0] if len(busy) == 1 else Together(busy) if busy else SETTLED

    def create_event(self, event: Handle) -> None:
        self._events.add(event, None)

    def close_event(self, event: Handle) -> None:
        self._events.remove(event)

    def record(self, stream: Handle, event: Handle) -> None:
        queue = self._stream(stream)
        self._events.check(event)
        self._events[event] = queue.mark(timing=True)

    def wait_event(self, stream: Handle, event: Handle) -> None:
        queue, marker = self._stream(stream), self._events[event]
        if marker is not None:
            queue.wait_for(marker)

    def sync_event(self, event: Handle) -> Pending:
        return self._events[event] or SETTLED

    def elapsed_us(self, start: Handle, end: Handle) -> float:
        """Return device time between two records; the resolution is about 0.5 µs."""
        self._bind()
        first, last = self._recorded(start), self._recorded(end)
        return first.time_until_us(last)

    def _recorded(self, event: Handle) -> Marker:
        marker = self._events[event]
        if marker is None:
            raise InvalidArgument(f"event {event} was never recorded")
        marker.wait()
        return marker

    # Programs -------------------------------------------------------------------------------------
    def load(self, module: Handle, program: Program) -> ModuleInfo:
        self._bind()
        return self._programs.load(module, program)

    @property
    def build_identity(self) -> str:
        return self._programs.build_identity

    def prepare_build(self) -> None:
        self._programs.build(TRIAL)

    def build(self, program: Program) -> bytes:
        return self._programs.build(program)

    def load_built(self, module: Handle, built: bytes) -> ModuleInfo:
        self._bind()
        return self._programs.load_built(module, built)

    def unload(self, module: Handle) -> None:
        self._keep(self._programs.unload(module), 0)

    def get_global(self, buffer: Handle, module: Handle, name: str) -> None:
        self._buffers.check_new(buffer)
        self._bind()
        self._buffers.add(buffer, self._programs.variable(module, name))

    def get_kernel(self, kernel: Handle, module: Handle, name: str) -> None:
        self._bind()
        self._programs.get_kernel(kernel, module, name)

    def close_kernel(self, kernel: Handle) -> None:
        self._keep(self._kernels.remove(kernel), 0)
        self._generation += 1

    def launch(
        self,
        stream: Handle,
        kernel: Handle,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        args: Sequence[LaunchArg],
    ) -> None:
        queue, bound = self._stream(stream), self._kernels[kernel]
        try:
            if (grid, block, shared_bytes) not in bound.shapes:
                bound.check_shape(grid, block, shared_bytes)
            if args != bound.args or bound.generation != self._generation:
                bound.bind(args, self._buffers, self._generation)
            self._launch(bound.ptr, *grid, *block, shared_bytes, queue.ptr, bound.args_at, 0)
        except self._errors as error:
            raise self._health.error_of(error, f"launching kernel {bound.info.name}") from error
        queue.queued += 1

    def written_by(self, kernel: Handle, args: Sequence[LaunchArg]) -> list[Handle]:
        return [Handle(buffer) for buffer in self._kernels[kernel].written(args)]

    # The host's side ------------------------------------------------------------------------------
    def host_window(
        self, stream: Handle, buffer: Handle, offset: int, size: int, *, write: bool
    ) -> memoryview:
        queue, seen = self._stream(stream), self._buffers[buffer]
        check_range(buffer, offset, size, seen.size_bytes)
        if stream in self._windows:
            raise InvalidArgument(f"stream {stream} has a window open already")
        window = self._staging.open_window(queue, seen.ptr + offset, size, write=write)
        self._windows[stream] = window
        return window.view if write else window.view.toreadonly()

    def close_window(self, stream: Handle) -> None:
        queue = self._stream(stream)
        window = self._windows.pop(stream, None)
        if window is None:
            raise InvalidArgument(f"stream {stream} has no window open")
        self._staging.close_window(queue, window)

    def _settle_all(self) -> None:
        for stream in list(self._streams.values()):
            stream.settle()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(GonError):  # whose results nobody will see any more
            self._bind()
            self._settle_all()
        self.forget_captured()
        self._programs.clear()
        self._windows.clear()
        for table in (self._events, self._buffers, self._streams):
            table.clear()
        if not self._health.lost:
            self._pool.free_all_blocks()


def open_on(
    cuda: Cuda,
    address: str,
    environ: MutableMapping[str, str],
    trial: bytes = b"",
    param_size: ParamSize = driver_param_size,
) -> CudaDevice:
    """Open a device by CuPy, or by what stands for it; `environ` is this process's."""
    load_compiler(cuda)
    index = choose(cuda, address, environ)
    device = CudaDevice(cuda, index, read_source=told_by_source, param_size=param_size)
    device.trial = try_out(device, trial)
    return device


def open_device(address: str, trial: bytes = b"") -> CudaDevice:
    """Open the device of a UUID ("GPU-…", "MIG-…"), or for "" the first that is visible; `trial` is
    what the same device gave in another process.

    The device has run a kernel when this returns. Raises Unsupported where CuPy or NVRTC is not
    installed, InvalidArgument for an address that is not there, DeviceError without a driver.
    """
    return open_on(load_cuda(), address, os.environ, trial)
