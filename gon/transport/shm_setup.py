"""How two processes come to share memory: over a connected unix socket, before the first frame.

    worker ──magic, layout, size; with the memory and one end of a pair of sockets──▶ client

The worker makes both, so that it need trust nothing: the memory is a file of its own making, sealed
against shrinking and growing, so that no access to it can ever fault. The client believes nothing
either: it checks seals, size and kind before it maps.

Rules: whoever is given file descriptors closes those it does not keep. The socket connected first
rings for bytes, that of the pair for room. Must not know: preambles, tokens, leases.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import socket
import struct
from contextlib import suppress

from gon.errors import LinkLost, RemoteProtocolError
from gon.limits import HANDSHAKE_TIMEOUT_S
from gon.transport.shm import ShmLink
from gon.transport.shm_bell import Bell
from gon.transport.shm_ring import MEMORY_BYTES
from gon.transport.sockets import StreamListener

# The first message of the worker: magic, layout, size of the memory.
_SETUP = struct.Struct("<4sIQ")
_MAGIC = b"GoNm"
_LAYOUT = 1
_CLIENT, _WORKER = 0, 1
# It has two; whoever sends more must not use up ours.
_FDS_MAX = 8
_INT_BYTES = array.array("i").itemsize
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def share(sock: socket.socket, name: str) -> ShmLink:
    """Be the worker: make memory, give it to the peer of `sock`, return this end of the link.

    Owns `sock` from now on. Never waits. Raises LinkLost where the peer is gone, or is not on this
    machine.
    """
    if sock.family != socket.AF_UNIX:
        sock.close()
        raise LinkLost(f"{name}: memory is shared over unix sockets only")
    try:
        fd = os.memfd_create("gon-link", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, MEMORY_BYTES)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            room, theirs = socket.socketpair()
            with theirs:
                try:
                    memory = mmap.mmap(fd, MEMORY_BYTES)
                    rights = array.array("i", [fd, theirs.fileno()])
                    sock.sendmsg(
                        [_SETUP.pack(_MAGIC, _LAYOUT, MEMORY_BYTES)],
                        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)],
                        socket.MSG_DONTWAIT,
                    )
                except OSError:
                    room.close()
                    raise
        finally:
            os.close(fd)
    except OSError as error:
        sock.close()
        raise LinkLost(f"{name}: no memory could be shared: {error.strerror or error}") from error
    return ShmLink(memory, _WORKER, Bell(sock), Bell(room), name)


def join(sock: socket.socket, name: str, timeout_s: float = HANDSHAKE_TIMEOUT_S) -> ShmLink:
    """Be the client: take the memory that the peer of `sock` gives, return this end of the link.

    Owns `sock` from now on. Raises LinkLost where nothing comes within `timeout_s`,
    RemoteProtocolError for anything but what `share` sends.
    """
    fds: list[int] = []
    try:
        sock.settimeout(timeout_s)
        try:
            told, rights, _flags, _address = sock.recvmsg(
                _SETUP.size, socket.CMSG_SPACE(_FDS_MAX * _INT_BYTES), socket.MSG_CMSG_CLOEXEC
            )
        except OSError as error:
            raise LinkLost(f"{name}: {error.strerror or error}") from error
        fds = _files_of(rights)
        if not told:
            raise LinkLost(f"{name}: the peer closed it")
        memory, room = _take(told, fds)
    except (LinkLost, RemoteProtocolError):
        sock.close()
        raise
    finally:
        for fd in fds:
            os.close(fd)
    return ShmLink(memory, _CLIENT, Bell(sock), Bell(room), name)


class ShmListener:
    """Accepts links at shm:///path or shm://@name. See gon.transport.base.Listener."""

    def __init__(self, uri: str, preamble: bytes = b"") -> None:
        """Listen on the unix socket of that path. Raises ConfigError, InvalidArgument."""
        self._below = StreamListener(unix_uri(uri), preamble)

    @property
    def uri(self) -> str:
        return "shm" + self._below.uri.removeprefix("unix")

    def __repr__(self) -> str:
        return f"ShmListener({self.uri})"

    def accept(self, timeout_s: float | None = None) -> ShmLink | None:
        while True:
            sock = self._below.accept_socket(timeout_s)
            if sock is None:
                return None
            with suppress(LinkLost):  # one that hung up keeps nobody out
                return share(sock, self.uri)

    def close(self) -> None:
        self._below.close()


def unix_uri(uri: str) -> str:
    """Return where the unix socket of a shm:// URI is."""
    return "unix" + uri.removeprefix("shm")


def _files_of(rights: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the file descriptors that came with a message."""
    fds = array.array("i")
    for level, kind, data in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % _INT_BYTES])
    return fds.tolist()


def _take(told: bytes, fds: list[int]) -> tuple[mmap.mmap, socket.socket]:
    """Map the memory, and take the socket out of `fds`. Raises RemoteProtocolError."""
    if told != _SETUP.pack(_MAGIC, _LAYOUT, MEMORY_BYTES) or len(fds) != 2:
        raise RemoteProtocolError(f"no memory to share came, but {told!r} and {len(fds)} files")
    try:
        seals = fcntl.fcntl(fds[0], fcntl.F_GET_SEALS)
        size = os.fstat(fds[0]).st_size
    except OSError as error:
        raise RemoteProtocolError(f"what came is no file in memory: {error}") from error
    if seals & _SEALS != _SEALS or size != MEMORY_BYTES:
        raise RemoteProtocolError(
            f"memory of {size} bytes with seals {seals:#x}; {MEMORY_BYTES} and {_SEALS:#x} are due"
        )
    try:
        memory = mmap.mmap(fds[0], MEMORY_BYTES)
        room = socket.socket(fileno=fds[1])
    except (OSError, ValueError) as error:
        raise RemoteProtocolError(f"what came cannot be used: {error}") from error
    del fds[1]
    if room.family != socket.AF_UNIX or room.type != socket.SOCK_STREAM:
        room.close()
        raise RemoteProtocolError("the second file is no unix socket")
    return memory, room
