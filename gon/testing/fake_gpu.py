"""What lies below `fake_cupy`: a CUDA device of Python, with memory, streams and kernels.

It is as strict as CUDA's documents are. New memory holds rubbish. What is queued on a stream is run
as late as somebody waits for it, or before, in an order drawn from a seed, so that a program that
relies on more than streams and events give meets another order. Memory that was given back while
queued work still needed it is an illegal address, and after an illegal address every call fails.

A kernel is a function registered by name: it gets its grid, block, bytes of shared memory, and for
each parameter the bytes of a value or a view of the memory from its pointer on.
"""

from __future__ import annotations

import ctypes
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Octets: TypeAlias = npt.NDArray[np.uint8]
FakeArg: TypeAlias = Octets | bytes
Shape: TypeAlias = tuple[int, int, int]
Run: TypeAlias = Callable[[Shape, Shape, int, Sequence[FakeArg]], None]

INVALID_VALUE: Final = 1
OUT_OF_MEMORY: Final = 2
ILLEGAL_ADDRESS: Final = 700
POINTER: Final = ".u64 .ptr .align 1"
_FIRST_ADDRESS: Final = 0x7F00_0000_0000
_DEVICE_ADDRESSES: Final = 1 << 40
_UNIT_BYTES: Final = 512
_RUBBISH: Final = 0xA5


@dataclass(frozen=True, slots=True)
class FakeKernel:
    """A kernel as PTX declares it: `params` are types such as ".f32", `POINTER`, ".b8[16]"."""

    symbol: str
    params: tuple[str, ...]
    run: Run
    max_threads: int = 1024
    static_shared_bytes: int = 0

    def sizes(self) -> list[int]:
        """Return each parameter's size."""
        return [_size_of(param) for param in self.params]


@dataclass(frozen=True, slots=True)
class FakeVariable:
    """A variable of a module and its first bytes."""

    symbol: str
    initial: bytes


def _size_of(param: str) -> int:
    kind, _, count = param.split()[0].partition("[")
    return int("".join(filter(str.isdecimal, kind))) // 8 * int(count.removesuffix("]") or 1)


class IllegalAddress(Exception):
    """Device memory was touched that is not there."""


@dataclass(eq=False, slots=True)
class Op:
    """Something queued; `after` must have run before it."""

    stream: FakeQueue
    act: Callable[[], None]
    after: Op | None = None
    over: bool = False
    time_us: float = 0.0


@dataclass(eq=False, slots=True)
class FakeQueue:
    """What is queued on one stream."""

    gpu: FakeGpu
    ops: deque[Op] = field(default_factory=deque[Op])
    # What is captured instead of queued, while that is so; and whether it is spoilt.
    captured: list[Callable[[], None]] | None = None
    is_spoilt: bool = False


