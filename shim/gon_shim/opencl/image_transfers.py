"""Reads, writes, copies, fills and maps of images, region by region."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from _gon_opencl import ffi
from gon.device import SETTLED, Pending
from gon.images import COLOR_BYTES, overlap
from gon.model import Dim3
from gon_client.image import images_of
from gon_shim.opencl.answers import address, numbers_of
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import require
from gon_shim.opencl.image_rows import Rows
from gon_shim.opencl.images import Image, image_of
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.mapping import Mapped, check_map, room_for
from gon_shim.opencl.memory import Memory
from gon_shim.opencl.queue import Make, Queue
from gon_shim.opencl.transfers import memory_for, span_of

if TYPE_CHECKING:
    from _gon_opencl import CData, Handles, Numbers


def _image_for(queue: Queue, handle: CData) -> Image:
    """Return an image that a queue's commands may use. Raises ClError."""
    image = image_of(handle)
    require(image.scope is queue.scope, cl.CL_INVALID_CONTEXT)
    return image


def _place(at: CData) -> Dim3:
    require(at, cl.CL_INVALID_VALUE)
    x, y, z = numbers_of(at, 3)
    return x, y, z


def _region(image: Image, origin_at: CData, region_at: CData) -> tuple[Dim3, Dim3]:
    """Return a place in an image, and how large it is. Raises ClError."""
    origin, region = _place(origin_at), _place(region_at)
    image.check_region(origin, region)
    return origin, region


def _rows(image: Image, region: Dim3, row: int, slice_: int) -> Rows:
    """Return how a region lies in the program's memory. Raises ClError."""
    shape, pixel = image.pixels.shape, image.pixels.format.pixel_bytes
    return Rows.of(shape.kind, region, pixel, row, slice_, cl.CL_INVALID_VALUE)


def _read(
    queue: Queue, image: Image, origin: Dim3, region: Dim3, rows: Rows, at: CData, *, waits: bool
) -> Pending:
    """Queue a read of a region into rows that begin at an address."""
    stream, pixels = queue.stream.handle, image.pixels
    if rows.touch(region):
        return pixels.read(stream, origin, region, rows.packed(at, region), waits=waits)
    arrived = np.empty(math.prod(region) * rows.pixel, np.uint8)
    read = pixels.read(stream, origin, region, arrived.data, waits=waits)
    # Nobody but this read would know when its bytes are to be put there.
    read.wait()
    rows.seen(at, region)[:] = arrived.reshape(region[2], region[1], -1)
    return SETTLED


