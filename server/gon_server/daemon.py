"""The life of gond: from settings to a listening host, to its drained end.

Rules: it starts everything and ends everything, in that order backwards; it decides nothing about
leases. The first signal drains, the second ends at once.
Must not know: protobuf, drivers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop

from gon.addresses import Address
from gon.clock import SYSTEM_CLOCK
from gon.limits import WORKER_START_S
from gon_server import confine, discover, walls
from gon_server.config import WORKER_ENTRY, Settings
from gon_server.control import About, ControlServer
from gon_server.doorway import Doorway
from gon_server.host import Host
from gon_server.listening import claim_path, listen
from gon_server.spawning import SpawnerProcess
from gon_server.state import StateDirectory
from gon_server.units import EAGPHPU, plan

log = logging.getLogger("gond")


class Readiness(msgspec.Struct, frozen=True):
    """What gond tells whoever waits for it: where it really listens, and what it exports."""

    pid: int
    version: str
    epoch: int
    control: tuple[str, ...]
    data: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """What `run` needs of its surroundings; `spawner` runs already."""

    settings: Settings
    environ: Mapping[str, str]
    spawner: SpawnerProcess
    start_spawner: Callable[[], SpawnerProcess]
    say: Callable[[str], None]
    ready: Callable[[Readiness], None]


def run(start: Start) -> None:
    """Be the daemon until a signal ends it. Raises ConfigError if it cannot start."""
    confine.hide_memory()
    confine.open_many_files()
    with (
        StateDirectory(Path(start.settings.state_dir)) as state,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_Daemon(start, state.next_epoch()).live())


class _Daemon:
    def __init__(self, start: Start, epoch: int) -> None:
        self._start = start
        self._settings = start.settings
        self._epoch = epoch
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        async with contextlib.AsyncExitStack() as stack:
            await self._serve(stack)
            await self._asked.wait()
        log.info("stopped")

    async def _serve(self, stack: contextlib.AsyncExitStack) -> None:
        """Start everything; `stack` ends it, the last started first."""
        settings = self._settings
        if settings.worker_entry == WORKER_ENTRY:  # another one may know other backends
            discover.check_backends(settings.units)
        # What its owner calls hardware has no walls: that is looked at, too.
        opens = [
            unit.device
            for unit in settings.units.values()
            if not unit.formats or unit.kind not in ("", EAGPHPU)
        ]
        found, engines = await asyncio.gather(
            discover.look(opens, self._start.environ, search=settings.discover),
            discover.look_for_engines(self._start.environ, settings.engine_rules()),
        )
        for each in found:
            if each.error:
                log.error("device %s cannot be opened: %s", each.address, each.error)
        for engine in engines:
            if engine.error:
                log.info("%s: engine %s is not there: %s", *engine.named, engine.error)
        memory_bytes = discover.host_memory_bytes()
        around = walls.wanted(settings.walls)
        specs = plan(settings, found, memory_bytes, platform.machine(), engines, around)
        for spec in specs:
            if settings.walls != "off" and not (spec.walls.files and spec.walls.calls):
                log.warning("unit %s: walls around its workers: %s", spec.id, spec.walls)

        doors = [self._listen(address, stack) for address in settings.data_addresses]
        data = tuple(str(address) for _, address in doors)
        host = Host(
            settings,
            specs,
            self._epoch,
            data,
            self._zmq_bind(),
            self._start.spawner,
            self._start.start_spawner,
            SYSTEM_CLOCK,
        )
        stack.callback(host.close)
        doorway = Doorway(doors, host.admit, SYSTEM_CLOCK)
        stack.callback(doorway.close)

        about = About(version("gon"), socket.gethostname())
        server = ControlServer(host, about)
        for address in settings.control_addresses:
            if address.is_unix:
                claim_path(Path(address.path))
        stack.push_async_callback(server.stop)
        control = await server.start(settings.control_addresses)
        stack.push_async_callback(self._drain, host, server)
        await self._until_warm(host)
        units = tuple(spec.id for spec in specs)
        self._announce(host, control, data)
        self._start.ready(
            Readiness(
                os.getpid(), about.version, self._epoch, tuple(map(str, control)), data, units
            )
        )

    def _listen(
        self, address: Address, stack: contextlib.AsyncExitStack
    ) -> tuple[socket.socket, Address]:
        sock, bound = listen(address)
        stack.callback(sock.close)
        if address.is_unix:
            stack.callback(Path(address.path).unlink, missing_ok=True)
        return sock, bound

    def _zmq_bind(self) -> str:
        """Return where workers bind ZeroMQ: the interface that control is reached on."""
        hosts = [each for each in self._settings.control_addresses if not each.is_unix]
        address = Address("zmq+tcp", hosts[0].host if hosts else "127.0.0.1", 0)
        return str(address)

    async def _until_warm(self, host: Host) -> None:
        """Wait until leases start at once, unless that takes too long or a signal comes."""
        settled = asyncio.ensure_future(host.settled())
        asked = asyncio.ensure_future(self._asked.wait())
        await asyncio.wait(
            (settled, asked), timeout=WORKER_START_S, return_when=asyncio.FIRST_COMPLETED
        )
        for each in (settled, asked):
            each.cancel()

    def _announce(self, host: Host, control: tuple[Address, ...], data: tuple[str, ...]) -> None:
        for address in control:
            self._start.say(f"control {address}")
        for uri in data:
            self._start.say(f"data {uri}")
        for unit in host.units():
            self._start.say(f"unit {unit}")
        self._start.say("gond ready")

    async def _drain(self, host: Host, server: ControlServer) -> None:
        """Let leases end, unless a second signal comes first."""
        await server.refuse_work()
        draining = asyncio.ensure_future(host.drain(self._settings.drain_s))
        hurry = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        for each in (draining, hurry):
            each.cancel()

    def _signalled(self, number: int) -> None:
        name = signal.Signals(number).name
        if self._asked.is_set():
            log.warning("%s again: ending at once", name)
            self._hurry.set()
        else:
            log.info("%s: draining for up to %g s", name, self._settings.drain_s)
            self._asked.set()
