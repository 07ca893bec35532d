"""Memory of the device and page-locked memory of the host; copies and fills.

A copy from the host's memory has taken its bytes when it returns. One to it has happened, or, if it
is an `Async` one to page-locked memory, comes as it comes: whoever waits for its stream waits for
it, and whoever is to use that memory next.

Rules: a call without a stream goes to the default stream, the legacy one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from _gon_cuda import ffi, lib
from gon_client.buffer import HostArray
from gon_shim.cuda.entry import entry
from gon_shim.cuda.errors import require
from gon_shim.cuda.handles import number_of
from gon_shim.cuda.lanes import Lane
from gon_shim.cuda.page_locked import PAGE_LOCKED
from gon_shim.cuda.scopes import Scope, current, ends, unit
from gon_shim.cuda.streams import lane_of
from gon_shim.cuda.unit import UNIT
from gon_shim.reads import READS, Span

if TYPE_CHECKING:
    from _gon_cuda import CData, Numbers, Pointers


@entry("cuMemAlloc_v2")
def allocate(at: Numbers, size: int) -> None:
    require(at and size, lib.CUDA_ERROR_INVALID_VALUE)
    at[0] = unit().allocate(size, current())


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
    at[0] = ffi.cast("void *", PAGE_LOCKED.allocate(size, current()))


@entry("cuMemFreeHost")
def free_host(at: CData) -> None:
    unit()
    memory, span = PAGE_LOCKED.take(at)
    READS.settle_before(span)
    del memory  # no sooner


@entry("cuMemcpyHtoD_v2")
def copy_to_device(address: int, at: CData, size: int) -> None:
    _copy_to_device(address, at, size, unit().lanes.legacy)


@entry("cuMemcpyHtoDAsync_v2")
def copy_to_device_async(address: int, at: CData, size: int, stream: CData) -> None:
    _copy_to_device(address, at, size, lane_of(stream))


@entry("cuMemcpyDtoH_v2")
def copy_to_host(at: CData, address: int, size: int) -> None:
    _copy_to_host(at, address, size, unit().lanes.legacy, waits=True)


@entry("cuMemcpyDtoHAsync_v2")
def copy_to_host_async(at: CData, address: int, size: int, stream: CData) -> None:
    _copy_to_host(at, address, size, lane_of(stream), waits=False)


@entry("cuMemcpyDtoD_v2")
def copy_on_device(target: int, source: int, size: int) -> None:
    _copy_on_device(target, source, size, unit().lanes.legacy)


@entry("cuMemcpyDtoDAsync_v2")
def copy_on_device_async(target: int, source: int, size: int, stream: CData) -> None:
    _copy_on_device(target, source, size, lane_of(stream))


@entry("cuMemsetD8_v2")
def fill_8(address: int, value: int, count: int) -> None:
    _fill(address, value.to_bytes(1, "little"), count, unit().lanes.legacy)


@entry("cuMemsetD16_v2")
def fill_16(address: int, value: int, count: int) -> None:
    _fill(address, value.to_bytes(2, "little"), count, unit().lanes.legacy)


@entry("cuMemsetD32_v2")
def fill_32(address: int, value: int, count: int) -> None:
    _fill(address, value.to_bytes(4, "little"), count, unit().lanes.legacy)


@entry("cuMemsetD8Async")
def fill_8_async(address: int, value: int, count: int, stream: CData) -> None:
    _fill(address, value.to_bytes(1, "little"), count, lane_of(stream))


@entry("cuMemsetD16Async")
def fill_16_async(address: int, value: int, count: int, stream: CData) -> None:
    _fill(address, value.to_bytes(2, "little"), count, lane_of(stream))


@entry("cuMemsetD32Async")
def fill_32_async(address: int, value: int, count: int, stream: CData) -> None:
    _fill(address, value.to_bytes(4, "little"), count, lane_of(stream))


@ends
def _end(scope: Scope) -> None:
    UNIT.free_of(scope)
    pieces = PAGE_LOCKED.take_all(scope)
    for _, span in pieces:
        READS.settle_before(span)
    del pieces  # no sooner


def _copy_to_device(address: int, at: CData, size: int, lane: Lane) -> None:
    if size:
        buffer, offset = unit().at(address, size)
        data = _host_bytes(at, size)
        READS.settle_before(_span(at, size))
        buffer.copy_from(data, offset=offset, stream=lane.ready())
        lane.queued()


def _copy_to_host(at: CData, address: int, size: int, lane: Lane, *, waits: bool) -> None:
    if not size:
        return
    buffer, offset = unit().at(address, size)
    out, span = _host_bytes(at, size), _span(at, size)
    # Nothing else comes there any more.
    READS.settle_before(span, reader=lane.reader)
    stream = lane.ready()
    if not waits and PAGE_LOCKED.holds(span):
        read = buffer.read(out, offset=offset, stream=stream)
        READS.add(lane.reader, span, read)
        lane.queued(read)
        return
    before = lane.reads
    try:
        buffer.copy_to(out, offset=offset, stream=stream)
    finally:
        lane.settle(before)


def _copy_on_device(target: int, source: int, size: int, lane: Lane) -> None:
    here = unit()
    if size:
        to, to_offset = here.at(target, size)
        of, of_offset = here.at(source, size)
        to.copy_from(of, offset=to_offset, source_offset=of_offset, size=size, stream=lane.ready())
        lane.queued()


def _fill(address: int, pattern: bytes, count: int, lane: Lane) -> None:
    require(address % len(pattern) == 0, lib.CUDA_ERROR_INVALID_VALUE)
    if count:
        size = count * len(pattern)
        buffer, offset = unit().at(address, size)
        buffer.fill(pattern, offset=offset, size=size, stream=lane.ready())
        lane.queued()


def _span(at: CData, size: int) -> Span:
    start = number_of(at)
    return Span(start, start + size)


def _host_bytes(at: CData, size: int) -> HostArray:
    """Return the program's memory, in place. Raises CuError for none."""
    require(at, lib.CUDA_ERROR_INVALID_VALUE)
    return np.frombuffer(ffi.buffer(at, size), np.uint8)
