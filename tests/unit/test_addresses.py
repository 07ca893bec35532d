"""Addresses: what is understood, what is refused, what counts as local."""

from __future__ import annotations

import pytest

from gon import addresses
from gon.addresses import Address
from gon.errors import InvalidArgument

ALL = ("unix", "shm", "gon", "tcp", "zmq+tcp")


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("gon://127.0.0.1:7070", Address("gon", "127.0.0.1", 7070)),
        ("gon://node7", Address("gon", "node7", addresses.CONTROL_PORT)),
        ("gon://[::1]:9", Address("gon", "::1", 9)),
        ("tcp://0.0.0.0:0", Address("tcp", "0.0.0.0", 0)),
        ("zmq+tcp://node7:5", Address("zmq+tcp", "node7", 5)),
        ("unix:///run/gon/gond.sock", Address("unix", path="/run/gon/gond.sock")),
        ("shm:///run/gon/data.sock", Address("shm", path="/run/gon/data.sock")),
    ],
)
def test_addresses_are_understood(uri: str, address: Address) -> None:
    assert addresses.parse(uri, ALL) == address
    assert addresses.parse(str(address), ALL) == address


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "127.0.0.1:7070",
        "http://127.0.0.1",
        "gon://",
        "gon://host:notaport",
        "gon://host:70000",
        "gon://host/path",
        "gon://user@host",
        "gon://[::1",
        "tcp://host",
        "unix://relative",
        "unix:relative",
        "unix:///",
        "unix:///" + "x" * 107,
    ],
)
def test_others_are_refused(uri: str) -> None:
    with pytest.raises(InvalidArgument, match=r"address"):
        addresses.parse(uri, ALL)


def test_a_scheme_that_is_not_wanted_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"gon://HOST:PORT"):
        addresses.parse("tcp://a:1", ("gon",))


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("unix:///a", True),
        ("gon://127.3.2.1", True),
        ("gon://[::1]", True),
        ("gon://localhost", True),
        ("gon://0.0.0.0", False),
        ("gon://[::]", False),
        ("gon://10.0.0.1", False),
        ("gon://localhost.example.org", False),
    ],
)
def test_local_is_what_only_this_machine_reaches(uri: str, local: bool) -> None:
    assert addresses.parse(uri, ALL).is_local is local


def test_the_usual_socket_lies_where_only_its_user_is() -> None:
    def path(environ: dict[str, str], uid: int) -> str:
        return addresses.control_socket(environ, uid).path

    assert path({"XDG_RUNTIME_DIR": "/run/user/5"}, 0) == "/run/gon/gond.sock"
    assert path({"XDG_RUNTIME_DIR": "/run/user/5"}, 5) == "/run/user/5/gon/gond.sock"
    assert path({"HOME": "/h"}, 5) == "/h/.local/state/gon/gond.sock"
