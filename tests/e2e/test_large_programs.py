"""Programs that hold weights: they travel as uploads do, once, and are loaded from there."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import gon
from gon.limits import MIB
from gon_client.stablehlo import StableHlo
from tests import onnx_models as models
from tests.e2e.gond_process import Gond, real_gond

pytest.importorskip("iree.compiler.ir")
pytest.importorskip("iree.runtime")

PROGRAM_BYTES = 12 * MIB
WEIGHTS = np.random.default_rng(4).normal(size=(1024, 2048)).astype(np.float32)


@pytest.fixture(scope="module")
def gond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gond]:
    flag = f"--program-bytes={PROGRAM_BYTES}"
    with real_gond(tmp_path_factory.mktemp("gond"), flag) as running:
        yield running


@contextmanager
def acquire(gond: Gond) -> Generator[gon.Device]:
    with (
        gon.connect(gond.tcp) as host,
        host.acquire(personalities=("vpu", "hpu"), link="tcp") as device,
    ):
        yield device


def ones(rows: int, columns: int) -> np.ndarray:
    return np.ones((rows, columns), np.float32)


def array(made: object) -> np.ndarray:
    assert isinstance(made, gon.DeviceArray)
    return made.get()


def test_a_model_of_8_mib_is_uploaded_once(gond: Gond) -> None:
    """The next lease names it by its content."""
    model = models.perceptron(WEIGHTS, np.zeros(2048, np.float32))
    assert 8 * MIB < len(model) < PROGRAM_BYTES
    wanted = np.maximum(WEIGHTS.sum(0), 0)
    for known in (False, True):
        with acquire(gond) as device:
            function = device.onnx(model)
            counts = gon.stats(device).counts
            assert (counts.recalled_bytes == len(model)) == known
            assert (counts.bytes_sent > len(model) // 2) != known
            assert np.allclose(array(function(ones(1, 1024)))[0], wanted, atol=1e-3)


def constant_times(weights: np.ndarray) -> str:
    """Return y = x w."""
    rows, columns = weights.shape
    given, gives, kind = f"1x{rows}xf32", f"1x{columns}xf32", f"{rows}x{columns}xf32"
    return f"""
func.func @main(%x: tensor<{given}>) -> tensor<{gives}> {{
  %w = stablehlo.constant dense<"0x{weights.tobytes().hex()}"> : tensor<{kind}>
  %y = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0]
    : (tensor<{given}>, tensor<{kind}>) -> tensor<{gives}>
  return %y : tensor<{gives}>
}}"""


def test_a_program_with_a_large_constant_is_built(gond: Gond) -> None:
    text = constant_times(WEIGHTS[:512])
    assert 8 * MIB < len(text) < PROGRAM_BYTES
    with acquire(gond) as device:
        device.reconfigure("hpu")
        program = device.stablehlo(text)
        assert isinstance(program, StableHlo)
        made = array(program(device.asarray(ones(1, 512))))
        assert np.allclose(made[0], WEIGHTS[:512].sum(0), atol=1e-3)


def test_a_program_beyond_the_hosts_limit_is_refused_at_the_call(gond: Gond) -> None:
    with acquire(gond) as device:
        before = gon.stats(device).counts.bytes_sent
        for code_format, personality in (("onnx", "vpu"), ("stablehlo", "hpu")):
            device.reconfigure(personality)
            says = f"at most {PROGRAM_BYTES} are allowed"
            with pytest.raises(gon.InvalidArgument, match=says):
                device.compile(bytes(PROGRAM_BYTES + 1), code_format)
        assert gon.stats(device).counts.bytes_sent - before < MIB
        device.reconfigure("vpu")
        assert array(device.onnx(models.scaled())(ones(1, 4))).tolist() == [[3] * 4]


def test_a_large_program_that_is_none_leaves_the_lease_usable(gond: Gond) -> None:
    model = models.perceptron(WEIGHTS, np.zeros(2048, np.float32))
    with acquire(gond) as device:
        for wrong in (model[:-1000], bytes(9 * MIB)):
            with pytest.raises(gon.CompileError):
                device.onnx(wrong)
        device.reconfigure("hpu")
        with pytest.raises(gon.CompileError):
            device.stablehlo(constant_times(WEIGHTS[:512]).replace("dot_general", "nothing"))
        device.reconfigure("vpu")
        assert array(device.onnx(models.scaled())(ones(1, 4))).tolist() == [[3] * 4]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_results_that_explode_are_out_of_memory_and_end_no_lease(
    tmp_path: Path, engine: str
) -> None:
    """What a run needs between its inputs and outputs is the worker's, within its bound."""
    model = models.model(
        [
            models.node("Expand", ["x", "shape"], ["large"]),
            models.node("Neg", ["large"], ["other"]),
            models.node("ReduceSum", ["other"], ["y"]),
        ],
        [models.info("x", (1,)), models.info("shape", (1,), models.INT64)],
        [models.info("y", (1,))],
    )
    flags = (f"--engine-memory-bytes={1 << 30}",)
    with (
        real_gond(tmp_path, *flags) as gond,
        acquire(gond) as device,
    ):
        explode = device.onnx(model, engine=engine)
        x = ones(1, 1)[0]
        # Whole numbers have 32 bits in one of them.
        most = 1 << 40 if engine == "onnxruntime" else (1 << 31) - 1
        for size in (1000, most, 1 << 30, 1000):
            y = explode(x, np.array([size]))
            if size == 1000:
                assert array(y).tolist() == [-1000]
            else:
                with pytest.raises(gon.OutOfMemory):
                    array(y)
        device.reconfigure("hpu")
        assert device.configuration.state == "ready"
