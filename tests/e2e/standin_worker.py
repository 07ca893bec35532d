"""A worker without a device, for tests of gond: opens nothing, echoes on its links.

What it does is told by its device's address: "test:" serves; "test:broken" cannot be opened;
"test:crash" dies while opening; "test:stuck" never has it open; "test:report" says as its error
what it is confined to; "test:deaf" never ends by itself; "test:rude" answers nonsense.
"test:loose" wants something built and gives a file that can still change; "test:liar" wants it
properly, but its builder answers by such a file: it ends with the code of what it is told.
"test:stale" opens only without what another has found out.
"test:wordy" is such a liar, whose builder answers by as many words as a packet holds.
A link is greeted by its lease's id and a zero byte, then every byte comes back.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import socket
from pathlib import Path

import msgspec

from gon_server.orders import (
    PACKET_BYTES_MAX,
    Assign,
    Build,
    Built,
    End,
    Exited,
    GiveLink,
    LinkState,
    Ready,
    Recruit,
    Warm,
    receive_order,
    send_order,
)
from gon_server.sealed import seal

CRASH_STATUS = 7

# Of a question: takes all the bytes that a number can.
_NUMBER = 1 << 60
_PR_GET_DUMPABLE = 3
_PR_GET_NO_NEW_PRIVS = 39


def serve(sock: socket.socket, device: str, trial: bytes) -> None:
    """Be the worker."""
    behaviour = device.partition(":")[2]
    if behaviour == "crash":
        os._exit(CRASH_STATUS)
    if behaviour == "report":
        send_order(sock, Warm(error=_report()))
        return
    if behaviour == "stuck":
        receive_order(sock)
        return
    if behaviour == "broken":
        send_order(sock, Warm(error="the stand-in is broken on purpose"))
        return
    if behaviour == "stale" and trial:
        send_order(sock, Warm(error="what another has found out opens nothing"))
        return
    builds = "a stand-in's" if behaviour in ("loose", "liar", "wordy") else ""
    send_order(sock, Warm(builds=builds, trial=b"stale" if behaviour == "stale" else b""))
    received = receive_order(sock)
    if received is None:
        return
    order, _fd = received
    if isinstance(order, Recruit):
        _build_nonsense(sock, wordy=behaviour == "wordy")
        return
    assert isinstance(order, Assign)
    if behaviour == "rude":
        send_order(sock, Exited(1, 1))
    send_order(sock, Ready(order.bind.removesuffix(":0") + ":1" if order.bind else ""))
    if builds:
        _want(sock, sealed=behaviour != "loose")
    _echo(sock, order.lease, deaf=behaviour == "deaf")


def _want(sock: socket.socket, *, sealed: bool) -> None:
    """Want something built, and end with the code of the answer."""
    send_order(
        sock, Build(_NUMBER), seal("program", b"a program") if sealed else os.memfd_create("loose")
    )
    received = receive_order(sock)
    if received is not None and isinstance(received[0], Built):
        os._exit(received[0].code)


def _build_nonsense(sock: socket.socket, *, wordy: bool) -> None:
    send_order(sock, Ready(""))
    while True:
        received = receive_order(sock)
        if received is None or not isinstance(received[0], Build):
            return
        number = received[0].number
        if wordy:
            log = "x" * (PACKET_BYTES_MAX - len(msgspec.msgpack.encode(Built(number, 7, "m"))) - 4)
            send_order(sock, Built(number, 7, "m", log))
        else:
            send_order(sock, Built(number), os.memfd_create("loose"))


def _report() -> str:
    """Return what this process has and may, as far as it was to be taken away."""
    libc = ctypes.CDLL(None)
    files = sum(int(file.name) > 2 for file in Path("/proc/self/fd").iterdir())
    core = resource.getrlimit(resource.RLIMIT_CORE)[0]
    # One of the files is the directory that is being read.
    return (
        f"dumpable {libc.prctl(_PR_GET_DUMPABLE)}, core {core}, files {files - 1}, "
        f"no new privileges {libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)}, "
        f"blocked {len(signal.pthread_sigmask(signal.SIG_BLOCK, []))}"
    )


def _echo(sock: socket.socket, lease: str, *, deaf: bool) -> None:
    links: list[socket.socket] = []
    while True:
        readable, _, _ = select.select([sock, *links], [], [])
        for link in [each for each in links if each in readable]:
            data = link.recv(4096)
            if data:
                link.sendall(data)
            else:
                links.remove(link)
                link.close()
                send_order(sock, LinkState(up=False))
        if sock not in readable:
            continue
        received = receive_order(sock)
        if received is None:
            return
        order, fd = received
        if isinstance(order, GiveLink) and fd is not None:
            link = socket.socket(fileno=fd)
            link.sendall(lease.encode() + b"\0")
            links.append(link)
            send_order(sock, LinkState(up=True))
        elif isinstance(order, End):
            if deaf:
                signal.pause()
            return
