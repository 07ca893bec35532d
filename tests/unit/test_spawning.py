"""gond's end of the spawner, with a socket in the spawner's place."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from gon_server.orders import Exited, Kill, Spawned, receive_order, send_order
from gon_server.spawning import SpawnerEvents, SpawnerProcess, Spawning, clean_environment

PATIENCE_S = 30.0


class SocketOnly:
    """What of a SpawnerProcess is used."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.pid = 0

    def close(self) -> None:
        self.sock.close()

    kill = close


async def a_socket_is_lost_on_its_way() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    process = cast("SpawnerProcess", SocketOnly(ours))
    over: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()

    def lost() -> None:
        raise AssertionError("all workers are given up for one")

    def gone(worker: int, status: int) -> None:
        over.set_result((worker, status))

    def born(_worker: int, _pid: int, _sock: socket.socket) -> None:
        raise AssertionError("a worker without a socket")

    events = SpawnerEvents(born, gone, lost, lambda: None)
    spawning = Spawning(process, lambda: process, events)
    # As it arrives where no file descriptor is left.
    send_order(theirs, Spawned(7, 1234))
    theirs.settimeout(PATIENCE_S)
    assert await asyncio.to_thread(receive_order, theirs) == (Kill(7), None)
    send_order(theirs, Exited(7, 9))
    async with asyncio.timeout(PATIENCE_S):
        assert await over == (7, 9)
    spawning.close()
    theirs.close()


def test_a_worker_whose_socket_is_lost_ends_alone() -> None:
    asyncio.run(a_socket_is_lost_on_its_way())


def test_workers_are_told_to_leave_the_native_modules_out_and_no_secrets() -> None:
    given = {"GON_NATIVE": "0", "GOND_SECRET": "x", "PATH": "/bin"}
    kept = clean_environment(given)
    ours = {"OPENBLAS_NUM_THREADS": "1", "PYOPENCL_NO_CACHE": "1"}
    assert kept == {"GON_NATIVE": "0", "PATH": "/bin", **ours}
