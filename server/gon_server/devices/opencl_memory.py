"""A buffer's memory on an OpenCL device, in two kinds: the host's own, or the driver's.

On a device that shares the host's memory, a buffer is memory of ours that the driver uses in
place, private pages or a part of what the device was given: a host window is that memory itself. On
any other device the driver allocates, and the host sees mappings.

Memory of a small buffer that was freed is kept for the next one of its size: a program that makes
new arrays for each call has them at the same few addresses.

Rules: sizes and ranges have been checked before. Whoever drops the last reference gives the memory
back, so references are kept until queued work has finished. Memory that is used again is zero, as
new memory is, and nothing that was queued knows it.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable
from typing import Final

import pyopencl as cl

from gon.errors import InvalidArgument, OutOfMemory
from gon.limits import MIB, VIEWS_CACHED_MAX
from gon.mapped_limits import MAPPED_BUFFER_BYTES_MIN
from gon.placement import Memory
from gon_server.devices import opencl_driver as driver
from gon_server.devices.limits import SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS_MAX, SPARE_BYTES_MAX

# From here on pages of 2 MiB are worth asking for: first touch is 3 to 9 times as fast (measured).
HUGE_PAGES_FROM_BYTES: Final = 2 * MIB
_ZEROS: Final = memoryview(bytes(SPARE_BUFFER_BYTES_MAX))


class DeviceBuffer:
    """One buffer: `memory` is the driver's handle, `host` our memory behind it or None; `whole` the
    buffer that it is a part of, whose memory it is; `place` where it lies in a memory that was
    given to the device, if there.
    """

    __slots__ = ("_views", "any_address", "host", "memory", "place", "size_bytes", "whole")

    def __init__(
        self,
        memory: driver.Memory,
        size_bytes: int,
        host: memoryview | None,
        *,
        any_address: bool,
        whole: DeviceBuffer | None = None,
        place: int | None = None,
    ) -> None:
        self.memory = memory
        self.place = place
        self.size_bytes = size_bytes
        self.host = host
        self.any_address = any_address
        self.whole = whole
        self._views: dict[int, driver.Memory] = {}

    def __repr__(self) -> str:
        where = "the driver's" if self.host is None else "the host's"
        return f"DeviceBuffer({self.size_bytes} bytes of {where} memory)"

    def at(self, offset: int, alignment_bytes: int) -> driver.Argument:
        """Return what a kernel takes for the buffer from `offset` on. Raises InvalidArgument,
        DriverError.

        Where kernels reach any host address, that is the address: views of one buffer are then the
        same memory, at any offset. Elsewhere it is a sub-buffer, at the device's alignment.
        """
        if not 0 <= offset < self.size_bytes:
            raise InvalidArgument(f"offset {offset} is outside a buffer of {self.size_bytes} bytes")
        if offset == 0:
            return self.memory
        if self.any_address and self.host is not None:
            return cl.SVM(self.host[offset:])
        if offset % alignment_bytes:
            raise InvalidArgument(
                f"offset {offset} is no multiple of {alignment_bytes}, as views of this device need"
            )
        view = self._views.get(offset)
        if view is None:
            if len(self._views) >= VIEWS_CACHED_MAX:
                self._views.clear()
            view = self.memory.get_sub_region(offset, self.size_bytes - offset)
            self._views[offset] = view
        return view

    def part(self, offset: int, size_bytes: int) -> DeviceBuffer:
        """Return a range as a buffer, at an offset that every device's views may begin at.

        Raises DriverError.
        """
        memory = self.memory.get_sub_region(offset, size_bytes)
        host = None if self.host is None else self.host[offset : offset + size_bytes]
        return DeviceBuffer(memory, size_bytes, host, any_address=self.any_address, whole=self)


class BufferMemory:
    """What a device's buffers are made of: the host's pages, large ones `within` a memory if given
    one, or, unless `in_place`, the driver's.
    """

    def __init__(
        self, context: driver.Context, service: driver.Queue, *, in_place: bool, any_address: bool
    ) -> None:
        self.within: Memory | None = None
        self._context = context
        self._service = service
        self._in_place = in_place
        self._any_address = any_address
        # What buffers take; what is kept for others, by its size; what both may take together.
        self.taken_bytes = 0
        self._spare: dict[int, list[DeviceBuffer]] = {}
        self._spares = 0
        self._spare_bytes = 0
        self.most_bytes = 0
        self._gone: list[Callable[[memoryview], None]] = []

    def __repr__(self) -> str:
        return f"BufferMemory({self.taken_bytes} bytes taken, {self._spare_bytes} spare)"

    def watch(self, gone: Callable[[memoryview], None]) -> None:
        """Call `gone` with the memory of every buffer whose memory goes, before it does."""
        self._gone.append(gone)

    def make(self, size_bytes: int) -> DeviceBuffer:
        """Return a zeroed buffer that counts as taken. Raises OutOfMemory, DriverError."""
        spare = self._spare.get(size_bytes)
        if spare:
            made = spare.pop()
            if not spare:
                del self._spare[size_bytes]
            self._spares -= 1
            self._spare_bytes -= size_bytes
            assert made.host is not None, "only the host's memory is kept"
            made.host[:] = _ZEROS[:size_bytes]
        else:
            if self.taken_bytes + self._spare_bytes + size_bytes > self.most_bytes:
                self.clear()
            made = self.fresh(size_bytes)
        self.taken_bytes += size_bytes
        return made

    def take(self, size_bytes: int) -> None:
        """Count memory that is not a buffer's as taken. Raises OutOfMemory."""
        free_bytes = self.most_bytes - self.taken_bytes
        if size_bytes > free_bytes:
            raise OutOfMemory(f"{size_bytes} bytes: {free_bytes} of {self.most_bytes} are free")
        if size_bytes + self._spare_bytes > free_bytes:
            self.clear()
        self.taken_bytes += size_bytes

    def fresh(self, size_bytes: int) -> DeviceBuffer:
        """Return a zeroed buffer of new memory, not counted. Raises OutOfMemory, DriverError."""
        if self._in_place:
            return allocate_on_host(
                self._context, size_bytes, any_address=self._any_address, within=self.within
            )
        return allocate_on_device(self._context, self._service, size_bytes)

    def filled(self, content: bytes) -> DeviceBuffer:
        """Return a buffer of a module's own, not counted. Raises OutOfMemory, DriverError."""
        buffer = self.fresh(len(content))
        if buffer.host is not None:
            buffer.host[:] = content
        else:
            driver.enqueue_write(self._service, buffer.memory, content, 0, None, True)
        return buffer

    def take_back(self, freed: DeviceBuffer, *, used: bool) -> None:
        """Take a buffer that was freed; `used` says whether queued work may still use it."""
        size = freed.size_bytes
        if freed.whole is None:
            self.taken_bytes -= size
        if used or freed.whole is not None or freed.host is None or size > SPARE_BUFFER_BYTES_MAX:
            self._tell(freed)
            return
        if self._spares >= SPARE_BUFFERS_MAX or self._spare_bytes + size > SPARE_BYTES_MAX:
            self.clear()
        self._spare.setdefault(size, []).append(freed)
        self._spares += 1
        self._spare_bytes += size

    def clear(self) -> None:
        """Let go what is kept."""
        for spare in self._spare.values():
            for each in spare:
                self._tell(each)
        self._spare.clear()
        self._spares = self._spare_bytes = 0

    def _tell(self, going: DeviceBuffer) -> None:
        if going.host is not None:
            for gone in self._gone:
                gone(going.host)


