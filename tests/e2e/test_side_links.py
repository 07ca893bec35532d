"""Side links of a real gond's worker: opened, used and closed in the middle of transfers."""

from __future__ import annotations

import numpy as np
import pytest

import gon
from gon.clock import SYSTEM_CLOCK
from gon.limits import MIB, SIDE_MAGIC
from gon_client.bench.detour import open_detour
from gon_client.bench.distance import distance
from tests.e2e.gond_process import PATIENCE_S, Gond, connect
from tests.forced_side_links import force_side_links


def transfer(device: gon.Device, turns: int) -> None:
    chance = np.random.default_rng(turns)
    for _ in range(turns):
        data = chance.integers(0, 1 << 32, MIB, dtype=np.uint32)
        np.testing.assert_array_equal(device.asarray(data).get(), data)


def transfer_until_there_were_some(device: gon.Device) -> None:
    end_s = SYSTEM_CLOCK.now_s() + PATIENCE_S
    while not gon.stats(device).counts.side_links_added:
        assert SYSTEM_CLOCK.now_s() < end_s
        transfer(device, 1)


def test_they_come_and_go_behind_the_proxy(
    soft_gond: Gond, monkeypatch: pytest.MonkeyPatch
) -> None:
    force_side_links(monkeypatch, 1, threads=True)
    with (
        open_detour(distance("tcp+1ms~1024k")) as detour,
        detour.connect(soft_gond.tcp) as host,
        host.acquire(link="tcp") as device,
    ):
        transfer_until_there_were_some(device)
        transfer(device, 10)
        counts = gon.stats(device).counts
        assert counts.resumed == 0
        assert f"{counts.side_links_added} ever" in str(gon.stats(device))


@pytest.mark.parametrize("link", ["unix", "shm", "zmq"])
def test_no_other_link_has_any(soft_gond: Gond, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    force_side_links(monkeypatch, 1, threads=True)
    with gon.connect(soft_gond.tcp) as host, host.acquire(link=link) as device:
        transfer(device, 10)
        assert gon.stats(device).counts.side_links_added == 0


def test_one_that_nobody_adds_disturbs_nobody(soft_gond: Gond) -> None:
    channel = soft_gond.channel()
    lease = channel.acquire(link="tcp")
    with connect(lease.endpoint, lease.token, SIDE_MAGIC) as side:
        assert side.recv(1), "its ticket"
    channel.release(lease.id, lease.token)
    channel.close()
