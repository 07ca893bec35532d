"""The worker: a process that serves one lease, and dies with it.

    gond ──orders──▶ [orders thread] ──links──▶ [data thread: conversation] ◀──link──▶ client

It opens its device and says Warm before it belongs to anyone, so that a lease starts at once. It
holds no secret but its own lease's token (for the ZeroMQ socket that it binds itself). What its
programs need built, a process of its tenant's builds (gon_server.loading), where the device can do
so; recruited instead of assigned, it is such a process (gon_server.builder). Contents that the host
keeps are gond's (gon_server.known).

Rules: the data thread alone touches the device. A newer link replaces the one before. When gond
says End, or is gone, the process exits at once: nothing it holds outlives the lease.
"""

from __future__ import annotations

import ctypes
import logging
import os
import queue
import socket
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import NoReturn, Protocol

from gon.clock import SYSTEM_CLOCK
from gon.device import Builder, HostDevice, RunsPrograms
from gon.errors import ConfigError, GonError, LinkLost, RemoteProtocolError, Unsupported
from gon.limits import PREAMBLE_MAGIC, TRIAL_BYTES_MAX
from gon.placement import Placed
from gon.transport.base import Link
from gon.transport.bundle import Bundle
from gon.transport.shm_setup import share
from gon.transport.stream import StreamLink
from gon.transport.zmq import ZmqListener
from gon_server import confine, walls
from gon_server.anteroom import Anteroom
from gon_server.builder import serve_builds
from gon_server.conversation import Conversation
from gon_server.elastic import BuildProgram, ElasticUnit, LoadModule
from gon_server.engines.base import Share
from gon_server.engines.shelf import Shelf
from gon_server.engines.warming import cpu_time_of, warm
from gon_server.known import KnownToGond
from gon_server.loading import BuiltElsewhere
from gon_server.orders import (
    Assign,
    Became,
    Built,
    End,
    Found,
    GiveLink,
    Lent,
    LinkState,
    Ready,
    Recruit,
    Taken,
    Warm,
    receive_order,
    send_order,
)
from gon_server.pages import open_pages

# Line buffered, in C's <stdio.h>.
_IOLBF = 1

_log = logging.getLogger("gond.worker")


class LinkSource(Protocol):
    """Where the data thread gets its next link from."""

    def next_link(self) -> Link:
        """Return the newest link, waiting for it."""
        ...


class GivenLinks:
    """Links that gond accepted and passed on; giving one ends the one before, and side links."""

    def __init__(self) -> None:
        self.anteroom = Anteroom()
        self._links: queue.SimpleQueue[Link] = queue.SimpleQueue()
        self._current: Link | None = None

    def give(self, link: Link) -> None:
        if self._current is not None:
            self._current.close()
        self.anteroom.clear()
        self._current = link
        self._links.put(link)

    def next_link(self) -> Link:
        return self._links.get()


class BoundLinks:
    """Links that reach the worker's own ZeroMQ socket."""

    def __init__(self, bind: str, token: bytes) -> None:
        self._listener = ZmqListener(bind, PREAMBLE_MAGIC + token)

    @property
    def endpoint(self) -> str:
        return self._listener.uri

    def next_link(self) -> Link:
        while True:
            link = self._listener.accept(None)
            if link is not None:
                return link


def open_backend(device: str, trial: bytes = b"") -> HostDevice:
    """Open `device` ("backend:address") by the entry points `gon.devices`.

    `trial` is what the same device said of itself in another process (gon.device.Builder).

    Raises ConfigError for an unknown backend, Unsupported for one whose library is not installed,
    and what the backend raises.
    """
    backend, _, address = device.partition(":")
    for entry in entry_points(group="gon.devices", name=backend):
        try:
            opener = entry.load()
        except ImportError as error:
            raise Unsupported(f"backend {backend!r} cannot be loaded: {error}") from error
        opened: HostDevice = opener(address, trial) if trial else opener(address)
        return opened
    known = ", ".join(sorted(entry.name for entry in entry_points(group="gon.devices")))
    raise ConfigError(f"no backend {backend!r} for device {device!r}; there are {known}")


def print_by_line() -> None:
    """Let what kernels print come out a line at a time: C holds it back where no terminal is, and
    a worker ends without giving that a chance.
    """
    libc = ctypes.CDLL(None)
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, _IOLBF, 0)


def serve(sock: socket.socket, device: str, trial: bytes) -> None:
    """Be a worker: open the device, report Warm, wait for a lease, serve it until it ends.

    Or be a builder, if gond says so. Returns only if the device cannot be opened, gond is gone
    before a lease came, or it builds no more.
    """
    print_by_line()
    try:
        backend = open_backend(device, trial)
    except GonError as error:
        send_order(sock, Warm(error=str(error)))
        return
    builder = backend if isinstance(backend, Builder) else None
    send_order(sock, Warm() if builder is None else _warm_builder(builder))
    received = receive_order(sock)
    if received is None:
        return
    assign, _ = received
    if isinstance(assign, Recruit) and builder is not None:
        walls.narrow(assign.walls, programs=True)
        serve_builds(sock, builder, assign)
        return
    if not isinstance(assign, Assign):
        _log.info("no lease: %r", assign)
        return
    _serve_lease(sock, backend, assign)


