"""How memory comes to be shared: what is given is checked before it is used; a peer that dies or
spoils it ends its link and nothing else.
"""

from __future__ import annotations

import array
import fcntl
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from gon.errors import ConfigError, LinkLost, RemoteProtocolError
from gon.limits import MIB
from gon.transport.shm import ShmLink
from gon.transport.shm_ring import MEMORY_BYTES
from gon.transport.shm_setup import ShmListener, join, share
from gon.transport.sockets import connect_stream

PATIENCE_S = 30.0
SETUP = b"GoNm" + (1).to_bytes(4, "little") + MEMORY_BYTES.to_bytes(8, "little")
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@pytest.fixture(autouse=True)
def _no_file_stays_open() -> Iterator[None]:
    gc.collect()  # what tests before this one have left
    before = open_files()
    yield
    assert open_files() == before


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def pair() -> tuple[ShmLink, ShmLink]:
    """Return both ends of a link: the worker's, the client's."""
    theirs, ours = socket.socketpair()
    worker = share(theirs, "worker")
    return worker, join(ours, "client")


def memory_file(size: int = MEMORY_BYTES, seals: int = SEALS) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def plain_file() -> int:
    with tempfile.TemporaryFile() as file:
        file.truncate(MEMORY_BYTES)
        return os.dup(file.fileno())


def unix_socket(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    return socket.socket(socket.AF_UNIX, kind).detach()


def tcp_socket() -> int:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM).detach()


def give(sock: socket.socket, message: bytes, fds: list[int]) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([message], rights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ([], SETUP),
        ([memory_file], SETUP),
        ([memory_file, unix_socket, unix_socket], SETUP),
        ([memory_file] * 20, SETUP),
        ([lambda: memory_file(seals=0), unix_socket], SETUP),
        ([lambda: memory_file(seals=fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL), unix_socket], SETUP),
        ([lambda: memory_file(size=MEMORY_BYTES - 4096), unix_socket], SETUP),
        ([lambda: memory_file(size=0), unix_socket], SETUP),
        ([lambda: memory_file(size=MEMORY_BYTES + 4096), unix_socket], SETUP),
        ([lambda: memory_file(seals=SEALS | fcntl.F_SEAL_WRITE), unix_socket], SETUP),
        ([plain_file, unix_socket], SETUP),
        ([unix_socket, unix_socket], SETUP),
        ([unix_socket, memory_file], SETUP),
        ([memory_file, memory_file], SETUP),
        ([memory_file, tcp_socket], SETUP),
        ([memory_file, lambda: unix_socket(socket.SOCK_DGRAM)], SETUP),
        ([memory_file, unix_socket], SETUP[:-1]),
        ([memory_file, unix_socket], b"\1" * len(SETUP)),
        ([memory_file, unix_socket], SETUP[:4] + b"\2" + SETUP[5:]),
        ([memory_file, unix_socket], SETUP[:8] + (1 << 60).to_bytes(8, "little")),
    ],
)
def test_what_is_not_memory_as_it_should_be_is_refused(
    make: list[Callable[[], int]], message: bytes
) -> None:
    theirs, ours = socket.socketpair()
    with theirs, ExitStack() as files:
        fds = [each() for each in make]
        for fd in fds:
            files.callback(os.close, fd)
        give(theirs, message, fds)
        with pytest.raises(RemoteProtocolError):
            join(ours, "test", PATIENCE_S)
        assert ours.fileno() == -1


def test_a_worker_that_says_nothing_or_hangs_up_is_a_lost_link() -> None:
    theirs, ours = socket.socketpair()
    with theirs, pytest.raises(LinkLost, match="timed out"):
        join(ours, "test", 0.01)
    theirs, ours = socket.socketpair()
    theirs.close()
    with pytest.raises(LinkLost, match="closed"):
        join(ours, "test", PATIENCE_S)


def test_a_client_that_is_gone_or_elsewhere_is_a_lost_link() -> None:
    theirs, ours = socket.socketpair()
    ours.close()
    with pytest.raises(LinkLost):
        share(theirs, "test")
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with client, pytest.raises(LinkLost, match="unix sockets only"):
            share(accepted, "test")
        assert accepted.fileno() == -1


