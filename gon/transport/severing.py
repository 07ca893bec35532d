"""Connections that a child of fork has inherited: its descriptors become those of nothing.

A socket is one for both processes: what a child sends, reads or shuts down is its parent's. So the
number that everything here knows it by, native code too, is given another one in the child, whose
peer is gone. That closes the child's own descriptor and nothing else.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import partial

from gon.forked import inherit


def sever_in_children(sock: socket.socket) -> None:
    """Let no child of this process have the connection."""
    inherit(sock, partial(_sever, os.fstat(sock.fileno()).st_ino))


def sever(fd: int) -> None:
    """Let `fd` be the end of a connection that is over."""
    try:
        end, peer = socket.socketpair()
    except OSError:  # no descriptor is left for that
        os.close(fd)
        return
    peer.close()
    with end:
        os.dup2(end.fileno(), fd, inheritable=False)


def _sever(connection: int, sock: socket.socket) -> None:
    """Sever a socket, if its number is that connection's still: a daemon closes all numbers that
    its child has, and opens others, before that has children itself.
    """
    with suppress(OSError):  # closed
        if os.fstat(sock.fileno()).st_ino == connection:
            sever(sock.fileno())
