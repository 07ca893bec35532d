"""Buffers: plain bytes on a device, and what moves bytes to, from and between them."""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import Generator
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from gon.device import SETTLED, KnownWrite, Pending, Waiting
from gon.errors import InvalidArgument
from gon.limits import INLINE_BYTES_MAX
from gon.model import Handle
from gon_client.peers import Place, copy_across
from gon_client.staying import Stays

if TYPE_CHECKING:
    from gon_client.device import Device
    from gon_client.stream import Stream

HostArray: TypeAlias = NDArray[np.generic]


class ReadFuture:
    """A read on its way: `result()`, or `await` it. Made by `get_async`."""

    __slots__ = ("_device", "_out", "_pending")

    def __init__(self, device: Device, pending: Pending, out: HostArray) -> None:
        self._device = device
        self._pending = pending
        self._out = out

    def __repr__(self) -> str:
        return f"ReadFuture({self._out.nbytes} bytes, {'here' if self.done() else 'on its way'})"

    def done(self) -> bool:
        """Return whether `result` would return at once."""
        return self._device.forsaken or self._pending.done()

    def result(self, timeout_s: float | None = None) -> HostArray:
        """Return the array once its bytes are here.

        Raises the error of what should have written them, WaitTimeout, LeaseLost.
        """
        self._device.check_ours()
        self._pending.wait(timeout_s)
        return self._out

    def __await__(self) -> Generator[object, None, HostArray]:
        if not self.done():
            loop = asyncio.get_running_loop()
            yield from loop.run_in_executor(None, self._pending.wait).__await__()
        return self.result()


def check_kind(given: object, kind: type, what: str) -> None:
    """Raise InvalidArgument for what is of another kind, as a name of a graph is."""
    if not isinstance(given, kind):
        raise InvalidArgument(f"{what} must be of type {kind.__name__}: {reprlib.repr(given)}")


def contiguous(data: ArrayLike, dtype: DTypeLike | None) -> HostArray:
    """Return `data` as a C-contiguous array, of no dimensions where it has none."""
    host = np.ascontiguousarray(data, dtype=dtype)
    return host.reshape(np.shape(data)) if host.ndim == 0 or np.ndim(data) == 0 else host


def host_bytes(array: HostArray, what: str, *, writable: bool = False) -> memoryview:
    """Return the bytes of a C-contiguous NumPy array, in place. Raises InvalidArgument."""
    check_kind(array, np.ndarray, what)
    if not array.flags.c_contiguous:
        raise InvalidArgument(f"{what} must be C-contiguous")
    if writable and not array.flags.writeable:
        raise InvalidArgument(f"{what} is read-only")
    if array.dtype.hasobject:
        raise InvalidArgument(f"{what} holds Python objects: {array.dtype}")
    return array.reshape(-1).view(np.uint8).data


def _check_unused(stream: Stream | None, what: str) -> None:
    """Raise InvalidArgument for a second stream where there is one device."""
    if stream is not None:
        raise InvalidArgument(f"{what} is for copies between two devices")


def _waits(contract: object) -> TypeGuard[Waiting]:
    """As `isinstance`, in a tenth of the time: that of a protocol takes longer than small reads."""
    return hasattr(contract, "read_now")


