"""Every transport is a link: one suite, run over all of them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from gon.testing.links import CHECKS, COPY_FREE_CHECKS, Check, Pair
from gon.transport.base import Listener
from gon.transport.inproc import inproc_pair
from gon.transport.registry import connect, listen
from tests.bundles import bundle_pair

PREAMBLE = b"preamble of the tests"
CONNECT_S = 10.0


def uri_of(transport: str, folder: Path) -> str:
    if transport == "vsock":
        skip_without_vsock()
        return "vsock://1:0"
    return {
        "tcp": "tcp://127.0.0.1:0",
        "tcp6": "tcp://[::1]:0",
        "unix": f"unix://{folder}/link",
        "shm": f"shm://{folder}/shm",
        "zmq-tcp": "zmq+tcp://127.0.0.1:*",
        "zmq-ipc": f"zmq+ipc://{folder}/zmq",
    }[transport]


def skip_without_vsock() -> None:
    """Skip where this kernel has no vsock, or none that reaches itself, and for no other reason."""
    try:
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as sock:
            sock.bind((1, socket.VMADDR_PORT_ANY))
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            pytest.skip(f"no vsock loopback: {error.strerror}")
        raise


@contextmanager
def listening(transport: str, folder: Path) -> Generator[Listener]:
    listener = listen(uri_of(transport, folder), PREAMBLE)
    try:
        yield listener
    finally:
        listener.close()


@pytest.fixture(params=["tcp", "tcp6", "unix", "vsock", "zmq-tcp", "zmq-ipc"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    with listening(str(request.param), tmp_path) as open_listener:
        yield open_listener


@pytest.fixture
def shm_listener(tmp_path: Path) -> Iterator[Listener]:
    with listening("shm", tmp_path) as open_listener:
        yield open_listener


def pair_maker(listener: Listener) -> Callable[[], Pair]:
    def make_pair() -> Pair:
        with ThreadPoolExecutor(1) as thread:
            # Both at once: the end that connects through shared memory waits for the other.
            accepted = thread.submit(listener.accept, CONNECT_S)
            here = connect(listener.uri, PREAMBLE)
            there = accepted.result()
        assert there is not None
        return here, there

    return make_pair


def reversed_maker(listener: Listener) -> Callable[[], Pair]:
    make_pair = pair_maker(listener)

    def make_reversed() -> Pair:
        here, there = make_pair()
        return there, here

    return make_reversed


def name_of(check: Check) -> str:
    return check.__name__.removeprefix("check_")


@pytest.mark.parametrize("check", [*CHECKS, *COPY_FREE_CHECKS], ids=name_of)
def test_a_transport_keeps_the_contract(listener: Listener, check: Check) -> None:
    check(pair_maker(listener))


@pytest.mark.parametrize("check", [*CHECKS, *COPY_FREE_CHECKS], ids=name_of)
def test_a_transport_keeps_the_contract_the_other_way_round(
    listener: Listener, check: Check
) -> None:
    """The end that was accepted is an end like the one that connected."""
    check(reversed_maker(listener))


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_shared_memory_keeps_the_contract(shm_listener: Listener, check: Check) -> None:
    """It copies by our own code, once at each end: there is nothing below it that could."""
    check(pair_maker(shm_listener))


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_shared_memory_keeps_the_contract_the_other_way_round(
    shm_listener: Listener, check: Check
) -> None:
    check(reversed_maker(shm_listener))


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_inproc_keeps_the_contract(check: Check) -> None:
    check(inproc_pair)


@pytest.mark.parametrize("sides", [1, 3])
@pytest.mark.parametrize("check", [*CHECKS, *COPY_FREE_CHECKS], ids=name_of)
def test_a_link_with_side_links_keeps_the_contract(check: Check, sides: int) -> None:
    check(lambda: bundle_pair(sides))
