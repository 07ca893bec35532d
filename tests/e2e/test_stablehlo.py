"""StableHLO through a real gond: built in a builder, run in a worker, on a lease's buffers."""

from __future__ import annotations

import numpy as np
import pytest

import gon
from gon_client.stablehlo import StableHlo
from tests.e2e.gond_process import Gond

pytest.importorskip("iree.compiler.ir")
pytest.importorskip("iree.runtime")

TWICE = """
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = stablehlo.add %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}"""


def twice(device: gon.Device) -> list[float]:
    program = device.stablehlo(TWICE)
    assert isinstance(program, StableHlo)
    made = program(device.asarray(np.arange(4, dtype=np.float32)))
    assert isinstance(made, gon.DeviceArray)
    return [float(each) for each in made.get()]


def test_it_is_built_once_and_run(soft_gond: Gond) -> None:
    with gon.connect(soft_gond.tcp) as host:
        for _ in range(2):
            with host.acquire(personalities=["tpu", "gpu"]) as device:
                assert twice(device) == [0, 2, 4, 6]


def test_bad_programs_end_nothing(soft_gond: Gond) -> None:
    with (
        gon.connect(soft_gond.tcp) as host,
        host.acquire(personalities=["tpu", "gpu"]) as device,
    ):
        for wrong in ("what?", TWICE.replace("add", "nothing")):
            with pytest.raises(gon.CompileError):
                device.stablehlo(wrong)
        with pytest.raises(gon.Unsupported, match="fixed shapes"):
            device.stablehlo(TWICE.replace("4xf32", "?xf32"))
        assert twice(device) == [0, 2, 4, 6]
