"""Devices that nobody closes: their slices are free again once they are forgotten, or the program
has ended.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import gon
from gon.errors import HostUnreachable
from tests.e2e.gond_process import PATIENCE_S, Gond, all_free, real_gond, until

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


def run(gond: Gond, code: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    paths = [str(root / each) for each in (".", "server", "client", "shim")]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "GON_HOST": gond.tcp, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize(("ending", "status"), ENDINGS.values(), ids=ENDINGS)
def test_what_is_left_open_is_given_back(gond: Gond, ending: str, status: int) -> None:
    ended = run(gond, LEASES + ending)
    assert ended.returncode == status, ended.stderr
    assert "Error" not in ended.stderr.replace("LookupError", "")
    with closing(gond.channel()) as channel:
        assert all_free(channel)


def test_what_is_registered_before_the_first_device_is_told_that_it_is_over(gond: Gond) -> None:
    ended = run(gond, f"import atexit\natexit.register(lambda: device.sync()){LEASES}")
    assert "LEASE_LOST" in ended.stderr
    with closing(gond.channel()) as channel:
        assert all_free(channel)


def use(device: gon.Device) -> None:
    """Have one of each noun."""
    x = device.asarray([1, 2, 3])
    event = device.create_event()
    stream = device.create_stream()
    stream.record(event)
    x.get_async(stream=stream).result()
    device.sync()


def test_a_device_that_is_forgotten_is_given_back(gond: Gond) -> None:
    with gon.connect(gond.tcp) as host, closing(gond.channel()) as channel:
        device = host.acquire()
        use(device)
        x = device.zeros(3)
        del device
        gc.collect()
        assert x.get().tolist() == [0, 0, 0], "what is of it keeps it"
        assert not all_free(channel)
        del x
        gc.collect()
        until(lambda: all_free(channel), "the slices are free")


def test_a_host_that_is_closed_gives_back_what_is_closed_later(gond: Gond) -> None:
    host = gon.connect(gond.tcp)
    devices = [host.acquire() for _ in range(2)]
    host.close()
    with pytest.raises(HostUnreachable, match="is closed"):
        host.acquire()
    for device in devices:
        use(device)
        device.close()
    with closing(gond.channel()) as channel:
        assert all_free(channel)
