"""The books every backend keeps: tables of handles, and the checks of ranges that come before the
driver.

Rules: pure; an entry is there or BadHandle is raised; nothing here knows what a handle stands for.
"""

from __future__ import annotations

from typing import TypeVar

from gon.errors import BadHandle, InvalidArgument, LimitExceeded, Unsupported
from gon.limits import FILL_PATTERN_BYTES_MAX
from gon.model import DeviceInfo, Program

T = TypeVar("T")

HANDLE_MAX = (1 << 64) - 1
FILL_PATTERN_SIZES = frozenset(1 << n for n in range(FILL_PATTERN_BYTES_MAX.bit_length()))


class Table(dict[int, T]):
    """What stands behind the handles of one noun; looking up what is not there raises BadHandle.

    A dict of its own kind, so that a look-up on the hot path costs what a dict's does.
    """

    __slots__ = ("_limit", "_noun")

    def __init__(self, noun: str, limit: int) -> None:
        super().__init__()
        self._noun = noun
        self._limit = limit

    def __missing__(self, handle: object) -> T:
        raise BadHandle(f"there is no {self._noun} {handle!r}")

    def check_new(self, handle: int) -> None:
        """Raise BadHandle or LimitExceeded if `handle` cannot be added now."""
        if isinstance(handle, bool) or not 1 <= handle <= HANDLE_MAX:
            raise BadHandle(f"{handle!r} cannot be the handle of a {self._noun}")
        if handle in self:
            raise BadHandle(f"{self._noun} {handle} is there already")
        if len(self) >= self._limit:
            raise LimitExceeded(f"there are {self._limit} {self._noun}s already, the most possible")

    def add(self, handle: int, entry: T) -> None:
        """Enter a new handle. Raises as `check_new`."""
        self.check_new(handle)
        self[handle] = entry

    def check(self, handle: int) -> None:
        """Raise BadHandle unless the handle is there."""
        if handle not in self:
            self.__missing__(handle)

    def remove(self, handle: int) -> T:
        """Take the entry out and return it. Raises BadHandle."""
        entry = self[handle]
        del self[handle]
        return entry


def check_size(size_bytes: int, memory_bytes: int) -> None:
    """Raise InvalidArgument unless `size_bytes` can be a buffer's size on a device of
    `memory_bytes`.
    """
    if isinstance(size_bytes, bool) or size_bytes < 1:
        raise InvalidArgument(f"a buffer of {size_bytes} bytes; at least 1 is needed")
    if size_bytes > HANDLE_MAX:
        raise InvalidArgument(f"a buffer of {size_bytes} bytes; the device has {memory_bytes}")


def check_range(handle: int, offset: int, size: int, buffer_bytes: int) -> None:
    """Raise InvalidArgument unless `size` bytes from `offset` on lie in the buffer."""
    if offset < 0 or size < 0 or offset + size > buffer_bytes:
        raise InvalidArgument(
            f"{size} bytes from {offset} on are outside buffer {handle}, which has {buffer_bytes}"
        )


def check_copy(source: int, source_offset: int, target: int, target_offset: int, size: int) -> None:
    """Raise InvalidArgument if the two ranges, each within its buffer, overlap in one buffer."""
    if source == target and abs(source_offset - target_offset) < size:
        raise InvalidArgument(
            f"copy of {size} bytes from {source_offset} to {target_offset} in buffer {source}: "
            "the ranges overlap"
        )


def check_pattern(pattern: bytes, size: int) -> None:
    """Raise InvalidArgument unless `pattern` has a size a fill takes and fits `size` evenly."""
    if len(pattern) not in FILL_PATTERN_SIZES:
        raise InvalidArgument(
            f"a fill pattern of {len(pattern)} bytes; 1, 2, 4, 8, 16, 32, 64 or 128 are possible"
        )
    if size % len(pattern):
        raise InvalidArgument(f"{size} bytes are no multiple of the pattern's {len(pattern)}")


def check_format(program: Program, info: DeviceInfo) -> None:
    """Raise Unsupported for a format the device does not take."""
    if program.code_format not in info.formats:
        raise Unsupported(
            f"format {program.code_format!r}; {info.name} takes {', '.join(info.formats)}"
        )


def check_bare(program: Program) -> None:
    """Raise InvalidArgument for anything beside the code, for formats that take nothing else."""
    if program.options:
        raise InvalidArgument(f"options {program.options!r}; {program.code_format} has none")
    check_no_names(program)


def check_no_names(program: Program) -> None:
    """Raise InvalidArgument for name expressions or headers, which most formats do not have."""
    if program.names or program.headers:
        raise InvalidArgument(f"{program.code_format} takes no name expressions and no headers")


def bytes_view(data: memoryview) -> memoryview:
    """Return `data` as flat bytes. Raises InvalidArgument if it is not contiguous."""
    if data.format == "B" and data.ndim == 1 and data.contiguous:
        return data
    if not data.c_contiguous:
        raise InvalidArgument("the data is not contiguous")
    return data.cast("B")


def writable_view(out: memoryview) -> memoryview:
    """Return `out` as flat bytes to be written. Raises InvalidArgument if it cannot be."""
    if out.readonly:
        raise InvalidArgument("the place to read into is read only")
    return bytes_view(out)