def test_the_memory_cannot_be_made_smaller_by_whoever_is_given_it() -> None:
    theirs, ours = socket.socketpair()
    worker = share(theirs, "worker")
    _message, fds, _flags, _address = socket.recv_fds(ours, 100, 4)
    for size in (0, MEMORY_BYTES - 1, MEMORY_BYTES + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(fds[0], size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(fds[0], fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    for fd in fds:
        os.close(fd)
    ours.close()
    with pytest.raises(LinkLost, match="the peer closed it"):
        worker.receive(PATIENCE_S)


def test_a_peer_that_spoils_the_counts_ends_the_link() -> None:
    worker, client = pair()
    words = memoryview(client.memory)[:4096].cast("Q")
    words[0] = 1 << 40
    with pytest.raises(RemoteProtocolError, match="wait in a ring"):
        worker.receive(PATIENCE_S)
    with pytest.raises(LinkLost, match="wait in a ring"):
        worker.send(b"x")
    worker, client = pair()
    words = memoryview(client.memory)[:4096].cast("Q")
    words[64 + 32] = 1 << 63
    with pytest.raises(LinkLost, match="spoiled"):
        worker.send(b"big", [bytes(8 * MIB)])
    with pytest.raises(LinkLost, match="spoiled"):
        worker.receive(PATIENCE_S)


def test_a_peer_that_rings_for_nothing_is_let_ring() -> None:
    worker, client = pair()
    with suppress(BlockingIOError):
        while True:
            client._data._socket.send(b"x" * 100, socket.MSG_DONTWAIT)
    assert worker.receive(0.01) is None
    client.send(b"something at last")
    assert worker.receive(PATIENCE_S) == b"something at last"
    client.close()
    with pytest.raises(LinkLost):
        worker.receive(PATIENCE_S)


DIES = {
    "idle": "",
    "after a frame": "link.send(b'last')",
    "asleep": "link.receive(0.01)",
    "in the middle of a prefix": "link._writer.put(memoryview(b'abc'))",
    "in the middle of a head": """
link._writer.put(memoryview(PREFIX.pack(1000, 0, MAGIC) + b'abc'))""",
    "in the middle of a payload": """
link.send(b'payload of 1000')
link._writer.put(memoryview(b'abc'))""",
    "with a full ring": """
while link._writer.put(memoryview(bytes(4096))): pass""",
}
CHILD = """
import os, signal, socket, sys
from gon.transport.framing import MAGIC, PREFIX
from gon.transport.shm_setup import join
link = join(socket.socket(fileno=int(sys.argv[1])), "child")
{}
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("state", DIES)
def test_a_peer_that_dies_in_any_state_is_a_lost_link(state: str) -> None:
    theirs, ours = socket.socketpair()
    with ours:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(DIES[state]), str(ours.fileno())],
            pass_fds=[ours.fileno()],
        )
    worker = share(theirs, "worker")

    def drain() -> None:
        while True:
            head = worker.receive(PATIENCE_S)
            assert head is not None
            if bytes(head) == b"payload of 1000":
                worker.receive_into(memoryview(bytearray(1000)))

    with pytest.raises(RemoteProtocolError if state == "with a full ring" else LinkLost):
        drain()
    assert child.wait(PATIENCE_S) == -signal.SIGKILL


ECHO = """
import socket, sys
from gon.transport.shm_setup import join
link = join(socket.socket(fileno=int(sys.argv[1])), "child")
while head := bytes(link.receive()):
    payload = bytearray(int(head.split()[0]))
    link.receive_into(memoryview(payload))
    link.send(head, [payload])
    for _ in range(int(head.split()[1])):
        link.send(bytes(link.receive()))
"""


@pytest.mark.parametrize("native", ["0", "1"])
def test_ends_with_native_modules_and_without_understand_each_other(native: str) -> None:
    theirs, ours = socket.socketpair()
    with ours:
        child = subprocess.Popen(
            [sys.executable, "-c", ECHO, str(ours.fileno())],
            pass_fds=[ours.fileno()],
            env={**os.environ, "GON_NATIVE": native},
        )
    worker = share(theirs, "worker")
    for size in (0, 1, 100_000, 3 * MIB, 9 * MIB):
        payload = bytes([size % 251]) * size
        head = b"%d 300" % size
        worker.send(head, [payload])
        assert worker.receive() == head
        back = bytearray(size)
        worker.receive_into(memoryview(back))
        assert back == payload
        for n in range(300):
            small = bytes([n % 256]) * (n * n)
            worker.send(small)
            assert worker.receive() == small
    worker.send(b"")
    assert child.wait(PATIENCE_S) == 0


def test_a_peer_that_dies_while_we_wait_for_room_is_a_lost_link() -> None:
    theirs, ours = socket.socketpair()
    with ours:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD.format("link.receive()"), str(ours.fileno())],
            pass_fds=[ours.fileno()],
        )
    worker = share(theirs, "worker")
    with pytest.raises(LinkLost, match="closed"):
        worker.send(b"big", [bytes(8 * MIB)])
    assert child.wait(PATIENCE_S) == -signal.SIGKILL


def test_a_listener_goes_on_after_one_that_hung_up(tmp_path: Path) -> None:
    listener = ShmListener(f"shm://{tmp_path}/link", b"right")
    path = listener.uri.removeprefix("shm")
    for shown in (b"wrong", b"right"):
        sock = connect_stream("unix" + path)
        sock.sendall(shown)
        sock.close()
    with ThreadPoolExecutor(1) as thread:
        accepted = thread.submit(listener.accept, PATIENCE_S)
        sock = connect_stream("unix" + path)
        sock.sendall(b"right")
        client = join(sock, listener.uri)
        worker = accepted.result(PATIENCE_S)
    assert worker is not None
    client.send(b"hello")
    assert worker.receive(PATIENCE_S) == b"hello"
    with pytest.raises(ConfigError):
        ShmListener(f"shm://{tmp_path}/nowhere/link")
    for link in (client, worker):
        link.close()
    listener.close()
