"""Links that break anywhere, between real processes: nothing is lost, nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest

import gon
import gon_client.connect
from gon.transport.base import Link
from tests.e2e.cutting_proxy import CuttingProxy
from tests.e2e.gond_process import Gond, real_gond

ADD = """
kernel void add(global int *x, int by) { x[get_global_id(0)] += by; }
"""


class Proxied:
    """Sends the data links of this process through proxies made by `make`."""

    def __init__(self) -> None:
        self.seed = 0
        self.cuts = 0
        self.mean_bytes = 1
        self.proxy: CuttingProxy | None = None

    def connect(self, uri: str, preamble: bytes, timeout_s: float) -> Link:
        parts = urlsplit(uri)
        if self.proxy is None:
            assert parts.hostname is not None
            assert parts.port is not None
            self.proxy = CuttingProxy(
                (parts.hostname, parts.port),
                seed=self.seed,
                cuts=self.cuts,
                mean_bytes=self.mean_bytes,
            )
        return original(f"tcp://127.0.0.1:{self.proxy.port}", preamble, timeout_s)


original = gon_client.connect.connect_link


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxied]:
    proxied = Proxied()
    monkeypatch.setattr(gon_client.connect, "connect_link", proxied.connect)
    yield proxied
    if proxied.proxy is not None:
        proxied.proxy.close()


@pytest.mark.parametrize("seed", range(4))
def test_replays_happen_once_however_often_the_link_breaks(
    soft_gond: Gond, proxied: Proxied, seed: int
) -> None:
    # A replay takes few bytes, so the link breaks after few.
    proxied.seed, proxied.cuts, proxied.mean_bytes = seed, 12, 4_000
    chance = np.random.default_rng(seed)
    with gon.connect(soft_gond.tcp) as host, host.acquire(link="tcp") as device:
        add = device.compile(ADD).get_kernel("add")
        counters, total = device.zeros(256, np.int32), device.zeros(256, np.int32)
        stream, config = device.create_stream(), gon.LaunchConfig(256)
        with device.capture() as graph:
            gon.launch(stream, config, add, counters, graph.scalar("by", 1))
            total.copy_from(counters)
            gon.launch(stream, config, add, graph.buffer("also", counters), 1)
        expected = 0
        for _ in range(60):
            for by in chance.integers(1, 100, int(chance.integers(1, 40))).tolist():
                graph.launch(stream, by=by)
                expected += by + 1
            if chance.random() < 0.5:
                graph.launch(stream, also=total)
                expected += 1
                assert total.get(stream=stream)[7] == expected + 1
        assert (counters.get(stream=stream) == expected).all()
        assert proxied.proxy is not None
        assert proxied.proxy.broken > 0


@pytest.mark.parametrize("seed", range(8))
def test_everything_happens_once_however_often_the_link_breaks(
    soft_gond: Gond, proxied: Proxied, seed: int
) -> None:
    proxied.seed, proxied.cuts, proxied.mean_bytes = seed, 12, 150_000
    chance = np.random.default_rng(seed)
    with gon.connect(soft_gond.tcp) as host, host.acquire(link="tcp") as device:
        add = device.compile(ADD).get_kernel("add")
        counters = device.zeros(256, np.int32)
        expected = np.zeros(256, np.int32)
        bulk = device.allocate(200_000)
        mirror = np.zeros(200_000, np.uint8)
        stream = device.default_stream
        for _ in range(60):
            for by in chance.integers(1, 100, int(chance.integers(1, 40))).tolist():
                gon.launch(stream, gon.LaunchConfig(256), add, counters, by)
                expected += by
            match int(chance.integers(0, 4)):
                case 0:
                    mirror = chance.integers(0, 255, 200_000, np.uint8)
                    bulk.copy_from(mirror)
                case 1:
                    back = np.empty_like(mirror)
                    bulk.copy_to(back)
                    np.testing.assert_array_equal(back, mirror)
                case 2:
                    np.testing.assert_array_equal(counters.get(), expected)
                case _:
                    stream.sync()
        np.testing.assert_array_equal(counters.get(), expected)
        assert proxied.proxy is not None
        assert proxied.proxy.broken > 0
        assert gon.stats(device).counts.resumed >= proxied.proxy.broken // 2


def test_posted_work_is_resumed_without_a_wait(soft_gond: Gond, proxied: Proxied) -> None:
    """The pump alone notices the break and sends again."""
    with gon.connect(soft_gond.tcp) as host, host.acquire(link="tcp") as device:
        add = device.compile(ADD).get_kernel("add")
        x = device.zeros(1, np.int32)
        device.sync()
        assert proxied.proxy is not None
        proxied.proxy.break_all()
        gon.launch(device.default_stream, gon.LaunchConfig(1), add, x, 5)
        while not gon.stats(device).counts.resumed:
            assert not gon.stats(device).counts.waits > 10
        assert x.get().tolist() == [5]


def test_a_link_gone_for_longer_than_the_grace_loses_the_lease(
    soft_gond: Gond, proxied: Proxied
) -> None:
    with (
        gon.connect(soft_gond.tcp) as host,
        host.acquire(link="tcp", grace_s=0.3) as device,
    ):
        device.sync()
        assert proxied.proxy is not None
        proxied.proxy.refusing = True
        proxied.proxy.break_all()
        with pytest.raises(gon.LeaseLost, match=r"gone for 0\.3 s"):
            device.sync()
        for call in (device.sync, lambda: device.zeros(4), device.create_stream):
            with pytest.raises(gon.LeaseLost):
                call()


def test_gond_ends_a_lease_whose_link_is_gone(
    proxied: Proxied, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("grace")
    with (
        real_gond(directory, "--grace-s", "0.5", unit="eagphpu0=null:,slices=1") as gond,
        gon.connect(gond.tcp) as host,
    ):
        device = host.acquire(link="tcp")
        device.sync()
        assert proxied.proxy is not None
        proxied.proxy.refusing = True
        proxied.proxy.break_all()
        with pytest.raises(gon.LeaseLost):
            device.sync()
        while not host.units()[0].slices_free:
            pass
        device.close()
