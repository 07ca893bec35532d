"""Bytes that travel between two processes of a host beside an order: files in memory, sealed.

Rules: whoever is given one reads it only once it is seen that nobody can change it any more, and
never more of it than the limit. A file counts as what it takes: it can have pages behind its end,
which nobody can read. What is wrong with one is the fault of who sent it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from contextlib import suppress

from gon.errors import RemoteProtocolError

_BLOCK_BYTES = 512  # of stat
_PAGE_BYTES_MAX = 2 << 20
# In Linux's <linux/falloc.h>.
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_libc = ctypes.CDLL(None)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def seal(name: str, data: bytes | memoryview) -> int:
    """Return the descriptor of a file of these bytes; the caller closes it. Raises OSError."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


def check_sealed(fd: int, bytes_max: int) -> int:
    """Return how much memory a sealed file takes.

    Raises RemoteProtocolError for a file that can still change, is too large, or is none in memory.
    """
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        found = os.fstat(fd)
    except OSError as error:
        raise RemoteProtocolError(f"what rides along is no file in memory: {error}") from error
    if seals & _SEALS != _SEALS:
        raise RemoteProtocolError("a file that is not sealed")
    size_bytes = max(found.st_size, found.st_blocks * _BLOCK_BYTES)
    # A small file that is allowed may take a large page.
    if found.st_size > bytes_max or size_bytes > max(bytes_max, _PAGE_BYTES_MAX):
        raise RemoteProtocolError(f"a file of {size_bytes} bytes; {bytes_max} are possible")
    return size_bytes


def read_sealed(fd: int, bytes_max: int) -> bytes:
    """Return the bytes of a sealed file. Raises RemoteProtocolError as `check_sealed`."""
    check_sealed(fd, bytes_max)
    size_bytes = os.fstat(fd).st_size
    data = os.pread(fd, size_bytes, 0)
    if len(data) != size_bytes:
        raise RemoteProtocolError(f"a file of {size_bytes} bytes gave {len(data)}")
    return data


def empty(fd: int) -> None:
    """Take all pages out of a file in memory, whoever else has it mapped, and close it."""
    try:
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_GET_SEALS)  # no other file has any
            # Not by mmap's madvise, which holds the GIL as long as that takes.
            _libc.fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, 0, os.fstat(fd).st_size)
    finally:
        os.close(fd)
