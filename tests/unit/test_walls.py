"""The walls around workers: what they keep from one, and that what it needs is not in it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from gon.errors import ConfigError
from gon_server import landlock, seccomp, walls
from gon_server.walls import NO_WALLS, Walls

THERE = walls.possible()
ALL = Walls(files=True, calls=True)
FILES = ("read", "list", "write", "write system")
OTHERS = (
    "connect", "socket", "mode", "owner", "times", "attribute", "truncate", "watch", "datagrams",
    "fast open", "limits of another", "priority", "policy", "another policy",
    "signals by fcntl",    "signals by ioctl", "queue", "shared memory", "namespaces",
)  # fmt: skip
LEFT = (
    "own mode", "own policy", "own limits", "send",
    "own file", "library", "processors", "passed socket", "thread", "memory", "signal to itself",
)  # fmt: skip


def tried(directory: Path, role: str, policy: int) -> dict[str, str]:
    """Return what came of each attempt within the walls of a role."""
    workplace, secret = directory / "workplace", directory / "others" / "secret"
    workplace.mkdir()
    secret.parent.mkdir()
    secret.write_text("nobody's")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.tried_walls", str(workplace), str(secret), role, str(policy)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, str] = json.loads(ended.stdout)
    return found


@pytest.mark.skipif(THERE != ALL, reason=f"walls of this kernel: {THERE}")
@pytest.mark.parametrize(
    ("role", "policy"),
    [
        ("lease", os.SCHED_OTHER),
        ("zmq", os.SCHED_OTHER),
        ("builder", os.SCHED_OTHER),
        # As a real-time one is, but everybody's to have.
        ("zmq", os.SCHED_BATCH),
    ],
)
def test_a_worker_reaches_what_it_needs_and_nothing_else(
    tmp_path: Path, role: str, policy: int
) -> None:
    found = tried(tmp_path, role, policy)
    refused = [*FILES, *OTHERS]
    if role != "builder":
        refused += ["exec", "fork", "signal", "stay"]
    elif landlock.abi() >= landlock.SCOPES_SINCE:
        refused.append("signal")
    assert {name for name, error in found.items() if error} == set(refused)
    assert {found[name] for name in refused} == {"PermissionError"}
    assert not any(found[name] for name in LEFT)


def test_walls_are_what_the_kernel_has_or_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert walls.wanted("off") == NO_WALLS
    monkeypatch.setattr(landlock, "abi", lambda: landlock.MOVES_SINCE)
    monkeypatch.setattr(seccomp, "is_there", lambda: True)
    assert walls.wanted("auto") == walls.wanted("required") == ALL
    assert str(ALL) == "files and system calls"
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert walls.wanted("auto") == Walls(calls=True)
    with pytest.raises(ConfigError, match="required; this host has for workers: system calls"):
        walls.wanted("required")
    monkeypatch.undo()
    # A machine whose calls nobody has written down has none of these walls.
    monkeypatch.setattr(platform, "machine", lambda: "sparc64")
    assert not seccomp.is_there()
