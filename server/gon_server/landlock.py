"""Landlock, by its three system calls: which files this process, and what it starts, may reach.

No library: those that there are for Python are alphas, for a hundred lines that a worker's safety
rests on. Source: https://docs.kernel.org/userspace-api/landlock.html

Rules: what is given up is given up for good, by the calling thread and what it starts; so a process
calls this while it has one thread. What an older kernel cannot keep from a process, it does not;
`abi` says how much it can. The process must have renounced new privileges.
Must not know: workers, what the paths are for.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from enum import IntFlag
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Access(IntFlag):
    """What may be done with a path and what lies below it: the kernel's LANDLOCK_ACCESS_FS_…."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.READ_FILE | Access.READ_DIR
RUN = READ | Access.EXECUTE
WRITE = (
    READ
    | Access.WRITE_FILE
    | Access.TRUNCATE
    | Access.REMOVE_DIR
    | Access.REMOVE_FILE
    | Access.MAKE_DIR
    | Access.MAKE_REG
    | Access.REFER
)
USE_DEVICE = Access.READ_FILE | Access.WRITE_FILE | Access.IOCTL_DEV

_OF_FILES = Access.EXECUTE | Access.TRUNCATE | USE_DEVICE
# What each version of the kernel's interface handles first.
_ABI_1 = Access(Access.REFER - 1)
_SINCE = ((2, Access.REFER), (3, Access.TRUNCATE), (5, Access.IOCTL_DEV))
# From version 4 on: TCP connections; from 6 on: abstract unix sockets, and signals to processes
# that have not given up as much.
_CONNECT_TCP = 1 << 1
_SCOPED = 0b11
NET_SINCE, SCOPES_SINCE = 4, 6
# Before, nothing could be moved from one directory to another, which PoCL does.
MOVES_SINCE = 2


def abi() -> int:
    """Return the version of the kernel's interface, 0 where there is none."""
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return max(0, version)


def restrict(allowed: Iterable[tuple[Path, Access]]) -> None:
    """Reach, from now on, no file but below these paths, and only as they allow; those that are not
    there, or that cannot be seen, allow nothing. Connect over TCP to nothing, and signal nobody
    outside, where the kernel can keep from it.

    Raises OSError where there is no Landlock, or the process may still gain privileges.
    """
    version = abi()
    handled = _ABI_1
    for since, access in _SINCE:
        handled |= access if version >= since else Access(0)
    net = _CONNECT_TCP if version >= NET_SINCE else 0
    scoped = _SCOPED if version >= SCOPES_SINCE else 0
    # A shorter structure is an older one.
    size = 24 if version >= SCOPES_SINCE else 16 if version >= NET_SINCE else 8
    attributes = struct.pack("=QQQ", handled, net, scoped)[:size]
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    try:
        for path, access in allowed:
            _allow(ruleset, path, access & handled)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, access: Access) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it is not there, or not for this user
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _OF_FILES
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", access, fd), 0)
    finally:
        os.close(fd)


def _call(number: int, *args: object) -> int:
    result: int = _libc.syscall(number, *args)
    if result < 0:
        code = ctypes.get_errno() or errno.EINVAL
        raise OSError(code, f"Landlock's system call {number}: {os.strerror(code)}")
    return result
