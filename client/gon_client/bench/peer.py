"""The other process of the socket baselines: plain Python, blocking sockets, nothing of GoN on the
way.

Run as `python -m gon_client.bench.peer`; prints the port it listens on and serves one connection:
each request says how; ECHO sends back what it receives, SINK receives into one buffer and
acknowledges each time with one byte.
"""

from __future__ import annotations

import socket
import struct
import sys

ECHO_BYTES = 64
# What follows: ECHO or SINK, how many bytes each, how many times.
REQUEST = struct.Struct("!BQQ")
ECHO = 1
SINK = 2


def receive_exactly(sock: socket.socket, target: memoryview) -> bool:
    """Fill `target`; return False when the other side is gone before a byte of it."""
    have = 0
    while have < len(target):
        got = sock.recv_into(target[have:])
        if got == 0:
            return False
        have += got
    return True


def serve(sock: socket.socket) -> None:
    """Answer requests until the other side is gone."""
    request = memoryview(bytearray(REQUEST.size))
    while receive_exactly(sock, request):
        kind, size, times = REQUEST.unpack(request)
        # Filled, so that its pages are there: a buffer that is used again is what is compared with.
        target = memoryview(bytearray(b"\x01") * size)
        for _ in range(times):
            if not receive_exactly(sock, target):
                return
            sock.sendall(target if kind == ECHO else b"\x01")


def main() -> None:
    """Serve one connection on a loopback port of the system's choice."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        sock, _address = server.accept()
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serve(sock)


if __name__ == "__main__":
    main()
