"""The directories of workers: all that one leaves goes, whatever it is, and holds up nobody."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from gon_server import clearing, workplaces
from gon_server.workplaces import Workplaces

PR_GET_PDEATHSIG, SIGKILL = 2, 9
# More than a path of the kernel's can name, and more than descriptors or calls can be nested.
DEEP, NAME = 1100, "deep"

# Other tests of this process may have imported JAX, which warns of every fork.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")


def reap(pid: int | None) -> None:
    """Wait for what removes, which there is."""
    assert pid is not None
    assert os.waitpid(pid, 0) == (pid, 0)


def leave_much(place: Path, depth: int = DEEP) -> None:
    """Leave what nothing removes that works by names, recurses, or stops at an error."""
    (place / "closed" / "in").mkdir(parents=True)
    (place / "closed" / "in" / "file").write_bytes(b"x")
    (place / "closed" / "in").chmod(0)
    (place / "closed").chmod(0)
    (place / "out").symlink_to(place.parent.parent.parent)
    above = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(NAME, dir_fd=above)
        below = os.open(NAME, os.O_RDONLY, dir_fd=above)
        os.symlink("/", "link", dir_fd=above)
        os.close(above)
        above = below
    os.close(above)
    place.chmod(0)


def test_all_goes_that_a_worker_leaves(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"not a worker's")
    places = Workplaces(tmp_path)
    assert places.sweep() is None
    place, empty = places.make(1), places.make(2)
    leave_much(place)
    reap(places.remove(1))
    assert places.remove(2) is None
    assert not place.exists()
    assert not empty.exists()
    left = places.make(3)
    leave_much(left, 2)
    # As after a kill: the next life begins beside what was left, with the same numbers.
    after = Workplaces(tmp_path)
    remover = after.sweep()
    assert after.make(3).parent != left.parent
    reap(remover)
    assert after.sweep() is None
    assert list((tmp_path / "workers").iterdir()) == [after.make(4).parent]
    after.close()
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_what_removes_has_no_files_and_ends_with_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(place: Path) -> None:
        signal = ctypes.c_int()
        ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(signal), 0, 0, 0)
        # The last one lists them.
        files = sorted(int(each.name) for each in Path("/proc/self/fd").iterdir())
        (tmp_path / "told").write_text(f"{signal.value} {files}")
        clearing.clear(place)

    monkeypatch.setattr(workplaces, "clear", tell)
    places = Workplaces(tmp_path)
    places.sweep()
    (places.make(1) / "file").write_bytes(b"")
    with (tmp_path / "other").open("wb"):
        reap(places.remove(1))
    assert (tmp_path / "told").read_text() == f"{SIGKILL} [0, 1, 2, 3]"


def test_what_cannot_be_removed_is_told_of_and_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unlink = os.unlink

    def refuse(name: str, *, dir_fd: int | None = None) -> None:
        if name == "stays":
            raise PermissionError("it is a test")
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    place = tmp_path / "place"
    (place / "a").mkdir(parents=True)
    for name in ("first", "stays", "zlast"):
        (place / "a" / name).write_bytes(b"")
    clearing.clear(place)
    assert "cannot be removed: it is a test" in caplog.text
    assert [each.name for each in (place / "a").iterdir()] == ["stays"]
