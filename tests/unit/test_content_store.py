"""gond's hand on contents, with workers that are sockets: who is given what, and who is not."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gon.contents import digest_of
from gon.limits import CONTENTS_OFFERED_MAX
from gon_server.content_book import ContentBook
from gon_server.content_files import ContentFiles
from gon_server.content_store import ContentStore, open_store
from gon_server.orders import (
    AnyOrder,
    Assign,
    Find,
    Found,
    Offer,
    Ready,
    Taken,
    Warm,
    receive_order,
    send_order,
)
from gon_server.sealed import read_sealed, seal
from gon_server.supervision import SupervisedWorker, WorkerEvents

PATIENCE_S = 30.0
CONTENT = b"a content" * 1000


@dataclass(slots=True)
class Yard:
    """A store whose workers' processes are the other ends of sockets; each serves a tenant."""

    store: ContentStore
    tenants: dict[int, str] = field(default_factory=dict[int, str])
    processes: dict[int, socket.socket] = field(default_factory=dict[int, socket.socket])
    workers: dict[int, SupervisedWorker] = field(default_factory=dict[int, SupervisedWorker])

    async def serve(self, tenant: str) -> int:
        """Start a worker that serves a lease of the tenant; return its number."""
        warm: asyncio.Future[SupervisedWorker] = asyncio.get_running_loop().create_future()
        events = WorkerEvents(
            warm.set_result,
            lambda _lease, _up: None,
            lambda _lease, _personality: None,
            lambda _worker, _number, program: os.close(program),
            lambda _worker, _order, _module: None,
            self.heard,
            self.reap,
        )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        worker = SupervisedWorker(len(self.workers) + 1, "soft", events)
        number = worker.number
        self.workers[number], self.processes[number] = worker, theirs
        self.tenants[number] = tenant
        worker.born(0, ours)
        send_order(theirs, Warm())
        await warm
        key = self.store.key_of(tenant)
        serving = asyncio.ensure_future(
            worker.assign(Assign("lease", 1, "stream", "", b"", content_key=key))
        )
        assert isinstance((await self.next(number))[0], Assign)
        send_order(theirs, Ready(""))
        await serving
        return number

    def heard(self, worker: SupervisedWorker, order: Find | Offer, fd: int | None) -> None:
        self.store.heard(self.tenants[worker.number], worker, order, fd)

    def reap(self, number: int) -> None:
        asyncio.get_running_loop().call_soon(self._bury, self.workers[number])

    def _bury(self, worker: SupervisedWorker) -> None:
        worker.bury("worker killed by signal 9 (SIGKILL)")
        self.store.gone(worker)

    async def next(self, number: int) -> tuple[AnyOrder, int | None]:
        """Return what a worker's process is told next."""
        while True:
            try:
                received = receive_order(self.processes[number])
            except BlockingIOError:
                await asyncio.sleep(0)
            else:
                assert received is not None
                return received

    def digest(self, tenant: str, content: bytes = CONTENT) -> bytes:
        return digest_of(self.store.key_of(tenant), memoryview(content))

    def offer(self, number: int, digest: bytes, content: bytes = CONTENT) -> None:
        fd = seal("content", content)
        send_order(self.processes[number], Offer(digest), fd)
        os.close(fd)

    async def find(self, number: int, digest: bytes, size: int = len(CONTENT)) -> bytes | None:
        send_order(self.processes[number], Find(7, digest, size))
        order, fd = await self.next(number)
        assert order == Found(7)
        if fd is None:
            return None
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def close(self) -> None:
        self.store.close()
        for number, process in self.processes.items():
            process.close()
            self.workers[number].bury("the test is over")


