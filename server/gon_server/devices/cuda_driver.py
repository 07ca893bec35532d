"""The edge to CuPy: the narrow surface of it that the backend uses, typed, and the one place that
maps CUDA's errors.

CuPy is loaded when a device is asked for and handed on as a value, so that the backend can be given
`gon.testing.fake_cupy` instead. Used are CuPy's thin bindings of CUDA's runtime, driver and NVRTC,
its streams, events and modules, and its pools of memory; its arrays and its cache of kernels on
disk are not.

Rules: importing CuPy and loading NVRTC start no CUDA, so both may come before a fork; nothing else
here may. Numbers of CUDA's own tables are written down here, for comparing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from gon.errors import (
    CompileError,
    DeviceError,
    GonError,
    LaunchTooLarge,
    OutOfMemory,
    Unsupported,
)

INSTALL: Final = 'pip install "gon[cuda]" (CUDA 12) or "gon[cuda13]"'

# Kinds of copies.
TO_DEVICE: Final = 1
TO_HOST: Final = 2
ON_DEVICE: Final = 3
# Attributes of functions.
MAX_THREADS: Final = 0
STATIC_SHARED_BYTES: Final = 1
DYNAMIC_SHARED_BYTES: Final = 8
# What a query answers while the work goes on.
NOT_READY: Final = 600
# What lets no device into another's memory, or into no more of them, and does no harm.
PEER_UNSUPPORTED: Final = 217
PEER_ENABLED_ALREADY: Final = 704
PEERS_TOO_MANY: Final = 711

_OUT_OF_MEMORY: Final = 2
_TOO_LARGE: Final = frozenset((9, 701))
_BAD_IMAGE: Final = frozenset((200, 209, 218, 220, 221, 222, 223, 300, 302, 303))
# No driver, one that is too old, or no device below it.
_NO_DEVICE: Final = frozenset((3, 34, 35, 46, 100, 101, 802, 803, 804))
# After one of these the process can do nothing on its device any more.
_LOST: Final = frozenset((4, 214, 226, 700, 702, 709, 710, *range(714, 720), 721))

# NVRTC's own numbers: of a wrong input, program, option, source and name expression.
_NVRTC_REFUSES: Final = frozenset((3, 4, 5, 6, 10))
_NVRTC_OUT_OF_MEMORY: Final = 1


class Runtime(Protocol):
    """`cupy.cuda.runtime`."""

    @property
    def CUDARuntimeError(self) -> type[Exception]: ...

    def driverGetVersion(self) -> int: ...
    def getDeviceCount(self) -> int: ...
    def setDevice(self, device: int, /) -> None: ...
    def getDeviceProperties(self, device: int, /) -> dict[str, object]: ...
    def memcpyAsync(
        self, target: int, source: int, size: int, kind: int, stream: int, /
    ) -> None: ...
    def memsetAsync(self, target: int, value: int, size: int, stream: int, /) -> None: ...
    def streamWaitEvent(self, stream: int, event: int, /) -> None: ...
    def eventRecord(self, event: int, stream: int, /) -> None: ...
    def eventQuery(self, event: int, /) -> int: ...
    def eventSynchronize(self, event: int, /) -> None: ...
    def deviceCanAccessPeer(self, device: int, peer: int, /) -> int: ...
    def deviceEnablePeerAccess(self, peer: int, /) -> None: ...
    def memcpyPeerAsync(
        self,
        target: int,
        target_device: int,
        source: int,
        source_device: int,
        size: int,
        stream: int,
        /,
    ) -> None: ...
    def eventElapsedTime(self, start: int, end: int, /) -> float: ...


class DriverApi(Protocol):
    """`cupy.cuda.driver`."""

    @property
    def CUDADriverError(self) -> type[Exception]: ...

    def ctxGetCurrent(self) -> int: ...
    def funcGetAttribute(self, attribute: int, function: int, /) -> int: ...
    def funcSetAttribute(self, function: int, attribute: int, value: int, /) -> None: ...
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
        extra: int,
        /,
    ) -> None: ...


class Nvrtc(Protocol):
    """`cupy.cuda.nvrtc`."""

    @property
    def NVRTCError(self) -> type[Exception]: ...

    def getVersion(self) -> tuple[int, int]: ...
    def getSupportedArchs(self) -> tuple[int, ...]: ...
    def createProgram(
        self, source: str, name: str, headers: Sequence[bytes], names: Sequence[bytes], /
    ) -> int: ...
    def destroyProgram(self, program: int, /) -> None: ...
    def addNameExpression(self, program: int, name: str, /) -> None: ...
    def compileProgram(self, program: int, options: Sequence[str], /) -> None: ...
    def getLoweredName(self, program: int, name: str, /) -> str: ...
    def getProgramLog(self, program: int, /) -> str: ...
    def getPTX(self, program: int, /) -> bytes: ...
    def getCUBIN(self, program: int, /) -> bytes: ...


class CudaGraph(Protocol):
    """`cupy.cuda.Graph`: destroyed with its last reference, once it has run."""

    def launch(self, stream: CudaStream, /) -> None: ...


class CudaStream(Protocol):
    """`cupy.cuda.Stream`: destroyed with its last reference.

    Captures are CuPy's relaxed ones: what Python gives back meanwhile spoils none.
    """

    @property
    def ptr(self) -> int: ...

    def begin_capture(self) -> None: ...
    def end_capture(self) -> CudaGraph: ...


class CudaEvent(Protocol):
    """`cupy.cuda.Event`: destroyed with its last reference."""

    @property
    def ptr(self) -> int: ...


class Pointer(Protocol):
    """`cupy.cuda.MemoryPointer`: device memory, which goes back to its pool with the last
    reference.
    """

    @property
    def ptr(self) -> int: ...


class MemoryPool(Protocol):
    """`cupy.cuda.MemoryPool`."""

    def malloc(self, size: int, /) -> Pointer: ...
    def free_all_blocks(self) -> None: ...
    def set_limit(self, size: int) -> None: ...


class PinnedPointer(Protocol):
    """`cupy.cuda.PinnedMemoryPointer`: page-locked memory of the host; shows it as a buffer too,
    which types cannot say before Python 3.12.
    """

    @property
    def ptr(self) -> int: ...


class PinnedMemoryPool(Protocol):
    """`cupy.cuda.PinnedMemoryPool`."""

    def malloc(self, size: int, /) -> PinnedPointer: ...
    def free_all_blocks(self) -> None: ...


class CudaFunction(Protocol):
    """`cupy.cuda.function.Function`: keeps its module loaded."""

    @property
    def ptr(self) -> int: ...


class CudaModule(Protocol):
    """`cupy.cuda.function.Module`: unloaded with its last reference."""

    def load(self, image: bytes, /) -> None: ...
    def get_function(self, name: str, /) -> CudaFunction: ...
    def get_global_var(self, name: str, /) -> int: ...


class FunctionModule(Protocol):
    """`cupy.cuda.function`."""

    def Module(self) -> CudaModule: ...


class MemoryModule(Protocol):
    """`cupy.cuda.memory`."""

    @property
    def OutOfMemoryError(self) -> type[Exception]: ...


class CupyCuda(Protocol):
    """`cupy.cuda`."""

    @property
    def runtime(self) -> Runtime: ...
    @property
    def driver(self) -> DriverApi: ...
    @property
    def nvrtc(self) -> Nvrtc: ...
    @property
    def function(self) -> FunctionModule: ...
    @property
    def memory(self) -> MemoryModule: ...

    def Stream(self, *, non_blocking: bool) -> CudaStream: ...
    def Event(self, block: bool, disable_timing: bool) -> CudaEvent: ...
    def MemoryPool(self) -> MemoryPool: ...
    def PinnedMemoryPool(self) -> PinnedMemoryPool: ...


class Cupy(Protocol):
    """`cupy`."""

    @property
    def __version__(self) -> str: ...
    @property
    def cuda(self) -> CupyCuda: ...


@dataclass(frozen=True, slots=True)
class Cuda:
    """CuPy as the backend uses it: with its errors as one tuple, and the options by which NVRTC
    finds CUDA's own headers.
    """

    cupy: Cupy
    api: CupyCuda
    errors: tuple[type[Exception], ...]
    header_options: Callable[[], tuple[str, ...]]

    @property
    def version(self) -> str:
        return self.cupy.__version__


def cuda_of(cupy: Cupy, header_options: Callable[[], tuple[str, ...]]) -> Cuda:
    """Return CuPy as the backend uses it."""
    api = cupy.cuda
    errors = (
        api.runtime.CUDARuntimeError,
        api.driver.CUDADriverError,
        api.nvrtc.NVRTCError,
        api.memory.OutOfMemoryError,
    )
    return Cuda(cupy, api, errors, header_options)


def load_cuda() -> Cuda:
    """Import CuPy; starts no CUDA. Raises Unsupported, saying what to install."""
    try:
        cupy = cast(Cupy, importlib.import_module("cupy"))
        core = importlib.import_module("cupy._core.core")
    except ImportError as error:
        raise Unsupported(f"CUDA needs CuPy, which cannot be imported: {error}; {INSTALL}") from (
            error
        )
    assemble = cast(
        "Callable[[tuple[str, ...]], tuple[str, ...]]", vars(core)["assemble_cupy_compiler_options"]
    )

    def header_options() -> tuple[str, ...]:
        return tuple(option for option in assemble(()) if option.startswith("-I"))

    return cuda_of(cupy, header_options)


def load_compiler(cuda: Cuda) -> tuple[int, int]:
    """Load NVRTC and return its version; starts no CUDA. Raises Unsupported."""
    try:
        return cuda.api.nvrtc.getVersion()
    except RuntimeError as error:  # what CuPy raises for libraries that it does not find
        raise Unsupported(f"CUDA needs NVRTC, which does not load: {error}; {INSTALL}") from error


def status_of(error: Exception) -> int:
    """Return CUDA's number of an error, 0 where it has none."""
    status = getattr(error, "status", 0)
    return status if isinstance(status, int) else 0


