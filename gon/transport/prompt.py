"""What a TCP socket is given goes at once.

Nagle's rule is off. And within a machine, where nobody shares the way, a connection has the
plainest congestion control: one that paces what is sent, as BBR does, waits for timers between the
parts of a megabyte, which takes twice as long there. Between machines it is the host's choice.
"""

from __future__ import annotations

import socket
from contextlib import suppress

# Linux lets everybody choose it (tcp_allowed_congestion_control).
_PLAINEST = b"reno"


def hurry(sock: socket.socket) -> None:
    """Let a connected TCP socket send at once what it is given. Raises OSError."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A connection that is reset has no peer any more: who uses it hears of that as of any other.
    with suppress(OSError):
        if sock.getsockname()[0] == sock.getpeername()[0]:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _PLAINEST)
