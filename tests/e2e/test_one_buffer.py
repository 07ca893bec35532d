"""One buffer under a kernel, a StableHLO program, an ONNX model by two engines and a flow in turn:
all of them at its address, and none of its bytes on the link.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import gon
from gon.flow import Checksum
from gon.limits import KIB
from gon_client.stablehlo import StableHlo
from tests import onnx_models as models
from tests.e2e.gond_process import Gond

pytest.importorskip("iree.compiler.ir")
pytest.importorskip("iree.runtime")

COUNT = 1 << 20
KERNELS = """
__kernel void scale(__global float *x, float by) { x[get_global_id(0)] *= by; }
__kernel void tell(__global float *x, __global float *y, __global ulong *at) {
  at[0] = (ulong)x;
  at[1] = (ulong)y;
}"""
TWICE = f"""
func.func @main(%x: tensor<{COUNT}xf32>) -> tensor<{COUNT}xf32> {{
  %y = stablehlo.add %x, %x : tensor<{COUNT}xf32>
  return %y : tensor<{COUNT}xf32>
}}"""


def test_kernels_and_all_engines_use_one_buffer_in_turn(tmp_path: Path) -> None:
    data = (np.arange(COUNT) % 1000).astype(np.float32)
    entry = ("--worker-entry", "tests.e2e.telling_worker:serve")
    with (
        Gond(tmp_path, *entry, units=("soft=opencl:,slices=8",)) as gond,
        gon.connect(gond.tcp) as host,
        host.acquire(personalities=("gpu", "tpu", "npu", "dpu"), link="tcp") as device,
    ):
        x, y = device.asarray(data), device.zeros(COUNT)
        places = [device.zeros(2, np.uint64) for _ in range(2)]
        kernels = device.compile(KERNELS)
        scale, tell = kernels.get_kernel("scale"), kernels.get_kernel("tell")
        stream, all_of_it = device.default_stream, gon.LaunchConfig(COUNT // 64, 64)
        device.sync()
        before = gon.stats(device).counts

        gon.launch(stream, all_of_it, scale, x, 3.0)
        gon.launch(stream, gon.LaunchConfig(1), tell, x, y, places[0])
        device.reconfigure("tpu", keep=True)
        twice = device.stablehlo(TWICE)
        assert isinstance(twice, StableHlo)
        twice(x, out=y)
        device.reconfigure("npu", keep=True)
        device.onnx(models.scaled(shape=(COUNT,)))(y, out=x)
        device.onnx(models.scaled(shape=(COUNT,)), engine="openvino")(x, out=y)
        device.reconfigure("dpu", keep=True)
        summed = device.flow([Checksum(digest="sha-256")])(x)
        device.reconfigure("gpu", keep=True)
        gon.launch(stream, all_of_it, scale, x, 2.0)
        gon.launch(stream, gon.LaunchConfig(1), tell, x, y, places[1])
        device.sync()

        after = gon.stats(device).counts
        assert after.bytes_sent - before.bytes_sent < 64 * KIB
        assert after.bytes_received - before.bytes_received < 64 * KIB
        at_x, at_y = (int(place) for place in places[0].get())
        assert places[1].get().tolist() == [at_x, at_y]
        bound = [
            (name, [int(each) for each in rest.split()])
            for name, rest in re.findall(r"^bound (\w+)((?: \d+)+)$", gond.output, re.MULTILINE)
        ]
        assert [name for name, _ in bound] == ["main", "main", "main", "flow"]
        assert [at for _, at in bound[:3]] == [[at_x, at_y], [at_y, at_x], [at_x, at_y]]
        assert bound[3][1][0] == at_x
        tripled = data * 3
        assert np.array_equal(y.get(), (tripled * 4 + 1) * 2 + 1)
        assert summed.digest() == hashlib.sha256((tripled * 4 + 1).tobytes()).digest()
        assert np.array_equal(x.get(), (tripled * 4 + 1) * 2)
