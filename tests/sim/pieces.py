"""What random programs are made of: handles, cookies, buffers and whose they are, launches."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from gon.model import BufferAt, Dim3, LaunchArg
from gon.wire.ops import AnyOp

QUOTA_BYTES = 4 << 20
ONE = (1, 1, 1)
STRANGER = 1 << 40


class WaitFor(NamedTuple):
    """Wait for the answer with this cookie."""

    reply: int


class Tick(NamedTuple):
    """Let the client's slow tick come."""


Step: TypeAlias = AnyOp | WaitFor | Tick


@dataclass
class Owned:
    """A buffer: its size, and the stream that its content is ordered by."""

    size: int
    stream: int


class Pieces:
    """A program that is being made, and its chance."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._last = 0
        self._steps: list[Step] = []
        self._streams = [0]
        self._buffers: dict[int, Owned] = {}
        self._open: list[int] = []
        self._module = self._handle()
        self._advance, self._index = self._handle(), self._handle()

    def _do(self, *some: Step) -> None:
        self._steps.extend(some)

    def _handle(self) -> int:
        self._last += 1
        return self._last

    def _cookie(self) -> int:
        cookie = self._handle()
        self._open.append(cookie)
        return cookie

    def _pick(self) -> tuple[int, Owned]:
        return self._chance.choice(list(self._buffers.items()))

    def _range(self, size: int, multiple: int = 1) -> tuple[int, int]:
        """Return offset and size of a range: often short, sometimes all there is."""
        units = size // multiple
        if self._chance.random() < 0.15:
            return 0, units * multiple
        count = max(1, round(units ** self._chance.random()))
        return self._chance.randint(0, units - count) * multiple, count * multiple

    def _launched(self, buffer: int, owned: Owned) -> tuple[int, Dim3, Dim3, tuple[LaunchArg, ...]]:
        """Return a launch on some of a buffer: its kernel, sizes and arguments."""
        offset, size = self._range(owned.size, 4)
        if size // 4 > 64:
            size -= size % 256
        threads = size // 4
        block = min(threads, 64)
        kernel, count = self._chance.choice(((self._advance, 2), (self._index, 1)))
        values = tuple(self._value() for _ in range(count))
        args = (BufferAt(buffer, offset) if offset else buffer, *values)
        return kernel, (threads // block, 1, 1), (block, 1, 1), args

    def _value(self) -> bytes:
        return struct.pack("<I", self._chance.randrange(1 << 32))