def is_loss(error: Exception) -> bool:
    """Return whether the device can do nothing any more in this process."""
    return status_of(error) in _LOST


def error_of(error: Exception, doing: str) -> GonError:
    """Return the error of ours that CUDA's stands for; the text keeps CUDA's name of it."""
    text, status = f"{doing}: {error}", status_of(error)
    if isinstance(error, MemoryError) or status == _OUT_OF_MEMORY:
        return OutOfMemory(text)
    if status in _TOO_LARGE:
        return LaunchTooLarge(text)
    if status in _BAD_IMAGE:
        return CompileError(text, log=str(error))
    if status in _NO_DEVICE:
        return DeviceError(
            f"{text}; the host needs a CUDA device and NVIDIA's driver of CUDA 12 or later, and "
            "its device files must be there (/dev/nvidia*)"
        )
    return DeviceError(text)


def is_programs_fault(error: Exception) -> bool:
    """Return whether NVRTC refuses a program, and not fails itself."""
    return status_of(error) in _NVRTC_REFUSES


def compiler_error_of(error: Exception, doing: str) -> GonError:
    """Return the error of ours that NVRTC's stands for: its numbers are not CUDA's."""
    text = f"{doing}: {error}"
    if is_programs_fault(error):
        return CompileError(text, log=str(error))
    return OutOfMemory(text) if status_of(error) == _NVRTC_OUT_OF_MEMORY else DeviceError(text)


class Health:
    """Whether the device still works, for all that stands on it.

    A kernel that reaches an illegal address ends CUDA for its process. `on_loss` is called then,
    once: tables empty themselves, so that every later look-up of a handle finds nothing and raises.
    """

    __slots__ = ("lost", "on_loss")

    def __init__(self) -> None:
        self.lost = ""
        self.on_loss: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"Health({self.lost or 'well'})"

    def error_of(self, error: Exception, doing: str) -> GonError:
        """Return the error of ours, and note a loss."""
        if not is_loss(error):
            return error_of(error, doing)
        if not self.lost:
            self.lost = f"the device is lost to this lease: {error}"
            for tell in self.on_loss:
                tell()
        return DeviceError(f"{doing}: {self.lost}")

    def check(self) -> None:
        """Raise DeviceError if the device is lost."""
        if self.lost:
            raise DeviceError(self.lost)
