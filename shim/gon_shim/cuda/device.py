"""The one device, what it is, and what errors are called."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from _gon_cuda import ffi, lib
from gon.model import DeviceInfo
from gon_shim.cuda.entry import entry
from gon_shim.cuda.errors import require
from gon_shim.cuda.unit import UNIT

if TYPE_CHECKING:
    from _gon_cuda import CData, Numbers, Pointers

# The version of the API that this serves: that of the header it is built with knows more.
_VERSION: Final = 12000
# What CUDA C is compiled for where there is no CUDA GPU (`__CUDA_ARCH__` of the translation).
_CAPABILITY: Final = (7, 0)
_GRID_MAX: Final = (2**31 - 1, 65535, 65535)
_NAMES: Final = ffi.typeof("CUresult").elements
# Texts that programs were given; they may keep them.
_texts: dict[str, CData] = {}


@entry("cuInit")
def init(flags: int) -> None:
    require(flags == 0, lib.CUDA_ERROR_INVALID_VALUE)
    UNIT.lease()


@entry("cuDriverGetVersion")
def driver_version(at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = _VERSION


@entry("cuGetErrorName")
def error_name(code: int, at: Pointers) -> None:
    _give_text(code, at, _NAMES.get(code, ""))


@entry("cuGetErrorString")
def error_string(code: int, at: Pointers) -> None:
    words = _NAMES.get(code, "").removeprefix("CUDA_").removeprefix("ERROR_")
    _give_text(code, at, words.replace("_", " ").lower())


@entry("cuDeviceGetCount")
def device_count(at: Numbers) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = 1


@entry("cuDeviceGet")
def get_device(at: Numbers, index: int) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    require(index == 0, lib.CUDA_ERROR_INVALID_DEVICE)
    at[0] = 0


@entry("cuDeviceGetName")
def device_name(at: CData, room: int, device: int) -> None:
    check_device(device)
    require(at and room > 0, lib.CUDA_ERROR_INVALID_VALUE)
    name = UNIT.device.name.encode()[: room - 1] + b"\0"
    ffi.memmove(at, name, len(name))


@entry("cuDeviceGetUuid", "cuDeviceGetUuid_v2")
def device_uuid(at: CData, device: int) -> None:
    check_device(device)
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    # Of the device's description: the same unit has the same one, whoever leases it.
    digest = hashlib.blake2b(repr(UNIT.device.info).encode(), digest_size=16)
    ffi.memmove(at, digest.digest(), 16)


@entry("cuDeviceTotalMem_v2")
def total_memory(at: Numbers, device: int) -> None:
    check_device(device)
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = UNIT.device.memory_bytes  # the lease's: the unit is shared


@entry("cuDeviceComputeCapability")
def compute_capability(major: Numbers, minor: Numbers, device: int) -> None:
    check_device(device)
    require(major and minor, lib.CUDA_ERROR_INVALID_VALUE)
    major[0], minor[0] = _CAPABILITY


@entry("cuDeviceGetAttribute")
def device_attribute(at: Numbers, what: int, device: int) -> None:
    check_device(device)
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    known = ffi.typeof("CUdevice_attribute").elements
    require(what in known, lib.CUDA_ERROR_INVALID_VALUE)
    # What is not told of is not there.
    at[0] = _attributes(UNIT.device.info).get(what, 0)


def check_device(device: int) -> None:
    """Raise CuError unless it is the device."""
    require(device == 0, lib.CUDA_ERROR_INVALID_DEVICE)


def _attributes(info: DeviceInfo) -> dict[int, int]:
    wide, high, deep = info.max_block_dims
    return {
        lib.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: info.max_block,
        lib.CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X: wide,
        lib.CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: high,
        lib.CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: deep,
        lib.CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: _GRID_MAX[0],
        lib.CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y: _GRID_MAX[1],
        lib.CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: _GRID_MAX[2],
        lib.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: info.local_bytes,
        lib.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: info.compute_units,
        lib.CU_DEVICE_ATTRIBUTE_WARP_SIZE: 32,
        lib.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: _CAPABILITY[0],
        lib.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: _CAPABILITY[1],
    }


def _give_text(code: int, at: Pointers, text: str) -> None:
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = ffi.NULL
    require(code in _NAMES, lib.CUDA_ERROR_INVALID_VALUE)
    if text not in _texts:
        _texts[text] = ffi.new("char[]", text.encode())
    at[0] = _texts[text]