class FakeGpu:
    """One device: memory by address, streams, and the error it died of."""

    def __init__(self, memory_bytes: int, seed: int = 0, index: int = 0) -> None:
        self.memory_bytes = memory_bytes
        self.used_bytes = 0
        self.lost = 0
        self.launches: list[str] = []
        self._random = random.Random(seed)  # noqa: S311 - an order, no secret
        # No address is another device's too.
        self._next = _FIRST_ADDRESS + index * _DEVICE_ADDRESSES
        self._starts: list[int] = []
        self._blocks: dict[int, Octets] = {}
        self._pinned: dict[int, Octets] = {}
        self._queues: list[FakeQueue] = []
        self._now_us = 0.0

    # Memory ---------------------------------------------------------------------------------------
    def allocate(self, size: int) -> int:
        """Return the address of new memory. Raises MemoryError."""
        if self.used_bytes + size > self.memory_bytes:
            raise MemoryError
        address = self._next
        self._next += (size // _UNIT_BYTES + 2) * _UNIT_BYTES
        self._starts.append(address)
        self._blocks[address] = np.full(size, _RUBBISH, np.uint8)
        self.used_bytes += size
        return address

    def give_back(self, address: int) -> None:
        """Forget memory; what is queued and touches it fails."""
        self.used_bytes -= self._blocks.pop(address).nbytes
        self._starts.remove(address)

    def lock(self, size: int) -> int:
        """Return the address of new page-locked memory of the host."""
        block = np.full(size, _RUBBISH, np.uint8)
        address: int = block.ctypes.data
        self._pinned[address] = block
        return address

    def unlock(self, address: int) -> None:
        """Forget page-locked memory."""
        del self._pinned[address]

    def view(self, address: int, size: int) -> Octets:
        """Return device memory. Raises IllegalAddress."""
        place = bisect_right(self._starts, address) - 1
        start = self._starts[place] if place >= 0 else 0
        block = self._blocks.get(start)
        if block is None or address - start + size > block.nbytes:
            raise IllegalAddress(f"{size} bytes at {address:#x}")
        return block[address - start : address - start + size]

    def from_here(self, address: int) -> Octets:
        """Return device memory from an address to its end. Raises IllegalAddress."""
        place = bisect_right(self._starts, address) - 1
        start = self._starts[place] if place >= 0 else 0
        return self.view(address, max(start + self._blocks[start].nbytes - address, 1))

    def pinned(self, address: int, size: int) -> Octets | None:
        """Return page-locked memory, or None for the host's usual memory."""
        for start, block in self._pinned.items():
            if start <= address and address + size <= start + block.nbytes:
                return block[address - start : address - start + size]
        return None

    # Streams --------------------------------------------------------------------------------------
    def new_queue(self) -> FakeQueue:
        """Return a new stream."""
        queue = FakeQueue(self)
        self._queues.append(queue)
        return queue

    def queue(self, stream: FakeQueue, act: Callable[[], None], after: Op | None = None) -> Op:
        """Queue something, and let some of what is queued happen; or capture it."""
        op = Op(stream, act, after)
        if stream.captured is not None:
            stream.captured.append(act)
            return op
        stream.ops.append(op)
        self.wander()
        return op

    def wander(self) -> None:
        """Run a little of what is queued, on any stream."""
        for _ in range(self._random.randrange(3)):
            ready = [q for q in self._queues if q.ops and self._is_ready(q.ops[0])]
            if ready:
                self.run_first(self._random.choice(ready))

    def run_until(self, op: Op) -> None:
        """Run what must happen for `op` to be over."""
        wanted = [op]
        while wanted:
            if wanted[-1].over:
                wanted.pop()
                continue
            first = wanted[-1].stream.ops[0]
            if self._is_ready(first):
                first.stream.gpu.run_first(first.stream)
            else:
                assert first.after is not None
                wanted.append(first.after)

    def _is_ready(self, op: Op) -> bool:
        return op.after is None or op.after.over

    def run_first(self, stream: FakeQueue) -> None:
        """Run what is first on a stream of this device."""
        op = stream.ops.popleft()
        self._now_us += self._random.randrange(1, 64) * 0.5
        op.time_us = self._now_us
        if not self.lost:
            try:
                op.act()
            except IllegalAddress:
                self.lost = ILLEGAL_ADDRESS
        op.over = True

    # What is queued -------------------------------------------------------------------------------
    def set_bytes(self, address: int, value: int, size: int) -> None:
        self.view(address, size)[:] = value

    def copy(self, target: int, source: int, size: int) -> None:
        self.view(target, size)[:] = self.view(source, size).copy()

    def copy_in(self, target: int, source: int, size: int) -> None:
        data = self.pinned(source, size)
        assert data is not None, "page-locked memory was given back while a copy was queued"
        self.view(target, size)[:] = data

    def copy_out(self, target: int, source: int, size: int) -> None:
        place = self.pinned(target, size)
        assert place is not None, "page-locked memory was given back while a copy was queued"
        place[:] = self.view(source, size)

    def run_kernel(
        self, kernel: FakeKernel, grid: Shape, block: Shape, shared_bytes: int, raw: Sequence[bytes]
    ) -> None:
        """Run a kernel. Raises IllegalAddress for what the function reaches beyond its views."""
        args: list[FakeArg] = []
        for param, value in zip(kernel.params, raw, strict=True):
            is_pointer = param == POINTER
            args.append(self.from_here(int.from_bytes(value, "little")) if is_pointer else value)
        self.launches.append(kernel.symbol)
        try:
            kernel.run(grid, block, shared_bytes, args)
        except IndexError as error:
            raise IllegalAddress(str(error)) from error


def read_host(address: int, size: int) -> bytes:
    """Return bytes of the host's memory."""
    return ctypes.string_at(address, size)


def write_host(address: int, data: bytes) -> None:
    """Put bytes into the host's memory."""
    ctypes.memmove(address, data, len(data))
