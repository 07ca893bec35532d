"""Memory of the device and page-locked memory of the host; copies and fills.

Rules: a copy from or to the host's memory has happened when it returns, also where the program
would not have waited for it: CUDA promises the same for memory that is not page-locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from _gon_cuda import ffi, lib
from gon_client.buffer import HostArray
from gon_shim.cuda.entry import entry
from gon_shim.cuda.errors import require
from gon_shim.cuda.handles import number_of
from gon_shim.cuda.scopes import unit
from gon_shim.cuda.streams import check_stream

if TYPE_CHECKING:
    from _gon_cuda import CData, Numbers, Pointers

# Page-locked memory, by its address.
_host: dict[int, CData] = {}


@entry("cuMemAlloc_v2")
def allocate(at: Numbers, size: int) -> None:
    require(at and size, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = unit().allocate(size)


@entry("cuMemFree_v2")
def free(address: int) -> None:
    if address:
        unit().free(address)


@entry("cuMemGetInfo_v2")
def memory_info(free_at: Numbers, total_at: Numbers) -> None:
    require(free_at and total_at, lib.CUDA_ERROR_INVALID_VALUE)
    here = unit()
    total_at[0] = here.device.memory_bytes
    free_at[0] = max(0, here.device.memory_bytes - here.used_bytes)


@entry("cuMemGetAddressRange_v2")
def address_range(start_at: Numbers, size_at: Numbers, address: int) -> None:
    buffer, offset = unit().at(address)
    if start_at:
        start_at[0] = address - offset
    if size_at:
        size_at[0] = buffer.size_bytes


@entry("cuMemAllocHost_v2")
def allocate_host(at: Pointers, size: int) -> None:
    require(at and size, lib.CUDA_ERROR_INVALID_VALUE)
    unit()
    memory = ffi.new("char[]", size)
    _host[number_of(memory)] = memory
    at[0] = ffi.cast("void *", memory)


@entry("cuMemFreeHost")
def free_host(at: CData) -> None:
    unit()
    require(_host.pop(number_of(at), None), lib.CUDA_ERROR_INVALID_VALUE)


@entry("cuMemcpyHtoD_v2")
def copy_to_device(address: int, at: CData, size: int) -> None:
    here = unit()
    if size:
        buffer, offset = here.at(address, size)
        buffer.copy_from(_host_bytes(at, size), offset=offset, stream=here.stream)


@entry("cuMemcpyHtoDAsync_v2")
def copy_to_device_async(address: int, at: CData, size: int, stream: CData) -> None:
    check_stream(stream)
    copy_to_device(address, at, size)


@entry("cuMemcpyDtoH_v2")
def copy_to_host(at: CData, address: int, size: int) -> None:
    here = unit()
    if size:
        buffer, offset = here.at(address, size)
        buffer.copy_to(_host_bytes(at, size), offset=offset, stream=here.stream)


@entry("cuMemcpyDtoHAsync_v2")
def copy_to_host_async(at: CData, address: int, size: int, stream: CData) -> None:
    check_stream(stream)
    copy_to_host(at, address, size)


@entry("cuMemcpyDtoD_v2")
def copy_on_device(target: int, source: int, size: int) -> None:
    here = unit()
    if size:
        to, to_offset = here.at(target, size)
        of, of_offset = here.at(source, size)
        to.copy_from(of, offset=to_offset, source_offset=of_offset, size=size, stream=here.stream)


@entry("cuMemcpyDtoDAsync_v2")
def copy_on_device_async(target: int, source: int, size: int, stream: CData) -> None:
    check_stream(stream)
    copy_on_device(target, source, size)


@entry("cuMemsetD8_v2")
def fill_8(address: int, value: int, count: int) -> None:
    _fill(address, value.to_bytes(1, "little"), count)


@entry("cuMemsetD16_v2")
def fill_16(address: int, value: int, count: int) -> None:
    _fill(address, value.to_bytes(2, "little"), count)


@entry("cuMemsetD32_v2")
def fill_32(address: int, value: int, count: int) -> None:
    _fill(address, value.to_bytes(4, "little"), count)


@entry("cuMemsetD8Async")
def fill_8_async(address: int, value: int, count: int, stream: CData) -> None:
    check_stream(stream)
    fill_8(address, value, count)


@entry("cuMemsetD16Async")
def fill_16_async(address: int, value: int, count: int, stream: CData) -> None:
    check_stream(stream)
    fill_16(address, value, count)


@entry("cuMemsetD32Async")
def fill_32_async(address: int, value: int, count: int, stream: CData) -> None:
    check_stream(stream)
    fill_32(address, value, count)


def _fill(address: int, pattern: bytes, count: int) -> None:
    here = unit()
    require(address % len(pattern) == 0, lib.CUDA_ERROR_INVALID_VALUE)
    if count:
        size = count * len(pattern)
        buffer, offset = here.at(address, size)
        buffer.fill(pattern, offset=offset, size=size, stream=here.stream)


def _host_bytes(at: CData, size: int) -> HostArray:
    """Return the program's memory, in place. Raises CuError for none."""
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    return np.frombuffer(ffi.buffer(at, size), np.uint8)