Scene = Callable[[Yard], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    """Play a scene in a yard, in bounded time."""

    async def bounded(scene: Scene) -> None:
        async with asyncio.timeout(PATIENCE_S):
            book = ContentBook(bytes_max=1 << 20, tenant_bytes_max=1 << 20)
            files = ContentFiles(tmp_path / "contents", disk_free_bytes=0)
            yard = Yard(ContentStore(book, files))
            try:
                await scene(yard)
            finally:
                yard.close()

    return lambda scene: asyncio.run(bounded(scene))


Play = Callable[[Scene], None]


def test_what_one_lease_offers_all_of_its_tenant_find(play: Play) -> None:
    async def scene(yard: Yard) -> None:
        one, two = await yard.serve("a"), await yard.serve("a")
        digest = yard.digest("a")
        assert await yard.find(two, digest) is None
        yard.offer(one, digest)
        assert await yard.next(one) == (Taken(), None)
        assert await yard.find(two, digest) == CONTENT
        assert await yard.find(two, digest, 5) is None, "of another size there is none"

    play(scene)


def test_no_tenant_finds_what_another_has(play: Play, tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        one, two = await yard.serve("a"), await yard.serve("b")
        yard.offer(one, yard.digest("a"))
        await yard.next(one)
        for digest in (yard.digest("a"), yard.digest("b")):
            assert await yard.find(two, digest) is None
        # What it offers itself is looked at by its own key, and written anew.
        yard.offer(two, yard.digest("a"))
        await yard.next(two)
        assert await yard.find(two, yard.digest("a")) is None
        yard.offer(two, yard.digest("b"))
        await yard.next(two)
        assert await yard.find(two, yard.digest("b")) == CONTENT

    play(scene)
    assert len(list(tmp_path.glob("contents/*/*"))) == 2


def test_what_is_not_what_its_digest_says_is_not_kept(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(yard: Yard) -> None:
        one = await yard.serve("a")
        yard.offer(one, yard.digest("a"), b"another")
        assert await yard.next(one) == (Taken(), None)
        assert await yard.find(one, yard.digest("a")) is None

    play(scene)
    assert "offered another content" in caplog.text


def test_who_asks_while_it_arrives_is_answered_once_it_is_there(play: Play) -> None:
    async def scene(yard: Yard) -> None:
        one, two = await yard.serve("a"), await yard.serve("a")
        yard.offer(one, yard.digest("a"))
        assert await yard.find(two, yard.digest("a")) == CONTENT

    play(scene)


def test_what_a_worker_offered_before_its_end_is_kept(play: Play) -> None:
    async def scene(yard: Yard) -> None:
        one, two = await yard.serve("a"), await yard.serve("a")
        for number in range(CONTENTS_OFFERED_MAX):
            content = bytes([number]) * 5000
            yard.offer(one, yard.digest("a", content), content)
        yard.processes[one].close()
        yard._bury(yard.workers[one])
        for number in range(CONTENTS_OFFERED_MAX):
            content = bytes([number]) * 5000
            assert await yard.find(two, yard.digest("a", content), 5000) == content

    play(scene)


NONSENSE: list[tuple[str, Callable[[socket.socket], None]]] = [
    ("digest", lambda sock: send_order(sock, Find(1, b"short", 5))),
    ("loose", lambda sock: send_order(sock, Offer(bytes(32)), os.memfd_create("loose"))),
    ("no file", lambda sock: send_order(sock, Offer(bytes(32)))),
    ("a file", lambda sock: send_order(sock, Find(1, bytes(32), 5), os.memfd_create("loose"))),
    ("Found", lambda sock: send_order(sock, Found(1))),
]


@pytest.mark.parametrize("say", [say for _, say in NONSENSE], ids=[name for name, _ in NONSENSE])
def test_a_worker_that_says_nonsense_is_killed_alone(
    play: Play, say: Callable[[socket.socket], None]
) -> None:
    async def scene(yard: Yard) -> None:
        one, two = await yard.serve("a"), await yard.serve("a")
        say(yard.processes[one])
        await yard.workers[one].gone()
        yard.offer(two, yard.digest("a"))
        await yard.next(two)
        assert await yard.find(two, yard.digest("a")) == CONTENT

    play(scene)


def test_a_worker_that_offers_more_than_it_may_is_killed(play: Play) -> None:
    async def scene(yard: Yard) -> None:
        one = await yard.serve("a")
        yard.workers[one]._offers = CONTENTS_OFFERED_MAX
        yard.offer(one, yard.digest("a"))
        await yard.workers[one].gone()

    play(scene)


def test_a_store_of_no_bytes_keeps_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        store = open_store(tmp_path, bytes_max=0, tenant_bytes_max=1)
        assert store.key_of("a") == b""
        await store.stop()
        store.close()

    asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


def test_a_stop_finishes_what_is_being_written(tmp_path: Path) -> None:
    async def scene() -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            yard = Yard(open_store(tmp_path, bytes_max=1 << 20, tenant_bytes_max=1 << 20))
            one = await yard.serve("a")
            yard.offer(one, yard.digest("a"))
            await yard.next(one)
            await yard.store.stop()
            yard.close()
            again = Yard(open_store(tmp_path, bytes_max=1 << 20, tenant_bytes_max=1 << 20))
            try:
                return await again.find(await again.serve("a"), again.digest("a")) or b""
            finally:
                again.close()

    assert asyncio.run(scene()) == CONTENT


def test_a_sealed_copy_is_what_it_was() -> None:
    fd = seal("content", memoryview(CONTENT))
    assert read_sealed(fd, len(CONTENT)) == CONTENT
    os.close(fd)