def allocate_on_host(
    context: driver.Context, size_bytes: int, *, any_address: bool, within: Memory | None = None
) -> DeviceBuffer:
    """Return a buffer on zeroed pages of ours, a large one `within` a memory where there is room.

    Raises OutOfMemory, DriverError.
    """
    place, host = None, None
    if within is not None and size_bytes >= MAPPED_BUFFER_BYTES_MIN:
        taken = within.take(size_bytes)
        if taken is not None:
            place, host = taken[0], taken[1].data
    if host is None:
        host = _private_pages(size_bytes)
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.USE_HOST_PTR
    memory = cl.Buffer(context, flags, 0, host)
    return DeviceBuffer(memory, size_bytes, host, any_address=any_address, place=place)


def _private_pages(size_bytes: int) -> memoryview:
    """Return zeroed pages that nobody else sees. Raises OutOfMemory."""
    try:
        pages = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as error:
        raise OutOfMemory(f"a buffer of {size_bytes} bytes: {error}") from error
    if size_bytes >= HUGE_PAGES_FROM_BYTES:
        with contextlib.suppress(OSError):  # a kernel without them gives small pages
            pages.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(pages)


def allocate_on_device(
    context: driver.Context, queue: driver.Queue, size_bytes: int
) -> DeviceBuffer:
    """Return a zeroed buffer in the driver's memory. Raises DriverError."""
    memory = cl.Buffer(context, cl.mem_flags.READ_WRITE, size_bytes)
    driver.enqueue_fill(queue, memory, b"\0", 0, size_bytes).wait()
    return DeviceBuffer(memory, size_bytes, None, any_address=False)
