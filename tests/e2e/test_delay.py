"""A device whose link and control plane are led through the delay proxy: it is the same device."""

from __future__ import annotations

import numpy as np

import gon
from gon_client.bench.detour import open_detour
from gon_client.bench.distance import distance
from gon_client.bench.stage import Address, open_stage
from tests.e2e.gond_process import Gond

ADD = """
kernel void add(global int *x, int by) { x[get_global_id(0)] += by; }
"""


def test_a_device_behind_the_proxy_computes_the_same(soft_gond: Gond) -> None:
    with (
        open_detour(distance("tcp+1ms")) as detour,
        detour.connect(soft_gond.tcp) as host,
        host.acquire(link="tcp") as device,
    ):
        assert host.address != soft_gond.tcp
        add = device.compile(ADD).get_kernel("add")
        x = device.zeros(256, np.int32)
        for by in range(500):
            gon.launch(device.default_stream, gon.LaunchConfig(256), add, x, by)
        assert x.get().tolist() == [sum(range(500))] * 256
        bulk = np.arange(1 << 20, dtype=np.uint32)
        np.testing.assert_array_equal(device.asarray(bulk).get(), bulk)
        assert gon.stats(device).counts.resumed == 0


def test_a_far_place_of_the_benchmark_lies_behind_the_proxy(soft_gond: Gond) -> None:
    with open_stage(Address("tcp+0.1ms@800mbit", soft_gond.tcp, "")) as stage:
        stage.launch_once()
        assert stage.flag.get().tolist() == [1]
        with stage.attach() as other:
            other.sync()
