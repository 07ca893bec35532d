"""How TCP sockets are set up to send at once."""

from __future__ import annotations

import socket
import struct

import pytest

from gon.errors import LinkLost
from gon.transport.stream import StreamLink

LONGEST_NAME = 16


def control_of(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, LONGEST_NAME).rstrip(b"\0")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_nothing_paces_what_stays_within_a_machine(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        server = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip("this machine has no such address")
    with server:
        client = socket.create_connection(server.getsockname()[:2])
        for sock in (client, server.accept()[0]):
            link = StreamLink(sock, "tcp://test")
            assert control_of(sock) == b"reno"
            link.close()


def test_another_machines_connection_has_the_hosts_choice() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        usual = control_of(server)
        source = ("127.0.0.1", 0)
        client = socket.create_connection(server.getsockname(), source_address=source)
        link = StreamLink(client, "tcp://test")
        assert control_of(client) == usual
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        link.close()


def test_a_connection_that_is_reset_before_it_is_accepted_is_lost_where_it_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        link = StreamLink(server.accept()[0], "tcp://test")
        with pytest.raises(LinkLost):
            link.receive()
        link.close()
