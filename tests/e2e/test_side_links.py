"""Side links of a real gond's worker: opened, used and closed in the middle of transfers."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import numpy as np
import pytest

import gon
import gon_client.connect
from gon.clock import SYSTEM_CLOCK
from gon.limits import MIB, SIDE_MAGIC
from gon.transport.base import Link
from gon_client.bench.detour import open_detour
from gon_client.bench.distance import distance
from gon_client.width import Width
from tests.e2e.cutting_proxy import CuttingProxy
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


class FourAlways(Width):
    """A policy that wants four, whatever they carry."""

    def look(self, now_s: float) -> None:
        self.wanted = max(self.wanted, 4)


def test_one_that_is_cut_in_the_middle_of_a_transfer_costs_only_itself(
    soft_gond: Gond, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gon_client.side_links.Width", FourAlways)
    monkeypatch.setattr("gon_client.side_links.ROUND_TRIP_S", 0.0)
    proxies: list[CuttingProxy] = []
    connect_link = gon_client.connect.connect_link

    def through(uri: str, preamble: bytes, timeout_s: float) -> Link:
        if not proxies:
            host = urlsplit(uri)
            assert host.hostname is not None
            assert host.port is not None
            target = host.hostname, host.port
            proxies.append(CuttingProxy(target, seed=1, cuts=0, mean_bytes=1))
        return connect_link(f"tcp://127.0.0.1:{proxies[0].port}", preamble, timeout_s)

    monkeypatch.setattr("gon_client.connect.connect_link", through)
    with gon.connect(soft_gond.tcp) as host, host.acquire(link="tcp") as device:
        transfer_until_there_were_some(device)
        # The link came first; the ones behind it carry what is on its way now, up or down.
        for lost, number in enumerate((2, 3), 1):
            threading.Timer(0.05, proxies[0].break_one, (number,)).start()
            end_s = SYSTEM_CLOCK.now_s() + PATIENCE_S
            while gon.stats(device).counts.side_links_lost < lost:
                assert SYSTEM_CLOCK.now_s() < end_s
                transfer(device, 4)
        counts = gon.stats(device).counts
        assert (counts.resumed, counts.side_links_added, counts.side_links) == (0, 4, 2)
        assert "2 lost" in str(gon.stats(device))
    proxies[0].close()


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
