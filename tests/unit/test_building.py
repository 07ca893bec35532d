"""gond's hand on builds, with workers that are sockets: what it does when a builder is gone."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass, field

from gon.clock import SYSTEM_CLOCK
from gon_server.building import Building
from gon_server.builds import BuildBook
from gon_server.modules import ModuleCache
from gon_server.orders import (
    AnyOrder,
    Assign,
    Build,
    Built,
    Ready,
    Recruit,
    Warm,
    receive_order,
    send_order,
)
from gon_server.sealed import read_sealed, seal
from gon_server.supervision import SupervisedWorker, WorkerEvents

PATIENCE_S = 30.0


@dataclass(slots=True)
class Yard:
    """A Building whose workers' processes are the other ends of sockets, held here."""

    building: Building = field(init=False)
    processes: dict[int, socket.socket] = field(default_factory=dict[int, socket.socket])
    workers: dict[int, SupervisedWorker] = field(default_factory=dict[int, SupervisedWorker])

    def __post_init__(self) -> None:
        cache = ModuleCache(bytes_max=1 << 20, tenant_bytes_max=1 << 20)
        book = BuildBook(cache, build_s=PATIENCE_S, idle_s=PATIENCE_S, builders_max=2)
        self.building = Building(book, self.warm_worker, (), lambda _unit: Recruit(0), SYSTEM_CLOCK)

    async def warm_worker(self, unit: str) -> SupervisedWorker:
        """Return a worker that is idle."""
        warm: asyncio.Future[SupervisedWorker] = asyncio.get_running_loop().create_future()
        events = WorkerEvents(
            warm.set_result,
            lambda _lease, _up: None,
            lambda _lease, _personality: None,
            self.ask,
            self.building.built,
            lambda _worker, _order, _content: None,
            self.reap,
        )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        worker = SupervisedWorker(len(self.workers) + 1, unit, events)
        self.workers[worker.number], self.processes[worker.number] = worker, theirs
        worker.born(0, ours)
        send_order(theirs, Warm(builds="a build"))
        return await warm

    async def heard(self, number: int) -> tuple[AnyOrder, int | None]:
        """Return what a worker's process is told next."""
        while True:
            try:
                received = receive_order(self.processes[number])
            except BlockingIOError:
                await asyncio.sleep(0)
            else:
                assert received is not None
                return received

    def ask(self, worker: SupervisedWorker, number: int, program: int) -> None:
        self.building.asked("a", worker, number, program)

    def reap(self, number: int) -> None:
        asyncio.get_running_loop().call_soon(self._bury, self.workers[number])

    def _bury(self, worker: SupervisedWorker) -> None:
        worker.bury("worker killed by signal 9 (SIGKILL)")
        self.building.gone(worker)

    async def close(self) -> None:
        self.building.close()
        for number, process in self.processes.items():
            process.close()
            self.workers[number].bury("the test is over")


def send_file(sock: socket.socket, order: Build | Built, content: bytes) -> None:
    fd = seal("test", content)
    send_order(sock, order, fd)
    os.close(fd)


async def a_builder_is_gone_when_it_is_given_a_program() -> None:
    yard = Yard()
    asker = await yard.warm_worker("soft")
    serving = asyncio.ensure_future(asker.assign(Assign("lease", 1, "stream", "", b"", True)))
    await yard.heard(1)
    send_order(yard.processes[1], Ready(""))
    await serving
    send_file(yard.processes[1], Build(7), b"a program")
    while 2 not in yard.processes:
        await asyncio.sleep(0)
    assert await yard.heard(2) == (Recruit(0), None)
    # It is ready, and dies before anybody hears of that.
    send_order(yard.processes[2], Ready(""))
    yard.processes[2].close()
    while 3 not in yard.processes:
        await asyncio.sleep(0)
    assert await yard.heard(3) == (Recruit(0), None)
    send_order(yard.processes[3], Ready(""))
    order, program = await yard.heard(3)
    assert isinstance(order, Build)
    assert program is not None
    assert read_sealed(program, 4096) == b"a program"
    os.close(program)
    send_file(yard.processes[3], Built(order.number), b"a module")
    told, module = await yard.heard(1)
    assert told == Built(7)
    assert module is not None
    assert read_sealed(module, 4096) == b"a module"
    os.close(module)
    await yard.close()


def test_a_program_that_its_builder_never_had_is_built_by_another() -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await a_builder_is_gone_when_it_is_given_a_program()

    asyncio.run(bounded())
