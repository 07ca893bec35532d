"""Where a program finds its gond when it names none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gon_client.connect import default_address

USER = 4711


def test_the_environment_wins() -> None:
    environ = {"GON_HOST": "gon://far:1", "XDG_RUNTIME_DIR": "/nowhere"}
    assert default_address(environ, USER) == "gon://far:1"


def test_the_users_own_socket_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "gon" / "gond.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        assert default_address({"XDG_RUNTIME_DIR": str(tmp_path)}, USER) == f"unix://{path}"


def test_without_a_socket_it_is_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A gond of the system may run here.
    def no_socket(_path: Path) -> bool:
        return False

    monkeypatch.setattr(Path, "is_socket", no_socket)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert default_address(environ, USER) == "gon://127.0.0.1:7070"


def test_a_directory_that_one_may_not_enter_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(os.strerror(13))

    monkeypatch.setattr(Path, "is_socket", refuse)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert default_address(environ, USER) == "gon://127.0.0.1:7070"
