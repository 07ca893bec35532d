"""Memory objects: buffers and parts of them.

Memory of the program's own (CL_MEM_USE_HOST_PTR) is copied to the device when the buffer is made,
and back where the program maps it: in between the device's memory is the buffer's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from _gon_opencl import ffi
from gon.device import KnownWrite
from gon.errors import GonError
from gon.model import BufferAt, LaunchArg
from gon_shim.opencl.answers import (
    Answers,
    answer,
    pointer,
    told_properties,
    uint,
    word,
)
from gon_shim.opencl.entry import entry
from gon_shim.opencl.errors import ClError, require
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.objects import Object
from gon_shim.opencl.scope import Scope

if TYPE_CHECKING:
    from _gon_opencl import Callback, CData, Handles, Numbers
    from gon_client.buffer import Buffer
    from gon_client.image import Image as Pixels
    from gon_shim.opencl.mapping import Mapped

_ACCESS: Final = cl.CL_MEM_READ_WRITE | cl.CL_MEM_WRITE_ONLY | cl.CL_MEM_READ_ONLY
_HOST_ACCESS: Final = (
    cl.CL_MEM_HOST_WRITE_ONLY | cl.CL_MEM_HOST_READ_ONLY | cl.CL_MEM_HOST_NO_ACCESS
)
# Of the program's own memory, and how it is made of that.
HOST_POINTER: Final = cl.CL_MEM_USE_HOST_PTR | cl.CL_MEM_ALLOC_HOST_PTR | cl.CL_MEM_COPY_HOST_PTR
_KNOWN: Final = _ACCESS | _HOST_ACCESS | HOST_POINTER


class Memory(Object):
    """A buffer, or a part of one: `offset` bytes into `buffer`, which is all of it; or an image."""

    invalid = cl.CL_INVALID_MEM_OBJECT
    kind: int = cl.CL_MEM_OBJECT_BUFFER

    def __init__(
        self,
        scope: Scope,
        flags: int,
        buffer: Buffer | Pixels,
        size: int,
        host: CData,
        *,
        told: bytes = b"",
        whole: Memory | None = None,
        offset: int = 0,
    ) -> None:
        super().__init__()
        self.scope = scope
        self.flags = flags
        self.buffer = buffer
        self.size = size
        self.host = host
        self.told = told
        self.whole = whole
        self.origin = offset
        self.offset: int = offset if whole is None else whole.offset + offset
        handle = buffer.handle
        self.arg: LaunchArg = BufferAt(handle, self.offset) if self.offset else handle
        self.maps: dict[int, list[Mapped]] = {}
        self.on_end: list[Callable[[], None]] = []
        self.hold(scope if whole is None else whole)

    @property
    def beneath(self) -> Memory | None:
        """What it is a part of, or lies over."""
        return self.whole

    def end(self) -> None:
        for call in reversed(self.on_end):
            call()
        if self.whole is None:
            with suppress(GonError):  # of a lease that is over nothing is left to free
                self.buffer.close()

    def check_range(self, offset: int, size: int) -> None:
        """Raise ClError unless the range is in it; one of no bytes is where it begins."""
        require(offset + size <= self.size, cl.CL_INVALID_VALUE)

    def check_host(self, *denied: int) -> None:
        """Raise ClError if the program said that it would not do this."""
        for flag in denied:
            require(not self.flags & flag, cl.CL_INVALID_OPERATION)


def check_flags(flags: int) -> None:
    """Raise ClError for flags that exclude each other, or that nobody knows."""
    for alike in (_ACCESS, _HOST_ACCESS):
        require((flags & alike).bit_count() < 2, cl.CL_INVALID_VALUE)
    require(not flags & ~_KNOWN, cl.CL_INVALID_VALUE)
    both = cl.CL_MEM_ALLOC_HOST_PTR | cl.CL_MEM_COPY_HOST_PTR
    require(not flags & cl.CL_MEM_USE_HOST_PTR or not flags & both, cl.CL_INVALID_VALUE)


def _create(context: CData, flags: int, size: int, host: CData, told: bytes) -> CData:
    scope = Scope.of(context)
    check_flags(flags)
    most = scope.device.number(cl.CL_DEVICE_MAX_MEM_ALLOC_SIZE)
    require(0 < size <= most, cl.CL_INVALID_BUFFER_SIZE)
    given = flags & (cl.CL_MEM_USE_HOST_PTR | cl.CL_MEM_COPY_HOST_PTR)
    require(bool(host) == bool(given), cl.CL_INVALID_HOST_PTR)
    if not flags & _ACCESS:
        flags |= cl.CL_MEM_READ_WRITE
    leased = scope.device.leased
    buffer = leased.allocate(size)
    if host:
        leased.write_first([KnownWrite(buffer.handle, 0, memoryview(ffi.buffer(host, size)))])
    kept = host if flags & cl.CL_MEM_USE_HOST_PTR else ffi.NULL
    return Memory(scope, flags, buffer, size, kept, told=told).handle


@entry("clCreateBuffer")
def create_buffer(context: CData, flags: int, size: int, host: CData) -> CData:
    return _create(context, flags, size, host, b"")


@entry("clCreateBufferWithProperties")
def create_buffer_with_properties(
    context: CData, properties: CData, flags: int, size: int, host: CData
) -> CData:
    return _create(context, flags, size, host, told_properties(properties))


@entry("clCreateSubBuffer")
def create_sub_buffer(handle: CData, flags: int, kind: int, region: CData) -> CData:
    whole = Memory.of(handle)
    is_buffer = whole.kind == cl.CL_MEM_OBJECT_BUFFER
    require(is_buffer and whole.whole is None, cl.CL_INVALID_MEM_OBJECT)
    require(kind == cl.CL_BUFFER_CREATE_TYPE_REGION and region, cl.CL_INVALID_VALUE)
    flags = inherited(whole.flags, flags)
    origin, size = struct.unpack("<QQ", bytes(ffi.buffer(region, 16)))
    require(size, cl.CL_INVALID_BUFFER_SIZE)
    require(origin + size <= whole.size, cl.CL_INVALID_VALUE)
    alignment = whole.scope.device.number(cl.CL_DEVICE_MEM_BASE_ADDR_ALIGN) // 8
    require(origin % alignment == 0, cl.CL_MISALIGNED_SUB_BUFFER_OFFSET)
    host = ffi.cast("char *", whole.host) + origin if whole.host else ffi.NULL
    part = Memory(whole.scope, flags, whole.buffer, size, host, whole=whole, offset=origin)
    return part.handle


def inherited(whole: int, flags: int) -> int:
    """Return the flags of what lies in another's memory, with that one's where it says none itself.
    Raises ClError if it is to be used as the other must not be.
    """
    check_flags(flags)
    require(not flags & HOST_POINTER, cl.CL_INVALID_VALUE)
    denied = {
        cl.CL_MEM_WRITE_ONLY: cl.CL_MEM_READ_WRITE | cl.CL_MEM_READ_ONLY,
        cl.CL_MEM_READ_ONLY: cl.CL_MEM_READ_WRITE | cl.CL_MEM_WRITE_ONLY,
        cl.CL_MEM_HOST_WRITE_ONLY: cl.CL_MEM_HOST_READ_ONLY,
        cl.CL_MEM_HOST_READ_ONLY: cl.CL_MEM_HOST_WRITE_ONLY,
        cl.CL_MEM_HOST_NO_ACCESS: cl.CL_MEM_HOST_READ_ONLY | cl.CL_MEM_HOST_WRITE_ONLY,
    }
    for flag, excluded in denied.items():
        require(not (whole & flag and flags & excluded), cl.CL_INVALID_VALUE)
    for alike in (_ACCESS, _HOST_ACCESS):
        if not flags & alike:
            flags |= whole & alike
    return flags | whole & HOST_POINTER


@entry("clRetainMemObject")
def retain_memory(handle: CData) -> None:
    Memory.of(handle).retain()


@entry("clReleaseMemObject")
def release_memory(handle: CData) -> None:
    Memory.of(handle).release()


@entry("clSetMemObjectDestructorCallback")
def set_memory_destructor(handle: CData, notify: Callback, data: CData) -> None:
    memory = Memory.of(handle)
    require(notify, cl.CL_INVALID_VALUE)
    memory.on_end.append(lambda: notify(handle, data))


_ANSWERS: Answers[Memory] = {
    cl.CL_MEM_TYPE: lambda memory: uint(memory.kind),
    cl.CL_MEM_FLAGS: lambda memory: word(memory.flags),
    cl.CL_MEM_SIZE: lambda memory: word(memory.size),
    cl.CL_MEM_HOST_PTR: lambda memory: pointer(memory.host),
    cl.CL_MEM_MAP_COUNT: lambda memory: uint(sum(map(len, memory.maps.values()))),
    cl.CL_MEM_REFERENCE_COUNT: lambda memory: uint(memory.references),
    cl.CL_MEM_CONTEXT: lambda memory: pointer(memory.scope.handle),
    cl.CL_MEM_ASSOCIATED_MEMOBJECT: lambda memory: (
        word(0) if memory.beneath is None else pointer(memory.beneath.handle)
    ),
    cl.CL_MEM_OFFSET: lambda memory: word(memory.origin),
    cl.CL_MEM_USES_SVM_POINTER: lambda _: uint(0),
    cl.CL_MEM_PROPERTIES: lambda memory: memory.told,
}


@entry("clGetMemObjectInfo")
def get_memory_info(handle: CData, what: int, room: int, at: CData, size_at: Numbers) -> None:
    answer(_ANSWERS, Memory.of(handle), what, room, at, size_at)


@entry("clCreatePipe")
def no_pipes(context: CData, *_given: object) -> CData:
    Scope.of(context)
    raise ClError(cl.CL_INVALID_OPERATION)


@entry("clGetPipeInfo")
def no_pipe(_handle: CData, *_given: object) -> None:
    raise ClError(cl.CL_INVALID_MEM_OBJECT)


def memories_of(count: int, handles: Handles) -> list[Memory]:
    """Return the memory objects of a list. Raises ClError."""
    require(count and handles, cl.CL_INVALID_VALUE)
    return [Memory.of(handles[index]) for index in range(count)]