def _warm_builder(builder: Builder) -> Warm:
    trial = builder.trial
    return Warm(
        builds=builder.build_identity, trial=trial if len(trial) <= TRIAL_BYTES_MAX else b""
    )


def _serve_lease(sock: socket.socket, backend: HostDevice, assign: Assign) -> NoReturn:
    given = GivenLinks()
    elsewhere: BuiltElsewhere | None = None
    if assign.builds and isinstance(backend, Builder):
        elsewhere = BuiltElsewhere(sock, backend, assign.program_bytes, backend.info.formats)
    source: LinkSource = given
    endpoint = ""
    if assign.link == "zmq":
        source = bound = BoundLinks(assign.bind, assign.token)
        endpoint = bound.endpoint
    runs = isinstance(backend, RunsPrograms) and backend.runs_programs
    walls.narrow(assign.walls, programs=runs, accepts=assign.link == "zmq")
    known = KnownToGond(sock, assign.content_key) if assign.content_key else None
    orders = threading.Thread(
        target=_obey,
        args=(sock, given, _open_shared if assign.link == "shm" else _open_link, elsewhere, known),
        name="gon-orders",
        daemon=True,
    )
    orders.start()
    send_order(sock, Ready(endpoint))
    load = backend.load if elsewhere is None else elsewhere.load
    device: HostDevice = backend
    if assign.personalities:
        if assign.engine_bytes:
            confine.bound_data(assign.memory_bytes + assign.engine_bytes)
        build = None if elsewhere is None else elsewhere.build
        device = unit = _elastic(backend, load, build, assign)
        unit.changed = lambda personality: send_order(sock, Became(personality))
        load = unit.load
    lends = assign.link == "shm" and isinstance(device, Placed)
    pages = open_pages(assign.memory_bytes) if lends else None
    if pages is not None:
        send_order(sock, Lent(), pages.fd)
    conversation = Conversation(
        device,
        assign.memory_bytes,
        load,
        known,
        given.anteroom,
        assign.program_bytes,
        pages,
        elsewhere,
    )
    _converse(sock, source, conversation, assign.lease)


def _elastic(
    backend: HostDevice,
    load: LoadModule,
    build: BuildProgram | None,
    assign: Assign,
) -> ElasticUnit:
    """Return the device as what the lease says; its engines come in the background."""
    personalities = assign.personalities
    shelf = Shelf(Share(threads=len(os.sched_getaffinity(0))), assign.rules)
    formats = [each for personality in personalities for each in personality.formats]
    warm(shelf, formats, cpu_time_of(threading.get_ident()), SYSTEM_CLOCK)
    return ElasticUnit(
        backend, shelf, personalities, SYSTEM_CLOCK, load, build, dict(assign.withheld)
    )


def _converse(
    sock: socket.socket, source: LinkSource, conversation: Conversation, lease: str
) -> NoReturn:
    """Serve link after link; only the orders thread ends this."""
    while True:
        link = source.next_link()
        send_order(sock, LinkState(up=True))
        try:
            if conversation.serve(link):
                _log.debug("lease %s: the client said goodbye", lease)
        except LinkLost as error:
            _log.debug("lease %s: %s", lease, error)
        except RemoteProtocolError as error:
            _log.warning("lease %s: %s: %s", lease, link.name, error)
        finally:
            link.close()
        send_order(sock, LinkState(up=False))


def _open_stream(sock: socket.socket, peer: str) -> StreamLink | None:
    try:
        return StreamLink(sock, peer)
    except LinkLost as error:
        _log.warning("%s", error.message)
        return None


def _open_link(sock: socket.socket, peer: str) -> Link | None:
    link = _open_stream(sock, peer)
    return None if link is None else Bundle(link)


def _open_shared(sock: socket.socket, peer: str) -> Link | None:
    try:
        return share(sock, peer)
    except LinkLost as error:
        _log.warning("%s", error.message)
        return None


def _obey(
    sock: socket.socket,
    given: GivenLinks,
    open_link: Callable[[socket.socket, str], Link | None],
    elsewhere: BuiltElsewhere | None,
    known: KnownToGond | None,
) -> NoReturn:
    """Take gond's orders until the lease ends; then end the process, whatever the device does."""
    while True:
        try:
            received = receive_order(sock)
        except OSError:
            received = None
        if received is None:
            os._exit(0)
        order, fd = received
        if isinstance(order, GiveLink) and fd is not None:
            accepted = socket.socket(fileno=fd)
            if order.is_side and (side := _open_stream(accepted, order.peer)) is not None:
                given.anteroom.admit(side)
            elif not order.is_side and (link := open_link(accepted, order.peer)) is not None:
                given.give(link)
        elif isinstance(order, Built) and elsewhere is not None:
            elsewhere.give(order, fd)
        elif isinstance(order, Found) and known is not None:
            known.give(order, fd)
        elif isinstance(order, Taken) and known is not None:
            known.taken()
        elif isinstance(order, End):
            _log.info("lease ended: %s", order.reason)
            os._exit(0)
        elif fd is not None:
            os.close(fd)
