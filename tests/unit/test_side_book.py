"""How many side links a tenant's leases and a host's may have; what a refused client is told."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

import pytest

from gon.addresses import parse
from gon.clock import SYSTEM_CLOCK
from gon.limits import SIDE_MAGIC, TOKEN_BYTES
from gon.side_limits import SIDES_LEASE_MAX
from gon_server.doorway import Doorway
from gon_server.side_book import SideBook
from gon_server.side_watch import SideWatch
from tests.inproc_worker import PATIENCE_S


def admitted(book: SideBook, lease: str, tenant: str, count: int) -> int:
    return sum(not book.admit(lease, tenant) for _ in range(count))


def test_a_tenant_has_so_many_over_all_its_leases() -> None:
    book = SideBook(tenant_max=10, host_max=100)
    assert admitted(book, "a", "one", 8) == 8
    assert admitted(book, "b", "one", 8) == 2
    assert "tenant one has 10 side links" in book.admit("b", "one")
    assert admitted(book, "c", "two", 8) == 8
    book.over("a")
    assert admitted(book, "b", "one", 8) == 8
    assert book.refused == 7


def test_a_host_has_so_many_over_all_tenants() -> None:
    book = SideBook(tenant_max=10, host_max=15)
    assert admitted(book, "a", "one", 10) == 10
    assert admitted(book, "b", "two", 10) == 5
    assert "the host has 15 side links" in book.admit("b", "two")


def test_a_lease_has_no_more_than_a_worker_holds_and_one_that_is_over_makes_room() -> None:
    book = SideBook(tenant_max=2 * SIDES_LEASE_MAX, host_max=2 * SIDES_LEASE_MAX)
    assert admitted(book, "a", "one", 2 * SIDES_LEASE_MAX) == SIDES_LEASE_MAX
    assert "the lease has 16 side links" in book.admit("a", "one")
    book.ended("a")
    assert admitted(book, "a", "one", 2) == 1
    assert book.held == SIDES_LEASE_MAX
    book.over("a")
    # What it held is heard of later.
    book.ended("a")
    assert book.held == 0


def test_one_is_there_until_it_is_over_whoever_says_what() -> None:
    """By a worker that shuts it down, or a client that resets it; not by one that has it closed."""
    ended: list[str] = []

    async def watch() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        clients: list[socket.socket] = []
        workers: list[socket.socket] = []
        watch = SideWatch(ended.append)
        for lease in ("shut", "reset", "kept", "gone"):
            clients.append(socket.create_connection(listener.getsockname()))
            workers.append(listener.accept()[0])
            watch.add(lease, workers[-1])
        workers[0].shutdown(socket.SHUT_RDWR)
        clients[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        clients[1].close()
        workers[2].close()
        watch.over("gone")
        async with asyncio.timeout(PATIENCE_S):
            while len(ended) < 2:
                await asyncio.sleep(0)
        assert repr(watch) == "SideWatch(1 side links)"
        # The client of the one that is kept has not been told of an end, that of the other has.
        clients[2].setblocking(False)
        with pytest.raises(BlockingIOError):
            clients[2].recv(1)
        workers[3].close()
        assert clients[3].recv(1) == b""
        watch.close()
        for each in (listener, *clients, *workers):
            each.close()

    asyncio.run(watch())
    assert sorted(ended) == ["reset", "shut"]


def test_who_is_refused_is_closed_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    book = SideBook(tenant_max=0, host_max=1)

    async def knock() -> bytes:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.setblocking(False)
        doorway = Doorway(
            [(listener, parse(f"tcp://127.0.0.1:{port}", ("tcp",)))],
            lambda _token, _sock, _peer, _is_side: book.admit("a", "one"),
            SYSTEM_CLOCK,
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SIDE_MAGIC + bytes(TOKEN_BYTES))
        rest = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        assert doorway.statistics().refused == 1
        doorway.close()
        return rest

    with caplog.at_level(logging.WARNING, "gond.doorway"):
        assert asyncio.run(knock()) == b""
    assert "tenant one has 0 side links, as many as one may" in caplog.text
