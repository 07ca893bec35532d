"""Files in memory that travel beside orders: sealed, bounded, or refused."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gon.errors import RemoteProtocolError
from gon.limits import MIB
from gon_server.sealed import check_sealed, read_sealed, seal

_SEALS = (fcntl.F_SEAL_WRITE, fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, fcntl.F_SEAL_SEAL)


@pytest.fixture
def sealed() -> Iterator[int]:
    fd = seal("test", b"module")
    yield fd
    os.close(fd)


def test_what_was_sealed_is_read(sealed: int) -> None:
    assert read_sealed(sealed, 6) == b"module"
    # It counts as the page that it takes.
    assert check_sealed(sealed, mmap.PAGESIZE) >= mmap.PAGESIZE


def test_pages_behind_the_end_count() -> None:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    hidden_bytes = 4 * MIB
    os.write(fd, b"module")
    keep_size = 1
    libc = ctypes.CDLL(None, use_errno=True)
    places = (ctypes.c_long(0), ctypes.c_long(hidden_bytes))
    assert libc.fallocate(fd, keep_size, *places) == 0
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, sum(_SEALS))
    assert os.fstat(fd).st_size == 6
    with pytest.raises(RemoteProtocolError, match=f"{hidden_bytes} bytes; {MIB} are possible"):
        read_sealed(fd, MIB)
    assert check_sealed(fd, hidden_bytes) == hidden_bytes
    os.close(fd)


def test_nobody_can_change_it(sealed: int) -> None:
    with pytest.raises(PermissionError):
        os.pwrite(sealed, b"other", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(sealed, 0)


def test_one_too_large_is_refused(sealed: int) -> None:
    with pytest.raises(RemoteProtocolError, match="bytes; 5 are possible"):
        read_sealed(sealed, 5)


def test_one_that_can_still_change_is_refused() -> None:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    with pytest.raises(RemoteProtocolError, match="not sealed"):
        read_sealed(fd, 10)
    os.close(fd)


def test_what_is_no_file_in_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"module")
    with (tmp_path / "file").open("rb") as file, pytest.raises(RemoteProtocolError):
        read_sealed(file.fileno(), 10)
    reader, writer = os.pipe()
    with pytest.raises(RemoteProtocolError, match="no file in memory"):
        read_sealed(reader, 10)
    os.close(reader)
    os.close(writer)
