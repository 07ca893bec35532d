"""Seeded hostile clients against real workers: a neighbour's session goes on, gond is well, and
nothing is left of them. tests/sim/test_hostile_sim.py tries far more of them in one process.
"""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

import gon
from gon.limits import MIB
from gon_client.control import ControlChannel, LeaseState
from tests.e2e.gond_process import PATIENCE_S, Gond, connect, gone, real_gond
from tests.sim.hostile import Hostile, recorded

SEEDS = 3
SESSIONS = 4
# A worker with a runtime loaded, twice over.
WORKER_BYTES_MAX = 600 * MIB


@pytest.mark.parametrize("unit", ["soft=opencl:,slices=4", "soft=sim:,slices=4"])
def test_hostile_clients_harm_nobody_else(tmp_path: Path, unit: str) -> None:
    with (
        real_gond(tmp_path, unit=unit) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire() as neighbour,
        closing(gond.channel()) as channel,
    ):
        x = neighbour.asarray(np.arange(1000))
        for seed in range(SEEDS):
            frames = recorded(seed)
            for number in range(SESSIONS):
                _attack(gond, channel, Hostile(frames, 1000 * seed + number).session())
                assert x.get().tolist() == list(range(1000))
        assert gon.stats(neighbour).counts.resumed == 0
        assert channel.describe().units[0].slices_free == 3
        assert "Traceback" not in gond.output


def _attack(gond: Gond, channel: ControlChannel, raw: bytes) -> None:
    """Be a client that sends `raw`; its worker ends the link, and only that."""
    lease = channel.acquire(link="tcp", personalities=("gpu", "dpu"))
    worker = gond.serving()
    with connect(lease.endpoint, lease.token) as sock, ThreadPoolExecutor(1) as threads:
        ending = threads.submit(_drain, sock)
        with suppress(OSError):  # the link may have ended already
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
        ending.result(PATIENCE_S)
    assert worker.memory_info().rss < WORKER_BYTES_MAX
    assert channel.inspect(lease.id, lease.token).state is LeaseState.READY
    channel.release(lease.id, lease.token)
    assert gone([worker])


def _drain(sock: socket.socket) -> None:
    with suppress(ConnectionError):
        while sock.recv(65_536):
            pass
