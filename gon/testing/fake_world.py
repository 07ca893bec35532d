"""What the parts of `fake_cupy` share: CUDA's errors, which devices there are, and whether CUDA has
started in this process, as each of its calls finds it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from gon.testing.fake_gpu import FakeGpu, FakeKernel, FakeQueue, FakeVariable

NAMES = {
    1: "InvalidValue",
    2: "MemoryAllocation",
    3: "InitializationError",
    35: "InsufficientDriver",
    100: "NoDevice",
    101: "InvalidDevice",
    200: "InvalidImage",
    201: "InvalidContext",
    218: "InvalidPtx",
    217: "PeerAccessUnsupported",
    400: "InvalidResourceHandle",
    500: "NotFound",
    600: "NotReady",
    700: "IllegalAddress",
    701: "LaunchOutOfResources",
    704: "PeerAccessAlreadyEnabled",
    711: "TooManyPeers",
    900: "StreamCaptureUnsupported",
    901: "StreamCaptureInvalidated",
}
# What may be called while a stream is captured: all else waits, asks, or changes what is allocated.
CAPTURABLE = frozenset(
    ("funcGetAttribute", "funcSetAttribute", "launchKernel", "memcpyAsync", "memsetAsync")
)
NVRTC_NAMES = {1: "OUT_OF_MEMORY", 5: "INVALID_OPTION", 6: "COMPILATION"}


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"cudaError{NAMES.get(status, status)}: as the fake was told")


class CUDADriverError(RuntimeError):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"CUDA_ERROR_{NAMES.get(status, status)}: as the fake was told")


class NVRTCError(RuntimeError):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"NVRTC_ERROR_{NVRTC_NAMES.get(status, status)} ({status})")


class OutOfMemoryError(MemoryError):
    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        super().__init__(
            f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes, "
            f"limit set to: {limit:,} bytes)."
        )


@dataclass(frozen=True, slots=True)
class FakeUnit:
    """A device as the driver has it; an instance's `visible_as` is not its GPU's UUID."""

    uuid: str = "GPU-00000000-1111-2222-3333-444444444444"
    visible_as: str = ""
    memory_bytes: int = 1 << 30
    capability: tuple[int, int] = (9, 0)
    shared_bytes: int = 227 * 1024


@dataclass(slots=True)
class World:
    """What all parts of one fake share."""

    units: Sequence[FakeUnit]
    kernels: Mapping[str, FakeKernel]
    variables: Mapping[str, FakeVariable]
    environ: MutableMapping[str, str]
    seed: int = 0
    has_driver: bool = True
    has_compiler: bool = True
    has_headers: bool = True
    started: bool = False
    visible: list[FakeUnit] = field(default_factory=list[FakeUnit])
    gpus: list[FakeGpu] = field(default_factory=list[FakeGpu])
    failing: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    bound: threading.local = field(default_factory=threading.local)
    calls: list[str] = field(default_factory=list[str])
    # Which device reaches which other's memory; whether one could.
    reached: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    has_peers: bool = True
    capturing: list[FakeQueue] = field(default_factory=list["FakeQueue"])

    def start(self) -> None:
        """Start CUDA, as its first call does: what is visible is settled now."""
        if self.started:
            return
        if not self.has_driver:
            raise CUDARuntimeError(35)
        self.started = True
        shown = self.environ.get("CUDA_VISIBLE_DEVICES")
        for index, unit in enumerate(self.units):
            named = (unit.visible_as or unit.uuid, str(index))
            if shown is None or any(word in named for word in shown.split(",")):
                self.visible.append(unit)
                self.gpus.append(FakeGpu(unit.memory_bytes, self.seed, len(self.gpus)))
        if not self.visible:
            self.started = False
            raise CUDARuntimeError(100)

    def gpu(self, *, by_driver: bool = False) -> FakeGpu:
        """Return the device of the calling thread; the runtime binds device 0, the driver none."""
        if by_driver and not hasattr(self.bound, "index"):
            raise CUDADriverError(201 if self.started else 3)
        self.start()
        index: int = getattr(self.bound, "index", 0)
        self.bound.index = index
        return self.gpus[index]

    def check(self, name: str, *, error: Callable[[int], Exception] = CUDARuntimeError) -> FakeGpu:
        """Note a call that reaches the device; raise what it was told to, or what it died of."""
        self.calls.append(name)
        gpu = self.gpu(by_driver=error is CUDADriverError)
        if gpu.lost:
            raise error(gpu.lost)
        if self.capturing and name not in CAPTURABLE:
            self.spoil(error)
        statuses = self.failing.get(name)
        if statuses:
            raise error(statuses.pop(0))
        return gpu

    def spoil(self, error: Callable[[int], Exception] = CUDARuntimeError) -> NoReturn:
        """Spoil what is being captured, by a call that cannot be; raise what CUDA then says."""
        for queue in self.capturing:
            queue.is_spoilt = True
        raise error(900)
