"""Memory that a worker lends the client of a link through shared memory, beside the rings.

The file goes with a ring of the bell of the second socket (gon.transport.shm_setup): a client that
does not know of it takes that for a ring, and the file is closed by the kernel. One that was told
of it takes it before anything else can have rung there.

Rules: the worker trusts nothing about the file but that it can never shrink; the client checks
just that before it maps. Must not know: what lies in it, sessions.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import select
import socket
from contextlib import suppress

from gon.errors import LinkLost, RemoteProtocolError, Unsupported
from gon.mapped_limits import MAPPED_BYTES_MAX
from gon.transport.shm_bell import Bell

# What every file that is lent has: an access to what is mapped of it can then never fault.
LENT_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
# A peer that sends more files must not use up ours.
_FDS_MAX = 8


class ShmLoan:
    """See gon.transport.base.Loan."""

    def __init__(self, data: Bell, room: Bell) -> None:
        self._data, self._room = data, room
        # Several threads may ask at once, and a poller takes one of them.
        self._pollers: list[select.poll] = []

    def lend(self, fd: int) -> None:
        try:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
            self._room.end.sendmsg([b"\1"], rights, socket.MSG_DONTWAIT)
        except OSError as error:
            raise LinkLost(f"no memory could be lent: {error.strerror or error}") from error

    def borrow(self, size_bytes: int) -> memoryview:
        try:
            _ring, fds, _flags, _address = socket.recv_fds(
                self._room.end, 1, _FDS_MAX, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
            )
        except OSError as error:
            raise RemoteProtocolError(f"no memory was lent: {error.strerror or error}") from error
        try:
            if not fds:
                # The kernel drops a file that this process has no descriptor left for.
                raise Unsupported("no descriptor is left for what was lent")
            if len(fds) != 1:
                raise RemoteProtocolError(f"{len(fds)} files were lent")
            return _mapped(fds[0], size_bytes)
        finally:
            for fd in fds:
                os.close(fd)

    def is_held(self) -> bool:
        with suppress(IndexError):
            return self._is_held(self._pollers.pop())
        poller = select.poll()
        with suppress(OSError):
            for bell in (self._data, self._room):
                poller.register(bell.fileno(), 0)  # nothing but the end
            return self._is_held(poller)
        return False

    def _is_held(self, poller: select.poll) -> bool:
        ended = poller.poll(0)
        # What is closed here has numbers that others may have got since.
        if ended or self._data.end.fileno() < 0 or self._room.end.fileno() < 0:
            return False
        self._pollers.append(poller)
        return True


def _mapped(fd: int, size_bytes: int) -> memoryview:
    """Return all of a file's memory. Raises as `borrow`."""
    try:
        seals, size = fcntl.fcntl(fd, fcntl.F_GET_SEALS), os.fstat(fd).st_size
    except OSError as error:
        raise RemoteProtocolError(f"what was lent is no file in memory: {error}") from error
    if seals & LENT_SEALS != LENT_SEALS or size != size_bytes or size > MAPPED_BYTES_MAX:
        raise RemoteProtocolError(f"{size} bytes with seals {seals:#x} were lent for {size_bytes}")
    try:
        return memoryview(mmap.mmap(fd, size))
    except (OSError, ValueError) as error:
        raise Unsupported(f"{size} bytes of addresses: {error}") from error
