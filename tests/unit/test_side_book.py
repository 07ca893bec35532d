"""How many side links a tenant's leases and a host's may have; what a refused client is told."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from gon.addresses import parse
from gon.clock import SYSTEM_CLOCK
from gon.limits import SIDE_MAGIC, TOKEN_BYTES
from gon.side_limits import SIDES_LEASE_MAX
from gon_server.doorway import Doorway
from gon_server.side_book import SideBook
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


def test_a_lease_counts_for_no_more_than_its_worker_holds() -> None:
    """It closes one for each that comes beyond that, so nothing speaks against more."""
    book = SideBook(tenant_max=SIDES_LEASE_MAX, host_max=SIDES_LEASE_MAX)
    assert admitted(book, "a", "one", 5 * SIDES_LEASE_MAX) == 5 * SIDES_LEASE_MAX
    assert book.held == SIDES_LEASE_MAX
    book.over("a")
    book.over("a")
    assert book.held == 0


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
