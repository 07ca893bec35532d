"""Memory of a CUDA device, what moves bytes within it, and the page-locked memory through which
they come and go.

Uploads are copied by the CPU into one of two pieces while the other travels; small ones lie side by
side in a piece, so that a row of them waits for nothing. Downloads of a piece or less travel by
themselves; larger ones alternate between two pieces as uploads do. A window is page-locked memory
of its own.

Rules: ranges have been checked. A piece is filled again only when what was queued from it has
finished. Pools keep what is given back, within this process, which serves one lease.
"""

from __future__ import annotations

import mmap
from typing import Final, cast

from gon.errors import InvalidArgument
from gon.limits import KIB, PINNED_WINDOW_BYTES_MAX, STAGING_BYTES
from gon_server.devices.cuda_driver import (
    ON_DEVICE,
    TO_DEVICE,
    TO_HOST,
    Cuda,
    Health,
    PinnedMemoryPool,
    PinnedPointer,
)
from gon_server.devices.cuda_stream import Marker, Stream

# Where the next upload begins in a piece: device engines read whole lines.
_ALIGNMENT: Final = 256
# What a fill takes from the host; the device doubles it.
_PIECE_BYTES: Final = 4 * KIB


class DeviceBuffer:
    """One buffer: `ptr` is its address on the device, `owner` what keeps it there.

    A `borrowed` one is a variable of a module.
    """

    __slots__ = ("__weakref__", "borrowed", "owner", "ptr", "size_bytes")

    def __init__(self, ptr: int, size_bytes: int, owner: object, *, borrowed: bool = False) -> None:
        self.ptr = ptr
        self.size_bytes = size_bytes
        self.owner = owner
        self.borrowed = borrowed

    def __repr__(self) -> str:
        return f"DeviceBuffer({self.size_bytes} bytes)"

    def at(self, offset: int) -> int:
        """Return the address of the buffer from `offset` on. Raises InvalidArgument."""
        if not 0 <= offset < self.size_bytes:
            raise InvalidArgument(f"offset {offset} is outside a buffer of {self.size_bytes} bytes")
        return self.ptr + offset


class _Piece:
    """Page-locked memory; `users` are the streams with copies from or to it queued."""

    __slots__ = ("_markers", "block", "used", "users", "view")

    def __init__(self, block: PinnedPointer, size: int) -> None:
        self.block = block
        self.view = bytes_of(block, size)
        self.used = 0
        self.users: set[Stream] = set()
        self._markers: list[Marker] = []

    def leave(self) -> None:
        """Mark what is queued with this piece."""
        self._markers = [stream.mark() for stream in self.users]
        self.users.clear()

    def enter(self) -> None:
        """Wait for what was queued, and begin anew."""
        markers, self._markers = self._markers, []
        for marker in markers:
            marker.wait()
        self.used = 0


