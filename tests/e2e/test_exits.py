"""Programs that end without closing their device: its slices are free again when they have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.gond_process import PATIENCE_S, Gond, all_free, real_gond

LEASES = """
import atexit, multiprocessing, os, signal, sys, threading
from gon_client.connect import connect
host = connect()
device = host.acquire()
x = device.zeros(10)
"""
FORKS = """
kept = []
def other():
    kept.append(connect().acquire())
child = multiprocessing.get_context("fork").Process(target=other)
child.start()
child.join()
sys.exit(child.exitcode)
"""
ENDINGS = {
    "falls off the end": ("", 0),
    "leaves by an exception": ("raise LookupError", 1),
    "exits": ("sys.exit(5)", 5),
    "is interrupted": ("os.kill(os.getpid(), signal.SIGINT); device.sync()", -2),
    "uses it at exit": ("atexit.register(lambda: print(x.get()))", 0),
    "forks": ("sys.exit(os.fork() and os.wait()[1])", 0),
    "forks by multiprocessing": (FORKS, 0),
}


@pytest.fixture(scope="module")
def gond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    with real_gond(tmp_path_factory.mktemp("gond"), unit="soft=null:") as running:
        yield running


@pytest.mark.parametrize(("ending", "status"), ENDINGS.values(), ids=ENDINGS)
def test_what_is_left_open_is_given_back(gond: Gond, ending: str, status: int) -> None:
    root = Path(__file__).parents[2]
    paths = [str(root / each) for each in (".", "server", "client", "shim")]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", LEASES + ending],
        env={**os.environ, "GON_HOST": gond.tcp, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == status, ended.stderr
    assert "Error" not in ended.stderr.replace("LookupError", "")
    with closing(gond.channel()) as channel:
        assert all_free(channel)
