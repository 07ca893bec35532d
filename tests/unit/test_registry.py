"""Links by URI: what connects, what is refused, and who is let in."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gon.errors import ConfigError, HostUnreachable, InvalidArgument, LinkLost
from gon.transport.base import Listener
from gon.transport.framing import MAGIC, PREFIX
from gon.transport.registry import connect, listen
from gon.transport.sockets import StreamListener, connect_stream

PREAMBLE = b"preamble of the tests"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "tcp://",
        "tcp://host",
        "tcp://host:port",
        "tcp://host:70000",
        "tcp://host:1/path",
        "unix://relative/path",
        "unix://",
        "shm://relative/path",
        "shm://host:1",
        "vsock://host:1",
        "vsock://3",
        "http://host:80",
        "zmq+udp://host:1",
        "zmq+tcp://nonsense",
        "zmq://host:1",
    ],
)
def test_a_uri_that_is_none_is_an_invalid_argument(uri: str) -> None:
    with pytest.raises(InvalidArgument):
        connect(uri, PREAMBLE, 1)


@pytest.mark.parametrize("scheme", ["tcp", "unix", "shm", "zmq+tcp", "zmq+ipc"])
def test_nobody_there_is_host_unreachable(scheme: str, tmp_path: Path) -> None:
    if scheme.endswith("tcp"):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
    else:
        address = f"{tmp_path}/nobody"
    with pytest.raises(HostUnreachable, match=address):
        connect(f"{scheme}://{address}", PREAMBLE, 5)


def test_a_silent_zmq_peer_is_host_unreachable() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(HostUnreachable, match="in time"),
    ):
        connect(f"zmq+tcp://127.0.0.1:{server.getsockname()[1]}", PREAMBLE, 0.1)


@pytest.mark.parametrize("scheme", ["tcp", "zmq+tcp"])
def test_an_address_in_use_is_a_config_error(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(ConfigError):
        listen(f"{scheme}://127.0.0.1:{server.getsockname()[1]}", PREAMBLE)


@pytest.fixture(params=["tcp://127.0.0.1:0", "unix://@gon-test-{pid}", "zmq+tcp://127.0.0.1:*"])
def listener(request: pytest.FixtureRequest) -> Listener:
    # Names without a file are the machine's, and these tests may run beside themselves.
    return listen(str(request.param).format(pid=os.getpid()), PREAMBLE)


def test_accept_gives_up_in_time_and_at_once_when_closed(listener: Listener) -> None:
    assert listener.accept(0) is None
    assert listener.accept(0.01) is None
    with ThreadPoolExecutor(1) as thread:
        blocked = thread.submit(listener.accept)
        assert listener.uri
        listener.close()
        with pytest.raises(LinkLost):
            blocked.result(10)
    with pytest.raises(LinkLost):
        listener.accept(0)
    listener.close()


def test_a_wrong_preamble_is_dropped_without_a_word_and_the_next_comes_in(
    listener: Listener,
) -> None:
    wrong = connect(listener.uri, b"x" * len(PREAMBLE))
    right = connect(listener.uri, PREAMBLE)
    there = listener.accept(10)
    assert there is not None
    right.send(b"hello")
    assert there.receive(10) == b"hello"
    for link in (wrong, right, there):
        link.close()
    listener.close()


def test_no_byte_behind_the_preamble_is_swallowed() -> None:
    listener = StreamListener("tcp://127.0.0.1:0", PREAMBLE)
    with connect_stream(listener.uri) as sock:
        sock.sendall(PREAMBLE + PREFIX.pack(5, 0, MAGIC) + b"first")
        there = listener.accept(10)
        assert there is not None
        assert there.receive(10) == b"first"
        there.close()
    listener.close()


def test_a_peer_that_never_shows_its_preamble_does_not_keep_others_out() -> None:
    listener = StreamListener("tcp://127.0.0.1:0", PREAMBLE, handshake_s=0.05)
    with connect_stream(listener.uri) as silent, connect_stream(listener.uri) as halting:
        halting.sendall(PREAMBLE[:-1])
        right = connect(listener.uri, PREAMBLE)
        there = listener.accept(10)
        assert there is not None
        assert silent.recv(1) == b""
        right.close()
        there.close()
    listener.close()


def test_a_socket_file_is_gone_with_its_listener(tmp_path: Path) -> None:
    path = tmp_path / "link"
    listener = listen(f"unix://{path}", PREAMBLE)
    assert path.exists()
    listener.close()
    assert not path.exists()
