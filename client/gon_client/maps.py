"""Maps: an array of a device as one of NumPy's, while a `with` block lasts.

    a device of this process, on the host's memory ──▶ that memory itself: nothing is copied
    any other ──▶ read where the block begins; what was changed is written where it ends

So the same program costs no copy where host and device are one, and no byte that nobody changed
where they are not. Rules: what queued work does to the array meanwhile is not defined. However the
block ends, what was changed is the array's. It cannot be closed before.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gon.elastic import InPlace
from gon.errors import InvalidArgument, Unsupported
from gon_client.buffer import HostArray, host_bytes

if TYPE_CHECKING:
    from gon_client.array import DeviceArray
    from gon_client.stream import Stream

# What is compared, and written, as one: large beside what an operation costs on a link, so that
# changes strewn over an array cost little more than the array.
_PIECE_BYTES: Final = 4096


@contextmanager
def mapped(
    array: DeviceArray, *, read: bool, write: bool, stream: Stream | None, timeout_s: float | None
) -> Generator[HostArray]:
    """As `DeviceArray.map` says. Raises InvalidArgument."""
    if not (read or write):
        raise InvalidArgument("a map that is neither read nor written")
    device = array.device
    device.check_free("a map")
    array.buffer.check_range(array.offset, array.nbytes, "mapped")
    memory = _memory_of(array)
    before: HostArray | None = None
    if memory is not None:
        device.contract.sync(device.handle_of(stream)).wait(timeout_s)
        view: HostArray = np.ndarray(array.shape, array.dtype, memory, array.offset)
    else:
        view = np.zeros(array.shape, array.dtype)
        if read:
            array.get(view, stream=stream, timeout_s=timeout_s)
            before = view.copy() if write else None
    view.flags.writeable = write
    array.buffer.maps += 1
    try:
        yield view
    finally:
        array.buffer.maps -= 1
        view.flags.writeable = False
        if write and memory is None and not device.forsaken:
            _write_back(array, view, before, stream)


def _memory_of(array: DeviceArray) -> memoryview | None:
    """Return the memory of the array's buffer, None where it is not this process's."""
    contract = array.device.contract
    if not isinstance(contract, InPlace):
        return None
    try:
        return contract.memory_of(array.buffer.handle)
    except Unsupported:
        return None


def _write_back(
    array: DeviceArray, view: HostArray, before: HostArray | None, stream: Stream | None
) -> None:
    """Queue the write of what differs from `before`, or of everything."""
    octets = np.frombuffer(host_bytes(view, "view"), np.uint8)
    ranges = [(0, octets.size)]
    if before is not None:
        ranges = list(_changed(np.frombuffer(host_bytes(before, "view"), np.uint8), octets))
    for begin, end in ranges:
        array.buffer.copy_from(octets[begin:end], offset=array.offset + begin, stream=stream)


def _changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Give the ranges of whole pieces (the last may be short) in which bytes differ."""
    if not after.size:
        return
    pieces = np.logical_or.reduceat(before != after, np.arange(0, after.size, _PIECE_BYTES))
    edges = np.flatnonzero(np.diff(pieces, prepend=False, append=False)).reshape(-1, 2)
    for begin, end in edges.tolist():
        yield begin * _PIECE_BYTES, min(end * _PIECE_BYTES, after.size)