class Buffer(Stays):
    """`size_bytes` of memory on a device. Made by `Device.allocate`, or `Module.get_global` for one
    that is a module's variable; freed when forgotten.
    """

    __slots__ = ("__weakref__", "_held_bytes", "closed", "device", "handle", "maps", "size_bytes")

    def __init__(self, device: Device, handle: Handle, size_bytes: int, held_bytes: int) -> None:
        """`held_bytes` of the lease's memory come back when the buffer is freed."""
        self._held_bytes = held_bytes
        # Maps of it that go on (gon_client.maps).
        self.maps = 0
        self.device = device
        self.handle = handle
        self.size_bytes = size_bytes
        self.closed = False

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"Buffer({self.size_bytes} bytes on {self.device.name}{state})"

    def copy_from(
        self,
        source: Buffer | HostArray,
        *,
        offset: int = 0,
        source_offset: int = 0,
        size: int | None = None,
        stream: Stream | None = None,
        source_stream: Stream | None = None,
        cache: bool = False,
    ) -> None:
        """Copy bytes into this buffer from `offset` on.

        `source` is another buffer (`size` bytes from `source_offset` on, by default all it has) or
        a C-contiguous array (all of it), which may be changed as soon as this returns. With `cache`
        the bytes of an array are not sent if the host has them from before. Raises InvalidArgument
        for a range outside either.

        A buffer of another device is copied in the order of `source_stream` there and of `stream`
        here, and what is queued on either later comes after it; unless two CUDA devices of this
        process copy by themselves, this returns when its bytes have gone through the process. An
        error of either device says which one it is; part of the range may have been written.
        """
        handle = self.device.handle_of(stream)
        if isinstance(source, Buffer):
            size = source.size_bytes - source_offset if size is None else size
            source.check_range(source_offset, size, "source")
            self.check_range(offset, size, "target")
            if source.device is not self.device:
                source_handle = source.device.handle_of(source_stream)
                for device in (self.device, source.device):
                    device.check_free("a copy between devices")
                if size:
                    there = Place(source, source_offset, source_handle)
                    copy_across(there, Place(self, offset, handle), size)
                return
            _check_unused(source_stream, "source_stream")
            if self.device.capturing is not None:
                self.device.capturing.use(source, "a copy's source")
                self.device.capturing.use(self, "a copy's target")
            self.device.contract.copy(
                handle, source.handle, source_offset, self.handle, offset, size
            )
            return
        _check_unused(source_stream, "source_stream")
        express = self.device.express
        quick = None if express is None or cache else express.copies
        if quick is not None and quick.upload(handle, self, offset, source):
            return
        data = host_bytes(source, "source")
        self.check_range(offset, data.nbytes, "target")
        if data.nbytes:
            self.device.write(handle, (KnownWrite(self.handle, offset, data),), cache=cache)

    def copy_to(
        self,
        target: Buffer | HostArray,
        *,
        offset: int = 0,
        target_offset: int = 0,
        size: int | None = None,
        stream: Stream | None = None,
        target_stream: Stream | None = None,
    ) -> None:
        """Copy bytes of this buffer, from `offset` on, to another buffer or a NumPy array.

        A copy to an array (all of it) waits until the bytes are there; one to a buffer of the
        device does not. One to another device's is as `copy_from` says, with `target_stream` there.
        """
        if isinstance(target, Buffer):
            across = target.device is not self.device
            if not across:
                _check_unused(target_stream, "target_stream")
            target.copy_from(
                self,
                offset=target_offset,
                source_offset=offset,
                size=self.size_bytes - offset if size is None else size,
                stream=target_stream if across else stream,
                source_stream=stream if across else None,
            )
            return
        _check_unused(target_stream, "target_stream")
        self.read_now(target, offset=offset, stream=stream)

    def read_now(
        self,
        out: HostArray,
        *,
        offset: int = 0,
        stream: Stream | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Read into the whole of `out`, and wait for it. Raises as `Pending.wait`."""
        handle = self.device.handle_of(stream)
        express = self.device.express
        quick = None if express is None or timeout_s is not None else express.copies
        if quick is not None and quick.download(handle, self, offset, out):
            return
        check_kind(out, np.ndarray, "out")
        contract = self.device.contract
        if out.nbytes <= INLINE_BYTES_MAX or not _waits(contract):
            self.read(out, offset=offset, stream=stream).wait(timeout_s)
            return
        view = host_bytes(out, "out", writable=True)
        self.check_range(offset, view.nbytes, "source")
        contract.read_now(handle, self.handle, offset, view, timeout_s)

    def read(self, out: HostArray, *, offset: int = 0, stream: Stream | None = None) -> Pending:
        """Queue a read into the whole of `out`; its bytes are there once waited for."""
        view = host_bytes(out, "out", writable=True)
        self.check_range(offset, view.nbytes, "source")
        if not view.nbytes:
            return SETTLED
        return self.device.contract.read(self.device.handle_of(stream), self.handle, offset, view)

    def fill(
        self,
        pattern: bytes | int | np.generic,
        *,
        offset: int = 0,
        size: int | None = None,
        stream: Stream | None = None,
    ) -> None:
        """Repeat `pattern` over `size` bytes from `offset` on, by default the whole buffer.

        A pattern is 1, 2, 4, … 128 bytes, a NumPy scalar, or an int from 0 to 255.
        """
        if isinstance(pattern, int):
            if not 0 <= pattern <= 255:
                raise InvalidArgument(f"pattern {pattern} is no byte")
            pattern = bytes((pattern,))
        raw = pattern if isinstance(pattern, bytes) else pattern.tobytes()
        if len(raw) not in (1, 2, 4, 8, 16, 32, 64, 128):
            raise InvalidArgument(
                f"a pattern of {len(raw)} bytes: a power of 2 up to 128 is needed"
            )
        size = self.size_bytes - offset if size is None else size
        self.check_range(offset, size, "range")
        if size % len(raw):
            raise InvalidArgument(f"{size} bytes are no multiple of the pattern's {len(raw)}")
        if self.device.capturing is not None:
            self.device.capturing.use(self, "a fill's target")
        self.device.contract.fill(self.device.handle_of(stream), self.handle, offset, size, raw)

    def check_range(self, offset: int, size: int, what: str) -> None:
        """Raise InvalidArgument unless the range lies in this buffer."""
        if self.closed:
            raise InvalidArgument(f"the {what} buffer is closed")
        if offset < 0 or size < 0 or offset + size > self.size_bytes:
            raise InvalidArgument(
                f"{what}: {size} bytes from {offset} on do not fit into {self.size_bytes} bytes"
            )

    def close(self) -> None:
        """Give the memory back once the work queued before is done; idempotent.

        Raises InvalidArgument while it is mapped: the map may be this very memory.
        """
        self.device.check_free("closing a buffer")
        if self.maps:
            raise InvalidArgument("a mapped buffer cannot be closed before its map's block ends")
        if not self.closed:
            self.closed = True
            self.device.forget_buffer(self.handle, self._held_bytes)

    def __del__(self) -> None:
        if not self.closed:
            self.closed = True
            self.device.drop_buffer(self.handle, self._held_bytes)
