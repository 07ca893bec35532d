"""One lease that is a gpu, a tpu, an npu and a dpu in turn, on one set of arrays."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import gon
from gon.flow import Checksum, Compress, Decompress
from gon_client.stablehlo import StableHlo
from tests import onnx_models as models
from tests.e2e.gond_process import Gond

pytest.importorskip("iree.compiler.ir")
pytest.importorskip("iree.runtime")

SHAPE = (2, 4)
SCALE = "__kernel void scale(__global float *x, float by) { x[get_global_id(0)] *= by; }"
TWICE = """
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %y = stablehlo.add %x, %x : tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}"""


def array(made: object) -> gon.DeviceArray:
    assert isinstance(made, gon.DeviceArray)
    return made


def test_data_stays_while_the_unit_changes(soft_gond: Gond) -> None:
    data = np.arange(8, dtype=np.float32).reshape(SHAPE)
    with (
        gon.connect(soft_gond.tcp) as host,
        host.acquire(personalities=("gpu", "tpu", "npu", "dpu")) as device,
    ):
        x = device.asarray(data)
        scale = device.compile(SCALE).get_kernel("scale")
        gon.launch(device.default_stream, gon.LaunchConfig(8), scale, x, 3.0)
        device.reconfigure("tpu")
        twice = device.stablehlo(TWICE)
        assert isinstance(twice, StableHlo)
        doubled = array(twice(x))
        device.reconfigure("npu")
        scaled = array(device.onnx(models.scaled(shape=SHAPE))(doubled))
        before = scaled.get()
        device.reconfigure("dpu")
        stages = [Checksum(digest="sha-256", passes=True), Compress(codec="zstd")]
        packed = device.flow(stages)(scaled)
        unpack = device.flow([Decompress(codec="zstd", limit_bytes=x.nbytes)])
        unpacked = unpack(packed.array)
        assert packed.digest() == hashlib.sha256(before.tobytes()).digest()
        assert unpacked.array.get().tobytes() == before.tobytes()
        device.reconfigure("gpu")
        assert np.array_equal(doubled.get(), data * 6)
        assert np.array_equal(x.get(), data * 3)
