"""What outlives a restart, and addresses taken: against real files and sockets."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gon import addresses
from gon.addresses import Address
from gon.errors import ConfigError
from gon_server.listening import claim_path, listen
from gon_server.state import StateDirectory


def test_each_start_has_the_next_epoch(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        with StateDirectory(tmp_path / "state") as state:
            assert state.next_epoch() == epoch
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_directory_serves_one_daemon(tmp_path: Path) -> None:
    with StateDirectory(tmp_path), pytest.raises(ConfigError, match=r"another gond runs"):
        StateDirectory(tmp_path)
    StateDirectory(tmp_path).close()


@pytest.mark.parametrize("content", ["", "x", "-3", "2.5", str(1 << 31)])
def test_an_epoch_that_cannot_be_understood_is_not_guessed(tmp_path: Path, content: str) -> None:
    (tmp_path / "epoch").write_text(content)
    with StateDirectory(tmp_path) as state, pytest.raises(ConfigError, match=r"epoch"):
        state.next_epoch()
    assert (tmp_path / "epoch").read_text() == content


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"state_dir .*file cannot be used"):
        StateDirectory(tmp_path / "file")


def test_a_new_directory_of_a_socket_is_private(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s.sock"
    sock, bound = listen(Address("unix", path=str(path)))
    with sock:
        assert str(bound) == f"unix://{path}"
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_dead_socket_is_replaced_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        with pytest.raises(ConfigError, match=r"a daemon listens on unix://.*s\.sock already"):
            claim_path(path)
    assert path.exists()
    claim_path(path)
    assert not path.exists()


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.write_text("mine")
    with pytest.raises(ConfigError, match=r"is a file that is no socket"):
        claim_path(path)
    assert path.read_text() == "mine"


def test_a_port_in_use_is_named() -> None:
    sock, bound = listen(addresses.parse("tcp://127.0.0.1:0", ("tcp",)))
    with sock:
        assert bound.port != 0
        with pytest.raises(ConfigError, match=rf"cannot listen on tcp://127.0.0.1:{bound.port}"):
            listen(bound)
