"""The unit of this process, its streams, and the buffers behind addresses.

A device's address is a number of ours: a kernel is given the buffer it lies in, and how far behind
its beginning.

Rules: addresses are not given twice, so one that was freed is noticed.
"""

from __future__ import annotations

import bisect
import threading
from typing import Final

from _gon_cuda import lib
from gon_client.buffer import Buffer
from gon_client.device import Device
from gon_shim.cuda.errors import require
from gon_shim.cuda.lanes import Lanes
from gon_shim.leased import Leased

_FIRST_ADDRESS: Final = 0x7000_0000_0000
# What CUDA aligns allocations to; a page between two, so that a little too far is noticed.
_ALIGNMENT_BYTES: Final = 256
_GAP_BYTES: Final = 4096


class Unit:
    """The leased unit, as the driver uses it."""

    def __init__(self) -> None:
        self._leased = Leased()
        self.lanes = Lanes(lambda: self.device)
        self._lock = threading.Lock()
        self._next = _FIRST_ADDRESS
        self._starts: list[int] = []
        self._buffers: dict[int, Buffer] = {}
        self._owners: dict[int, object] = {}

    def lease(self) -> None:
        """Have the device from now on. Raises GonError where there is none."""
        _ = self.device

    @property
    def device(self) -> Device:
        """The device. Raises GonError where there is none."""
        return self._leased.device

    @property
    def used_bytes(self) -> int:
        return sum(buffer.size_bytes for buffer in self._buffers.values())

    def allocate(self, size_bytes: int, owner: object) -> int:
        """Return the address of a new buffer; `owner` is what it ends with."""
        return self.add(self.device.allocate(size_bytes), owner)

    def add(self, buffer: Buffer, owner: object) -> int:
        """Give a buffer an address; `owner` is what it ends with."""
        with self._lock:
            address = self._next
            room = buffer.size_bytes + _GAP_BYTES
            self._next += -(-room // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
            self._starts.append(address)  # they ascend
            self._buffers[address] = buffer
            self._owners[address] = owner
        return address

    def free(self, address: int) -> None:
        """Give a buffer back. Raises CuError unless it begins at `address`."""
        with self._lock:
            require(address in self._buffers, lib.CUDA_ERROR_INVALID_VALUE)
            buffer = self._forgotten(address)
        buffer.close()

    def _forgotten(self, address: int) -> Buffer:
        """Return the buffer that begins at an address, and forget it. Needs the lock."""
        del self._starts[bisect.bisect_left(self._starts, address)]
        del self._owners[address]
        return self._buffers.pop(address)

    def free_of(self, owner: object) -> None:
        """Give all buffers of an owner back."""
        with self._lock:
            found = [address for address, each in self._owners.items() if each is owner]
            buffers = [self._forgotten(address) for address in found]
        for buffer in buffers:
            buffer.close()

    def at(self, address: int, size_bytes: int = 0) -> tuple[Buffer, int]:
        """Return the buffer at an address, and how far behind its beginning that is.

        Raises CuError where there is none, or it does not hold that many bytes from there on.
        """
        with self._lock:
            index = bisect.bisect_right(self._starts, address) - 1
            require(index >= 0, lib.CUDA_ERROR_INVALID_VALUE)
            start = self._starts[index]
            buffer = self._buffers[start]
        offset = address - start
        inside = offset < buffer.size_bytes and offset + size_bytes <= buffer.size_bytes
        require(inside, lib.CUDA_ERROR_INVALID_VALUE)
        return buffer, offset


UNIT = Unit()
