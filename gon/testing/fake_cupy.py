"""CuPy without a GPU: the narrow surface that the CUDA backend uses, over `fake_gpu`.

    cupy = FakeCupy([FakeUnit()], kernels, variables)
    cupy.world.failing["memcpyAsync"] = [719]        # what its next call raises

Names, arguments, errors and lifetimes are CuPy's.

Rules: only what CuPy 13 and 14 have is here; `tests/unit/test_cupy_surface.py` holds it to theirs.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, MutableMapping, Sequence

import numpy as np

from gon.testing.fake_gpu import (
    INVALID_VALUE,
    FakeGpu,
    FakeKernel,
    FakeVariable,
    Octets,
    read_host,
    write_host,
)
from gon.testing.fake_nvrtc import FUNCTIONS, FakeFunctionModule, FakeNvrtc
from gon.testing.fake_streams import FakeEvent, FakeStream, event_of, queue_of
from gon.testing.fake_world import (
    CUDADriverError,
    CUDARuntimeError,
    FakeUnit,
    OutOfMemoryError,
    World,
)


def _nothing() -> None:
    return


class FakeRuntime:
    """`cupy.cuda.runtime`."""

    CUDARuntimeError = CUDARuntimeError

    def __init__(self, world: World) -> None:
        self._world = world

    def driverGetVersion(self) -> int:
        return 12090 if self._world.has_driver else 0

    def getDeviceCount(self) -> int:
        self._world.start()
        return len(self._world.visible)

    def setDevice(self, device: int, /) -> None:
        self._world.start()
        if not 0 <= device < len(self._world.gpus):
            raise CUDARuntimeError(101)
        self._world.bound.index = device

    def getDeviceProperties(self, device: int, /) -> dict[str, object]:
        self._world.start()
        unit = self._world.visible[device]
        return {
            "name": b"NVIDIA Fake",
            "uuid": bytes.fromhex(unit.uuid.removeprefix("GPU-").replace("-", "")),
            "totalGlobalMem": unit.memory_bytes,
            "sharedMemPerBlock": 48 * 1024,
            "sharedMemPerBlockOptin": unit.shared_bytes,
            "maxThreadsPerBlock": 1024,
            "maxThreadsDim": (1024, 1024, 64),
            "maxGridSize": ((1 << 31) - 1, 65535, 65535),
            "multiProcessorCount": 132,
            "major": unit.capability[0],
            "minor": unit.capability[1],
        }

    def memcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int, /) -> None:
        gpu, queue = self._world.check("memcpyAsync"), queue_of(stream)
        if kind == 3:
            gpu.queue(queue, lambda: gpu.copy(target, source, size))
        elif kind == 1 and gpu.pinned(source, size) is None:
            if queue.captured is not None:
                self._world.spoil()
            data = read_host(source, size)  # usual memory is staged before the call returns
            gpu.queue(queue, lambda: _put(gpu.view(target, size), data))
        elif kind == 1:
            gpu.queue(queue, lambda: gpu.copy_in(target, source, size))
        elif kind == 2 and gpu.pinned(target, size) is None:
            if queue.captured is not None:
                self._world.spoil()
            gpu.run_until(
                gpu.queue(queue, lambda: write_host(target, gpu.view(source, size).tobytes()))
            )
        elif kind == 2:
            gpu.queue(queue, lambda: gpu.copy_out(target, source, size))
        else:
            raise CUDARuntimeError(INVALID_VALUE)

    def deviceCanAccessPeer(self, device: int, peer: int, /) -> int:
        self._world.check("deviceCanAccessPeer")
        return int(self._world.has_peers and device != peer)

    def deviceEnablePeerAccess(self, peer: int, /) -> None:
        self._world.check("deviceEnablePeerAccess")
        pair = (self._world.bound.index, peer)
        if not self.deviceCanAccessPeer(*pair):
            raise CUDARuntimeError(217)
        if pair in self._world.reached:
            raise CUDARuntimeError(704)
        self._world.reached.add(pair)

    def memcpyPeerAsync(
        self,
        target: int,
        target_device: int,
        source: int,
        source_device: int,
        size: int,
        stream: int,
        /,
    ) -> None:
        gpu, gpus = self._world.check("memcpyPeerAsync"), self._world.gpus
        here, there = gpus[target_device], gpus[source_device]
        gpu.queue(
            queue_of(stream),
            lambda: _put(here.view(target, size), there.view(source, size).tobytes()),
        )

    def memsetAsync(self, target: int, value: int, size: int, stream: int, /) -> None:
        gpu = self._world.check("memsetAsync")
        gpu.queue(queue_of(stream), lambda: gpu.set_bytes(target, value, size))

    def streamWaitEvent(self, stream: int, event: int, /) -> None:
        gpu, op = self._world.check("streamWaitEvent"), event_of(event).op
        if op is not None:
            gpu.queue(queue_of(stream), _nothing, op)

    def eventRecord(self, event: int, stream: int, /) -> None:
        gpu, queue = self._world.check("eventRecord"), queue_of(stream)
        if event_of(event).gpu is not queue.gpu:
            raise CUDARuntimeError(400)
        event_of(event).op = gpu.queue(queue, _nothing)

    def eventQuery(self, event: int, /) -> int:
        gpu = self._world.gpu()
        if self._world.capturing:
            self._world.spoil()
        gpu.wander()
        op = event_of(event).op
        return gpu.lost or (0 if op is None or op.over else 600)

    def eventSynchronize(self, event: int, /) -> None:
        gpu, op = self._world.check("eventSynchronize"), event_of(event).op
        if op is not None:
            gpu.run_until(op)
        if gpu.lost:
            raise CUDARuntimeError(gpu.lost)

    def eventElapsedTime(self, start: int, end: int, /) -> float:
        self._world.check("eventElapsedTime")
        first, last = event_of(start), event_of(end)
        assert not first.disable_timing, "an event without a time"
        assert not last.disable_timing, "an event without a time"
        if first.op is None or last.op is None:
            raise CUDARuntimeError(400)
        if not (first.op.over and last.op.over):
            raise CUDARuntimeError(600)
        return (last.op.time_us - first.op.time_us) / 1000.0


def _put(place: Octets, data: bytes) -> None:
    place.data[:] = data


class FakeDriver:
    """`cupy.cuda.driver`."""

    CUDADriverError = CUDADriverError

    def __init__(self, world: World) -> None:
        self._world = world
        self._granted: dict[int, int] = {}

    def ctxGetCurrent(self) -> int:
        if not self._world.has_driver:
            raise RuntimeError("CuPy failed to load libcuda.so.1: no such file")
        if not self._world.started:
            raise CUDADriverError(3)
        return 1 if hasattr(self._world.bound, "index") else 0

    def funcGetAttribute(self, attribute: int, function: int, /) -> int:
        self._world.check("funcGetAttribute", error=CUDADriverError)
        kernel = FUNCTIONS[function].kernel
        return {0: kernel.max_threads, 1: kernel.static_shared_bytes}[attribute]

    def funcSetAttribute(self, function: int, attribute: int, value: int, /) -> None:
        self._world.check("funcSetAttribute", error=CUDADriverError)
        assert attribute == 8, "the one that lets dynamic shared memory grow"
        self._granted[function] = value

    def launchKernel(
        self,
        function: int,
        grid_x: int,
        grid_y: int,
        grid_z: int,
        block_x: int,
        block_y: int,
        block_z: int,
        shared_bytes: int,
        stream: int,
        params: int,
        _extra: int,
        /,
    ) -> None:
        gpu = self._world.check("launchKernel", error=CUDADriverError)
        kernel, queue = FUNCTIONS[function].kernel, queue_of(stream)
        if queue.gpu is not gpu:
            raise CUDADriverError(400)
        grid, block = (grid_x, grid_y, grid_z), (block_x, block_y, block_z)
        allowed = self._granted.get(function, 48 * 1024 - kernel.static_shared_bytes)
        if min(grid + block) < 1 or grid_y > 65535 or grid_z > 65535 or shared_bytes > allowed:
            raise CUDADriverError(INVALID_VALUE)
        if block_x * block_y * block_z > kernel.max_threads:
            raise CUDADriverError(701)
        raw: list[bytes] = []
        for number, size in enumerate(kernel.sizes()):  # copied before the call returns
            place = int.from_bytes(read_host(params + 8 * number, 8), "little")
            raw.append(read_host(place, size))
        gpu.queue(queue, lambda: gpu.run_kernel(kernel, grid, block, shared_bytes, raw))


class FakePointer:
    """`cupy.cuda.MemoryPointer`: the memory goes back with the last reference."""

    def __init__(self, gpu: FakeGpu, size: int) -> None:
        self.ptr = gpu.allocate(size)
        weakref.finalize(self, gpu.give_back, self.ptr)


class FakeMemoryPool:
    """`cupy.cuda.MemoryPool`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._limit = 0

    def malloc(self, size: int, /) -> FakePointer:
        gpu = self._world.check("malloc")
        try:
            if self._limit and gpu.used_bytes + size > self._limit:
                raise MemoryError
            return FakePointer(gpu, size)
        except MemoryError as error:
            raise OutOfMemoryError(size, gpu.used_bytes, self._limit) from error

    def free_all_blocks(self) -> None:
        self._world.calls.append("free_all_blocks")

    def set_limit(self, size: int) -> None:
        self._limit = size