class Staging:
    """Moves bytes between the host's memory and the device's, and within the device's."""

    __slots__ = ("_cuda", "_health", "_pieces", "_pool")

    def __init__(self, cuda: Cuda, health: Health) -> None:
        self._cuda = cuda
        self._health = health
        self._pool: PinnedMemoryPool = cuda.api.PinnedMemoryPool()
        self._pieces: list[_Piece] = []

    def upload(self, stream: Stream, target: int, data: memoryview) -> None:
        """Queue a copy of `data`, which may be changed at once, to the address `target`.

        Raises OutOfMemory, DeviceError.
        """
        done, size = 0, len(data)
        while done < size:
            piece = self._piece_with_room()
            place = piece.used
            step = min(STAGING_BYTES - place, size - done)
            piece.view[place : place + step] = data[done : done + step]
            self._copy(stream, target + done, piece.block.ptr + place, step, TO_DEVICE)
            piece.users.add(stream)
            piece.used = -(-(place + step) // _ALIGNMENT) * _ALIGNMENT
            done += step

    def download(self, stream: Stream, source: int, out: memoryview) -> None:
        """Queue a copy from the address `source` into `out`, which is filled once the stream has
        been waited for; one larger than a piece waits. Raises OutOfMemory, DeviceError.
        """
        if len(out) > STAGING_BYTES:
            self._download_in_pieces(stream, source, out)
        else:
            self._arrive(stream, self._allocate(len(out)), source, out)

    def _arrive(self, stream: Stream, block: PinnedPointer, source: int, place: memoryview) -> None:
        self._copy(stream, block.ptr, source, len(place), TO_HOST)
        arrived = bytes_of(block, len(place))

        def deliver() -> None:
            place[:] = arrived

        stream.expect(deliver, len(place))

    def _download_in_pieces(self, stream: Stream, source: int, out: memoryview) -> None:
        blocks = [self._allocate(STAGING_BYTES) for _ in range(2)]
        before: Marker | None = None
        for number, start in enumerate(range(0, len(out), STAGING_BYTES)):
            place = out[start : start + STAGING_BYTES]
            self._arrive(stream, blocks[number % 2], source + start, place)
            marker = stream.mark()
            if before is not None:
                before.wait()
            before = marker
        stream.settle()

    # On the device --------------------------------------------------------------------------------
    def copy(self, stream: Stream, target: int, source: int, size: int) -> None:
        """Queue a copy between two addresses of the device. Raises DeviceError."""
        self._copy(stream, target, source, size, ON_DEVICE)

    def fill(self, stream: Stream, target: int, size: int, pattern: bytes) -> None:
        """Queue a fill of `size` bytes, a multiple of the pattern's. Raises OutOfMemory,
        DeviceError.
        """
        if is_one_byte(pattern):
            try:
                self._cuda.api.runtime.memsetAsync(target, pattern[0], size, stream.ptr)
            except self._cuda.errors as error:
                raise self._health.error_of(error, f"filling {size} bytes") from error
            stream.queued += 1
            return
        done = min(size, _PIECE_BYTES)
        self.upload(stream, target, memoryview(pattern * (done // len(pattern))))
        while done < size:
            step = min(done, size - done)
            self.copy(stream, target + done, target, step)
            done += step

    # Windows --------------------------------------------------------------------------------------
    def open_window(self, stream: Stream, address: int, size: int, *, write: bool) -> Window:
        """Return host memory for a range of the device; to read, it holds the range's bytes.

        Waits for the stream. Raises OutOfMemory, DeviceError.
        """
        stream.settle()
        window = Window(address, size, write=write)
        if not size:
            return window
        if size > PINNED_WINDOW_BYTES_MAX:
            window.view = memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE))
            if not write:
                self._download_in_pieces(stream, address, window.view)
            return window
        window.block = self._allocate(size)
        window.view = bytes_of(window.block, size)
        if not write:
            self._copy(stream, window.block.ptr, address, size, TO_HOST)
            stream.settle()
        return window

    def close_window(self, stream: Stream, window: Window) -> None:
        """Make what was put into a window the device's, for every stream. Raises DeviceError."""
        if not window.write or not window.size:
            return
        if window.block is None:
            self.upload(stream, window.address, window.view)
        else:
            self._copy(stream, window.address, window.block.ptr, window.size, TO_DEVICE)
            stream.keep(window.block, 0)
        stream.settle()

    # ----------------------------------------------------------------------------------------------
    def _piece_with_room(self) -> _Piece:
        if not self._pieces:
            blocks = [self._allocate(STAGING_BYTES) for _ in range(2)]
            self._pieces = [_Piece(block, STAGING_BYTES) for block in blocks]
        if self._pieces[0].used >= STAGING_BYTES:
            self._pieces[0].leave()
            self._pieces.reverse()
            self._pieces[0].enter()
        return self._pieces[0]

    def _allocate(self, size: int) -> PinnedPointer:
        try:
            return self._pool.malloc(size)
        except self._cuda.errors as error:
            doing = f"locking {size} bytes of the host's memory"
            raise self._health.error_of(error, doing) from error

    def _copy(self, stream: Stream, target: int, source: int, size: int, kind: int) -> None:
        try:
            self._cuda.api.runtime.memcpyAsync(target, source, size, kind, stream.ptr)
        except self._cuda.errors as error:
            raise self._health.error_of(error, f"copying {size} bytes") from error
        stream.queued += 1


class Window:
    """Host memory that stands for a range of the device; `block`, if any, is page-locked memory."""

    __slots__ = ("address", "block", "size", "view", "write")

    def __init__(self, address: int, size: int, *, write: bool) -> None:
        self.address = address
        self.size = size
        self.write = write
        self.block: PinnedPointer | None = None
        self.view = memoryview(bytearray())


def is_one_byte(pattern: bytes) -> bool:
    """Return whether the device fills with `pattern` by itself: CUDA has a call for one byte."""
    return pattern.count(pattern[0]) == len(pattern)


def bytes_of(block: PinnedPointer, size: int) -> memoryview:
    """Return the first `size` bytes of page-locked memory; CuPy calls them signed."""
    return memoryview(cast(bytearray, block)).cast("B")[:size]
