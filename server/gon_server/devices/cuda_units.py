"""Which CUDA devices there are, and how a process takes one of them for itself.

A device is named by its UUID, as `nvidia-smi -L` prints it: "GPU-…", or "MIG-…" for an instance of
a GPU that is cut into several. NVML lists them without starting CUDA. A process chooses one by
making it the only visible one before CUDA starts; that is how an instance is chosen at all.

Rules: `discover` starts no CUDA; what the owner has hidden by CUDA_VISIBLE_DEVICES is not found.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast

from gon.errors import DeviceError, GonError, InvalidArgument, Unsupported
from gon.limits import UNITS_MAX
from gon.model import DeviceInfo, Dim3
from gon_server.devices.cuda_build import FORMATS
from gon_server.devices.cuda_driver import INSTALL, Cuda, error_of, load_compiler, load_cuda

VISIBLE_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
# The driver's own cache on disk of what tenants compile.
NO_CACHE_VARIABLE: Final = "CUDA_CACHE_DISABLE"
# The driver's, on Linux and in Windows' subsystem for it.
DEVICE_FILES: Final = ("/dev/nvidiactl", "/dev/dxg")
VENDOR: Final = "NVIDIA Corporation"
_ADDRESS: Final = re.compile(r"(?:GPU|MIG)-[0-9a-fA-F-]{8,64}")
# Views that begin at a multiple of it suit every type that a kernel may read.
VIEW_ALIGNMENT_BYTES: Final = 16


# NVML's handle of a GPU or of an instance.
D = TypeVar("D")


class MemoryInfo(Protocol):
    @property
    def total(self) -> int: ...


class NvmlDevice(Protocol):
    """What pynvml gives as a handle."""


class Nvml(Protocol[D]):
    """What is used of `pynvml`, NVIDIA's own binding of NVML (the package nvidia-ml-py)."""

    @property
    def NVMLError(self) -> type[Exception]: ...

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> D: ...
    def nvmlDeviceGetUUID(self, device: D, /) -> str: ...
    def nvmlDeviceGetName(self, device: D, /) -> str: ...
    def nvmlDeviceGetMemoryInfo(self, device: D, /) -> MemoryInfo: ...
    def nvmlDeviceGetMigMode(self, device: D, /) -> Sequence[int]: ...
    def nvmlDeviceGetMaxMigDeviceCount(self, device: D, /) -> int: ...
    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: D, index: int, /) -> D: ...
    def nvmlSystemGetDriverVersion(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A CUDA device of this host; `address` opens it."""

    address: str
    kind: str
    name: str
    vendor: str
    driver: str
    memory_bytes: int
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Gpu:
    """A GPU by UUID, and what of it is exported: itself, or its instances."""

    uuid: str
    units: tuple[FoundDevice, ...]


def prepare_workers(address: str) -> tuple[Path, ...]:  # noqa: ARG001 - whichever it is
    """Load CuPy and NVRTC before workers are forked; CUDA itself starts in each worker. A GPU's
    workers have no walls, and so are told of no files.
    """
    os.environ.setdefault(NO_CACHE_VARIABLE, "1")
    try:
        load_compiler(load_cuda())
    except GonError:
        # The worker, which needs them, tells why they do not load.
        return ()
    return ()


def load_nvml() -> Nvml[NvmlDevice]:
    """Import NVML's binding. Raises Unsupported, saying what to install."""
    try:
        return cast(Nvml[NvmlDevice], importlib.import_module("pynvml"))
    except ImportError as error:
        raise Unsupported(f"finding CUDA devices needs nvidia-ml-py: {error}; {INSTALL}") from error


def has_driver() -> bool:
    """Return whether NVIDIA's driver shows itself on this host, by its device files."""
    return any(Path(file).exists() for file in DEVICE_FILES)


def discover() -> list[FoundDevice]:
    """Return every CUDA device of this host that the environment does not hide; starts no CUDA.

    Raises Unsupported where devices are there and what they need is not installed.
    """
    if not has_driver():
        return []
    found = find(load_nvml(), os.environ.get(VISIBLE_VARIABLE))
    if found:
        load_compiler(load_cuda())
    return found


def find(nvml: Nvml[D], visible: str | None) -> list[FoundDevice]:
    """Return every device that is visible, in the order of NVML; none without a driver."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []  # no driver or no GPU: a host like most
    try:
        gpus = [
            _gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
            for index in range(min(nvml.nvmlDeviceGetCount(), UNITS_MAX))
        ]
    except nvml.NVMLError as error:
        raise DeviceError(f"listing CUDA devices: {error}") from error
    finally:
        nvml.nvmlShutdown()
    shown = (
        [unit for gpu in gpus for unit in gpu.units] if visible is None else _shown(gpus, visible)
    )
    return list(dict.fromkeys(shown))


def _gpu(nvml: Nvml[D], device: D) -> _Gpu:
    instances = tuple(_unit(nvml, instance) for instance in _instances(nvml, device))
    return _Gpu(
        nvml.nvmlDeviceGetUUID(device),
        instances if _is_cut(nvml, device) else (_unit(nvml, device),),
    )


def _unit(nvml: Nvml[D], device: D) -> FoundDevice:
    return FoundDevice(
        address=nvml.nvmlDeviceGetUUID(device),
        kind="gpu",
        name=nvml.nvmlDeviceGetName(device),
        vendor=VENDOR,
        driver=f"NVIDIA {nvml.nvmlSystemGetDriverVersion()}",
        memory_bytes=nvml.nvmlDeviceGetMemoryInfo(device).total,
        formats=FORMATS,
    )


def _is_cut(nvml: Nvml[D], device: D) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(device)[0])
    except nvml.NVMLError:  # a GPU that cannot be cut
        return False


def _instances(nvml: Nvml[D], device: D) -> Iterator[D]:
    if not _is_cut(nvml, device):
        return
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(device)):
        try:
            yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(device, index)
        except nvml.NVMLError:  # there is no instance of that number
            continue


def _shown(gpus: Sequence[_Gpu], visible: str) -> Iterator[FoundDevice]:
    """Yield what CUDA_VISIBLE_DEVICES shows: as for CUDA, what follows a wrong word is hidden."""
    for word in visible.split(","):
        found = _named(gpus, word.strip())
        if not found:
            return
        yield from found


def _named(gpus: Sequence[_Gpu], word: str) -> tuple[FoundDevice, ...]:
    if word.isdecimal():
        return gpus[int(word)].units if int(word) < len(gpus) else ()
    if word.startswith("GPU-"):
        same = [gpu for gpu in gpus if gpu.uuid.startswith(word)]
        return same[0].units if len(same) == 1 else ()
    return tuple(unit for gpu in gpus for unit in gpu.units if word and unit.address == word)


def choose(cuda: Cuda, address: str, environ: MutableMapping[str, str]) -> int:
    """Take a device for this process, "" for the first visible; return its index in it.

    Raises InvalidArgument for an address that is none or not there, DeviceError without a driver.
    """
    if address and not _ADDRESS.fullmatch(address):
        raise InvalidArgument(
            f"the address of a CUDA device is its UUID (nvidia-smi -L prints it), not {address!r}"
        )
    environ.setdefault(NO_CACHE_VARIABLE, "1")
    if address and not _has_started(cuda):
        environ[VISIBLE_VARIABLE] = address
    runtime = cuda.api.runtime
    try:
        count = runtime.getDeviceCount()
        seen = [_uuid_of(runtime.getDeviceProperties(index)) for index in range(count)]
    except cuda.errors as error:
        raise error_of(error, f"opening CUDA device {address!r}") from error
    except RuntimeError as error:  # what CuPy raises for libraries that it does not find
        raise DeviceError(f"opening CUDA device {address!r}: {error}") from error
    # An instance has its GPU's UUID here; but what alone is visible under its name is it.
    if seen and (not address or (len(seen) == 1 and environ.get(VISIBLE_VARIABLE) == address)):
        return 0
    if address in seen:
        return seen.index(address)
    raise InvalidArgument(
        f"there is no CUDA device {address!r}; this process sees: {', '.join(seen) or 'none'}"
    )


def _has_started(cuda: Cuda) -> bool:
    """Return whether CUDA runs in this process: then what it sees is settled."""
    try:
        cuda.api.driver.ctxGetCurrent()
    except RuntimeError:  # CUDA's "not initialized", and what CuPy raises without a driver
        return False
    return True


def _uuid_of(properties: dict[str, object]) -> str:
    text = cast(bytes, properties["uuid"]).hex()
    return f"GPU-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class Described:
    """A device in the contract's words, and what launches and compilers ask besides.

    `capability` is its compute capability, 90 for 9.0.
    """

    info: DeviceInfo
    grid_max: Dim3
    capability: int


def describe(cuda: Cuda, index: int) -> Described:
    """Return what a device tells of itself. Raises CUDA's errors."""
    runtime = cuda.api.runtime
    found = runtime.getDeviceProperties(index)

    def number(name: str) -> int:
        return cast(int, found[name])

    version = runtime.driverGetVersion()
    info = DeviceInfo(
        name=cast(bytes, found["name"]).decode(errors="replace"),
        kind="gpu",
        vendor=VENDOR,
        driver=f"CUDA {version // 1000}.{version % 1000 // 10}, CuPy {cuda.version}",
        formats=FORMATS,
        memory_bytes=number("totalGlobalMem"),
        max_block=number("maxThreadsPerBlock"),
        max_block_dims=cast(Dim3, found["maxThreadsDim"]),
        local_bytes=max(number("sharedMemPerBlock"), number("sharedMemPerBlockOptin")),
        compute_units=number("multiProcessorCount"),
        view_alignment_bytes=VIEW_ALIGNMENT_BYTES,
    )
    grid_max = cast(Dim3, found["maxGridSize"])
    return Described(info, grid_max, 10 * number("major") + number("minor"))