@entry("clEnqueueReadImage")
def enqueue_read(
    handle: CData, image_handle: CData, blocks: int, origin_at: Numbers, region_at: Numbers,
    row: int, slice_: int, at: CData, count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    image = _image_for(queue, image_handle)
    origin, region = _region(image, origin_at, region_at)
    require(at, cl.CL_INVALID_VALUE)
    rows = _rows(image, region, row, slice_)
    image.check_host(cl.CL_MEM_HOST_WRITE_ONLY, cl.CL_MEM_HOST_NO_ACCESS)
    now = bool(blocks) and not count and not queue.held

    def run() -> Pending:
        return _read(queue, image, origin, region, rows, at, waits=now)

    queue.submit(
        cl.CL_COMMAND_READ_IMAGE, run, count, waits, event_at, blocks=bool(blocks), uses=(image,),
        fills=span_of(at, rows.size_bytes(region)),
    )  # fmt: skip


@entry("clEnqueueWriteImage")
def enqueue_write(
    handle: CData, image_handle: CData, blocks: int, origin_at: Numbers, region_at: Numbers,
    row: int, slice_: int, at: CData, count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    image = _image_for(queue, image_handle)
    origin, region = _region(image, origin_at, region_at)
    require(at, cl.CL_INVALID_VALUE)
    rows = _rows(image, region, row, slice_)
    image.check_host(cl.CL_MEM_HOST_READ_ONLY, cl.CL_MEM_HOST_NO_ACCESS)
    # As of a buffer, the bytes are taken when the command is queued.
    held = bool(blocks) and bool(count or queue.held)

    def run() -> None:
        image.pixels.write(queue.stream.handle, origin, region, rows.packed(at, region))

    queue.submit(
        cl.CL_COMMAND_WRITE_IMAGE, run, count, waits, event_at, blocks=held, uses=(image,),
        takes=span_of(at, rows.size_bytes(region)),
    )  # fmt: skip


@entry("clEnqueueCopyImage")
def enqueue_copy(
    handle: CData, source_handle: CData, target_handle: CData, source_at: Numbers,
    target_at: Numbers, region_at: Numbers, count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    source, target = _image_for(queue, source_handle), _image_for(queue, target_handle)
    same = source.pixels.format == target.pixels.format
    require(same, cl.CL_IMAGE_FORMAT_MISMATCH)
    start, region = _region(source, source_at, region_at)
    goal, _ = _region(target, target_at, region_at)
    if source is target:
        require(not overlap(start, goal, region), cl.CL_MEM_COPY_OVERLAP)

    def run() -> None:
        images, stream = images_of(queue.stream.device), queue.stream.handle
        images.copy(stream, source.pixels.handle, start, target.pixels.handle, goal, region)

    kind, uses = cl.CL_COMMAND_COPY_IMAGE, (source, target)
    queue.submit(kind, run, count, waits, event_at, make=Make.ONE, uses=uses)


@entry("clEnqueueFillImage")
def enqueue_fill(
    handle: CData, image_handle: CData, color_at: CData, origin_at: Numbers, region_at: Numbers,
    count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    image = _image_for(queue, image_handle)
    require(color_at, cl.CL_INVALID_VALUE)
    origin, region = _region(image, origin_at, region_at)
    given = 4 if image.pixels.format.is_depth else COLOR_BYTES
    color = bytes(ffi.buffer(color_at, given)).ljust(COLOR_BYTES, b"\0")

    def run() -> None:
        images, stream = images_of(queue.stream.device), queue.stream.handle
        images.fill(stream, image.pixels.handle, origin, region, color)

    kind = cl.CL_COMMAND_FILL_IMAGE
    queue.submit(kind, run, count, waits, event_at, make=Make.ONE, uses=(image,))


@entry("clEnqueueCopyImageToBuffer")
def enqueue_to_buffer(
    handle: CData, image_handle: CData, buffer_handle: CData, origin_at: Numbers,
    region_at: Numbers, offset: int, count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    image, memory = _image_for(queue, image_handle), memory_for(queue, buffer_handle)
    origin, region = _region(image, origin_at, region_at)
    memory.check_range(offset, math.prod(region) * image.pixels.format.pixel_bytes)

    def run() -> None:
        images, stream = images_of(queue.stream.device), queue.stream.handle
        target, at = memory.buffer.handle, memory.offset + offset
        images.to_buffer(stream, image.pixels.handle, origin, region, target, at)

    kind = cl.CL_COMMAND_COPY_IMAGE_TO_BUFFER
    queue.submit(kind, run, count, waits, event_at, make=Make.ONE, uses=(image, memory))


@entry("clEnqueueCopyBufferToImage")
def enqueue_from_buffer(
    handle: CData, buffer_handle: CData, image_handle: CData, offset: int, origin_at: Numbers,
    region_at: Numbers, count: int, waits: Handles, event_at: Handles,
) -> None:  # fmt: skip
    queue = Queue.of(handle)
    memory, image = memory_for(queue, buffer_handle), _image_for(queue, image_handle)
    origin, region = _region(image, origin_at, region_at)
    memory.check_range(offset, math.prod(region) * image.pixels.format.pixel_bytes)

    def run() -> None:
        images, stream = images_of(queue.stream.device), queue.stream.handle
        source, at = memory.buffer.handle, memory.offset + offset
        images.from_buffer(stream, source, at, image.pixels.handle, origin, region)

    kind = cl.CL_COMMAND_COPY_BUFFER_TO_IMAGE
    queue.submit(kind, run, count, waits, event_at, make=Make.ONE, uses=(memory, image))


@dataclass(frozen=True, slots=True)
class MappedRegion(Mapped):
    """A region that is mapped; its size is that of all its rows."""

    origin: Dim3
    region: Dim3
    rows: Rows

    def put_back(self, queue: Queue, memory: Memory) -> None:
        image = cast("Image", memory)
        packed = self.rows.packed(self.at, self.region)
        image.pixels.write(queue.stream.handle, self.origin, self.region, packed)


@entry("clEnqueueMapImage")
def enqueue_map(
    handle: CData, image_handle: CData, blocks: int, flags: int, origin_at: Numbers,
    region_at: Numbers, row_at: Numbers, slice_at: Numbers, count: int, waits: Handles,
    event_at: Handles,
) -> CData:  # fmt: skip
    queue = Queue.of(handle)
    image = _image_for(queue, image_handle)
    origin, region = _region(image, origin_at, region_at)
    require(row_at, cl.CL_INVALID_VALUE)
    require(slice_at or not image.rows.slice_told, cl.CL_INVALID_VALUE)
    invalidates, writes = check_map(image, flags)
    # In the program's own memory it is where it was; elsewhere as if it were all there is.
    rows = image.rows if image.host else _rows(image, region, 0, 0)
    offset = image.rows.place(origin) if image.host else 0
    size = rows.size_bytes(region)
    at, room, _out = room_for(image, offset, size)
    now = bool(blocks) and not count and not queue.held

    def run() -> Pending | None:
        if invalidates:
            return None
        return _read(queue, image, origin, region, rows, at, waits=now)

    queue.submit(
        cl.CL_COMMAND_MAP_IMAGE, run, count, waits, event_at, blocks=bool(blocks), uses=(image,),
        fills=None if invalidates else span_of(at, size),
    )  # fmt: skip
    mapped = MappedRegion(offset, size, at, room, writes, origin, region, rows)
    image.maps.setdefault(address(at), []).append(mapped)
    row_at[0] = rows.row
    if slice_at:
        slice_at[0] = rows.slice_told
    return at
