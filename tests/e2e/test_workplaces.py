"""The directory that each worker has for itself, and that nothing of it stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import gon
from tests.e2e.gond_process import Gond, gone, real_gond, until


def leave_things(directory: Path) -> None:
    """Leave what a compiler would that was killed, with a link out."""
    kept = directory.parent.parent.parent / "kept"
    kept.write_text("not a worker's")
    (directory / "deep" / "er").mkdir(parents=True)
    (directory / "deep" / "file").write_text("rest")
    (directory / "link").symlink_to(kept.parent)


def test_a_worker_s_directory_is_its_own_and_goes_with_it(tmp_path: Path) -> None:
    with Gond(tmp_path) as gond:
        until(lambda: len(gond.workers()) == 2, "the pool is full")
        workers = gond.workers()
        places = [Path(each.cwd()) for each in workers]
        assert len(set(places)) == 2
        for place in places:
            assert place.parent.parent == tmp_path / "state" / "workers"
            assert not list(place.iterdir())
            assert place.stat().st_mode & 0o077 == 0
        leave_things(places[0])
        for worker in workers:
            worker.kill()
        until(lambda: not any(each.exists() for each in places), "the directories are removed")
        assert (tmp_path / "state" / "kept").read_text() == "not a worker's"


def test_nothing_that_tenants_compile_is_kept_on_disk(tmp_path: Path) -> None:
    """A disk without room would end every worker that keeps something there."""
    with real_gond(tmp_path) as gond, gon.connect(gond.tcp) as host, host.acquire() as device:
        module = device.compile("kernel void one(global int *x) { x[0] = 1; }")
        x = device.zeros(1, np.int32)
        gon.launch(device.default_stream, gon.LaunchConfig(1), module.get_kernel("one"), x)
        assert x.get().tolist() == [1]
        left = [each for each in (tmp_path / "state" / "workers").rglob("*") if each.is_file()]
        # PoCL, where a host has it, leaves an empty file as soon as it is loaded.
        assert [each for each in left if each.stat().st_size] == []


def test_what_a_killed_gond_left_goes_at_the_next_start(tmp_path: Path) -> None:
    with Gond(tmp_path) as gond:
        until(lambda: len(gond.workers()) == 2, "the pool is full")
        workers = gond.workers()
        left = Path(workers[0].cwd())
        leave_things(left)
        gond.kill()
        gone(workers)
    assert (left / "deep" / "file").exists()
    with Gond(tmp_path) as gond:
        until(lambda: not left.parent.exists(), "what was left is removed")
        life = left.parent.parent
        until(lambda: len(list(life.glob("*/*"))) == 2, "the new workers have theirs")
        assert (tmp_path / "state" / "kept").exists()
