"""What the owner of a host forbids, and who is told, through a real gond."""

from __future__ import annotations

from pathlib import Path

import pytest

import gon
from tests import onnx_models as models
from tests.e2e.gond_process import REAL_WORKER, Gond

SHAPE = (4, 8)


def test_a_site_forbids_engines_and_says_so_to_whoever_wants_them(tmp_path: Path) -> None:
    units = ("soft=opencl:,forbid_engines=onnx+dpu-flow", "other=sim:,warm=0")
    flags = (*REAL_WORKER, "--forbid-engine=onnx.openvino")
    with Gond(tmp_path, *flags, units=units) as gond, gon.connect(gond.unix) as host:
        soft, other = host.units()
        assert set(soft.personalities) == {"gpu", "tpu", "apu", "hpu", "ipu", "vpu"}
        assert "onnx: forbidden here" in soft.engines
        assert "npu" in other.personalities
        assert not any("if asked for" in each for each in other.engines)
        with pytest.raises(gon.LeaseRefused, match=r"dpu: forbidden .*forbid_engines: dpu-flow"):
            host.acquire(unit="soft", personalities=("gpu", "dpu"))
        with host.acquire(unit="soft", personalities=("gpu", "hpu")) as device:
            for _ in range(2):
                with pytest.raises(gon.InvalidArgument, match=r"'onnx'.*forbid_engines: onnx"):
                    device.onnx(models.scaled())
                device.reconfigure("hpu")
            with pytest.raises(gon.Unsupported, match=r"'npu'.*forbid_engines: onnx"):
                device.reconfigure("npu")
            assert device.configuration.personality == "hpu"
        with host.acquire(unit="other", personalities=("npu",)) as device:
            with pytest.raises(gon.Unsupported, match=r"'openvino'.*onnx.openvino"):
                device.onnx(models.scaled(shape=SHAPE), engine="openvino")
            device.onnx(models.scaled(shape=SHAPE))
