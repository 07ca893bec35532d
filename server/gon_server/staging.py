"""Copies of a device's buffers in the host's memory, for engines where buffers are not in it.

    launch ─▶ its stream is waited for ─▶ inputs come ─▶ engine, on the copies ─▶ outputs go

A buffer that an engine works on has one copy, as large as it is, for as long as it is there: so
what a function was bound to is kept, as it is on memory in place. Of a copy no more is touched than
tensors take. What is in it between two launches is of no use to anybody: each begins with what the
device has.

Rules: the stream of a launch has nothing queued: what is read is what was written before it, and
what is written is there for every stream. What a run that fails has written does not reach the
device. Copies take no more than the device's bound, the lease's memory, once more.
Must not know: engines, personalities.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gon.device import HostDevice
from gon.errors import BadHandle, OutOfMemory
from gon.model import DEFAULT_STREAM, BufferAt, Handle, KernelInfo, LaunchArg, ParamKind
from gon_server.engines.base import Bound, Tensor

_UNBOUNDED: Final = 1 << 62


class _Range(NamedTuple):
    """Part of a buffer, and where it is in the copy."""

    buffer: Handle
    offset: int
    copy: memoryview


class HostCopies:
    """The copies of one device's buffers."""

    def __init__(self, base: HostDevice) -> None:
        self._base = base
        self._sizes: dict[Handle, int] = {}
        self._copies: dict[Handle, memoryview] = {}
        self._gone: list[Callable[[memoryview], None]] = []
        self.most_bytes = _UNBOUNDED
        self.taken_bytes = 0
        # The stream of the launch that goes on.
        self.stream = DEFAULT_STREAM

    def __repr__(self) -> str:
        return f"HostCopies(of {len(self._copies)} buffers, {self.taken_bytes} bytes)"

    def watch(self, gone: Callable[[memoryview], None]) -> None:
        """Call `gone` with every copy that goes, before it does."""
        self._gone.append(gone)

    def allocate(self, buffer: Handle, size_bytes: int) -> None:
        """Make a buffer of the device, and know how large it is. Raises as the device."""
        self._base.allocate(buffer, size_bytes)
        self._sizes[buffer] = size_bytes

    def free(self, buffer: Handle) -> None:
        """Forget a buffer."""
        self._sizes.pop(buffer, None)
        copy = self._copies.pop(buffer, None)
        if copy is not None:
            self._let_go(copy)

    def clear(self) -> None:
        """Let all copies go; buffers stay."""
        for copy in self._copies.values():
            self._let_go(copy)
        self._copies.clear()

    def memory_of(self, buffer: Handle) -> memoryview:
        """Return a buffer's copy, which is as good as empty. Raises BadHandle for what is no buffer
        or a module's variable, OutOfMemory.
        """
        copy = self._copies.get(buffer)
        if copy is None:
            size = self._sizes.get(buffer)
            if size is None:
                raise BadHandle(f"there is no buffer {buffer} that engines could have a copy of")
            if self.taken_bytes + size > self.most_bytes:
                raise OutOfMemory(
                    f"a copy of buffer {buffer} in the host's memory takes {size} bytes; "
                    f"{self.taken_bytes} of {self.most_bytes} are taken"
                )
            try:
                # Pages come as they are touched.
                pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            except (OSError, OverflowError) as error:
                raise OutOfMemory(f"a copy of {size} bytes: {error}") from error
            copy = self._copies[buffer] = memoryview(pages)
            self.taken_bytes += size
        return copy

    def staged(
        self,
        bound: Bound,
        info: KernelInfo,
        args: Sequence[LaunchArg],
        tensors: Sequence[Tensor],
        *,
        fills: bool,
    ) -> Bound:
        """Return what runs `bound`, a function bound to copies, on the buffers; `fills` says
        whether it writes all of its outputs.
        """
        given = [
            (param.writes, arg)
            for param, arg in zip(info.params, args, strict=True)
            if param.kind is ParamKind.BUFFER
        ]
        fetched: dict[tuple[Handle, int, int], _Range] = {}
        stored: list[_Range] = []
        for (writes, arg), tensor in zip(given, tensors, strict=True):
            assert isinstance(arg, int | BufferAt), "it was resolved"
            buffer, offset = (
                (arg.buffer, arg.offset_bytes) if isinstance(arg, BufferAt) else (arg, 0)
            )
            end = offset + tensor.nbytes
            if end == offset:
                continue
            buffer = Handle(buffer)
            part = _Range(buffer, offset, self._copies[buffer][offset:end])
            if writes:
                stored.append(part)
            if not (writes and fills):
                fetched[buffer, offset, end] = part
        return _Staged(self, bound, tuple(fetched.values()), tuple(stored))

    def fetch(self, ranges: Sequence[_Range]) -> None:
        """Copy what the device has, and wait for it."""
        base, stream = self._base, self.stream
        for buffer, offset, copy in ranges:
            base.read(stream, buffer, offset, copy).wait()

    def store(self, ranges: Sequence[_Range]) -> None:
        """Copy to the device."""
        base, stream = self._base, self.stream
        for buffer, offset, copy in ranges:
            base.write(stream, buffer, offset, copy)

    def _let_go(self, copy: memoryview) -> None:
        self.taken_bytes -= copy.nbytes
        for gone in self._gone:
            gone(copy)


class _Staged:
    """A function that is bound to copies, with what goes to and from them."""

    def __init__(
        self,
        copies: HostCopies,
        bound: Bound,
        fetched: Sequence[_Range],
        stored: Sequence[_Range],
    ) -> None:
        self._copies = copies
        self._bound = bound
        self._fetched = fetched
        self._stored = stored

    def run(self, data: Sequence[bytes] = ()) -> None:
        """As Bound.run; raises what the device raises, too."""
        self._copies.fetch(self._fetched)
        self._bound.run(data)
        self._copies.store(self._stored)