class FakePinned(np.ndarray[tuple[int], np.dtype[np.int8]]):
    """`cupy.cuda.PinnedMemoryPointer`: bytes that CuPy calls signed."""

    ptr: int


def _lock(gpu: FakeGpu, size: int) -> FakePinned:
    address = gpu.lock(size)
    block = gpu.pinned(address, size)
    assert block is not None
    locked = block.view(np.int8).view(FakePinned)
    locked.ptr = address
    weakref.finalize(locked, gpu.unlock, address)
    return locked


class FakePinnedPool:
    """`cupy.cuda.PinnedMemoryPool`: sizes are rounded up to powers of two, from 512 on."""

    def __init__(self, world: World) -> None:
        self._world = world

    def malloc(self, size: int, /) -> FakePinned:
        gpu = self._world.check("hostAlloc")
        return _lock(gpu, max(512, 1 << (size - 1).bit_length()))

    def free_all_blocks(self) -> None:
        self._world.calls.append("free_all_blocks")


class FakeMemoryModule:
    """`cupy.cuda.memory`."""

    OutOfMemoryError = OutOfMemoryError


class FakeCuda:
    """`cupy.cuda`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.runtime = FakeRuntime(world)
        self.driver = FakeDriver(world)
        self.nvrtc = FakeNvrtc(world)
        self.function = FakeFunctionModule(world)
        self.memory = FakeMemoryModule()

    def Stream(self, *, non_blocking: bool = False) -> FakeStream:
        return FakeStream(self._world, non_blocking=non_blocking)

    def Event(self, block: bool = False, disable_timing: bool = False) -> FakeEvent:
        return FakeEvent(self._world, block=block, disable_timing=disable_timing)

    def MemoryPool(self) -> FakeMemoryPool:
        return FakeMemoryPool(self._world)

    def PinnedMemoryPool(self) -> FakePinnedPool:
        return FakePinnedPool(self._world)


class FakeCupy:
    """`cupy`, for a process of its own: CUDA has not started in it."""

    __version__ = "14.2.0"

    def __init__(
        self,
        units: Sequence[FakeUnit],
        kernels: Mapping[str, FakeKernel],
        variables: Mapping[str, FakeVariable] | None = None,
        environ: MutableMapping[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        self.world = World(
            units, kernels, variables or {}, {} if environ is None else environ, seed
        )
        self.cuda = FakeCuda(self.world)

    def header_options(self) -> tuple[str, ...]:
        """Return what `cupy._core.core` gives: where CUDA's headers are. Raises RuntimeError."""
        if not self.world.has_headers:
            raise RuntimeError("Failed to find CUDA headers.")
        return ("-I/fake/cuda/include",)
