"""gond's side of a worker, with a socket in the worker's place: what a killed one had lent."""

from __future__ import annotations

import asyncio
import mmap
import socket

import pytest

from gon.limits import MIB
from gon_server.orders import Assign, Lent, Ready, Warm, receive_order, send_order
from gon_server.pages import Pages
from gon_server.supervision import SupervisedWorker, WorkerEvents

PATIENCE_S = 30.0


def _nothing(*_told: object) -> None: ...


async def _until(done: asyncio.Future[None]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await done


async def what_is_left_of_a_loan(*, is_read: bool, ends_by: str) -> bytes:
    """Lend memory that somebody else has mapped, and end; return what that one finds there then."""
    loop = asyncio.get_running_loop()
    warm: asyncio.Future[None] = loop.create_future()
    events = WorkerEvents(
        warm=lambda _worker: warm.set_result(None),
        link_changed=_nothing,
        became=_nothing,
        asked=_nothing,
        built=_nothing,
        content=_nothing,
        kill=_nothing,
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    worker = SupervisedWorker(1, "soft", events)
    worker.born(1234, ours)
    send_order(theirs, Warm())
    await _until(warm)
    order = Assign("lease", MIB, "shm", "", b"t" * 32)
    assigned = asyncio.create_task(worker.assign(order))
    theirs.settimeout(PATIENCE_S)
    assert await asyncio.to_thread(receive_order, theirs) is not None
    send_order(theirs, Ready(""))
    await assigned
    pages = Pages(2 * MIB)
    client = mmap.mmap(pages.fd, pages.size_bytes)
    client[:6] = b"secret"
    send_order(theirs, Lent(), pages.fd)
    if is_read:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    if ends_by == "kill":
        worker.kill("it must")
    theirs.close()
    worker.bury("it is gone")
    # Emptied by a thread of the loop's.
    await loop.shutdown_default_executor()
    return client[:6]


@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("ends_by", ["kill", "itself"])
def test_what_a_worker_has_lent_is_emptied_however_it_ends(is_read: bool, ends_by: str) -> None:
    left = asyncio.run(what_is_left_of_a_loan(is_read=is_read, ends_by=ends_by))
    assert left == bytes(6)
