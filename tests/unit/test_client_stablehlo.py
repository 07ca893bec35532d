"""`Device.stablehlo`: what JAX exports, called on a device's arrays."""

# JAX's functions take and give arrays of any kind, and say so.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gon.clock import SYSTEM_CLOCK
from gon.errors import CompileError, GonError, InvalidArgument, Unsupported
from gon.personalities import Personality
from gon_client.array import DeviceArray
from gon_client.counts import NOTHING_CARRIED
from gon_client.device import Device
from gon_client.stablehlo import ExportedFunction, StableHlo, TracedFunction
from gon_server.devices import sim
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share
from gon_server.engines.shelf import Shelf

pytest.importorskip("iree.compiler.ir")
pytest.importorskip("iree.runtime")
TWICE = """
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = stablehlo.add %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}"""
ROWS = TWICE.replace("4xf32", "?x4xf32")


@pytest.fixture(scope="module")
def dev() -> Iterator[Device]:
    personality = Personality("any", formats=("stablehlo", "vmvx"), kernels=True)
    unit = ElasticUnit(sim.open_device("7"), Shelf(Share(1)), [personality], SYSTEM_CLOCK)
    with Device(
        unit,
        where="here",
        memory_bytes=1 << 28,
        counts=lambda: NOTHING_CARRIED,
        on_close=lambda: None,
    ) as device:
        yield device


def got(value: object) -> list[object]:
    assert isinstance(value, DeviceArray)
    made: list[object] = value.get().tolist()
    return made


def test_text_is_called_with_arrays(dev: Device) -> None:
    twice = dev.stablehlo(TWICE)
    assert isinstance(twice, StableHlo)
    assert "input0 float32[4]" in repr(twice)
    x = dev.asarray(np.arange(4, dtype=np.float32))
    assert got(twice(x)) == [0, 2, 4, 6]
    assert got(twice(np.ones(4, np.float32))) == [2, 2, 2, 2]


def test_results_go_where_the_caller_says(dev: Device) -> None:
    twice = dev.stablehlo(TWICE)
    assert isinstance(twice, StableHlo)
    x = dev.asarray(np.arange(4, dtype=np.float32))
    out = dev.zeros(4)
    assert twice(x, out=out) is out
    assert got(out) == [0, 2, 4, 6]


def test_sizes_that_only_the_caller_knows(dev: Device) -> None:
    rows = dev.stablehlo(ROWS)
    assert isinstance(rows, StableHlo)
    x = np.ones((3, 4), np.float32)
    made = rows(x, out=dev.empty((3, 4)))
    assert isinstance(made, DeviceArray)
    assert made.get().tolist() == (2 * x).tolist()
    with pytest.raises(InvalidArgument, match="out="):
        rows(x)
    with pytest.raises(InvalidArgument):  # the program's result is not what was said
        rows(x, out=dev.empty((2, 4)))


@pytest.mark.parametrize(
    "wrong", [np.ones(5, np.float32), np.ones(4), np.ones((4, 1), np.float32), 2.5]
)
def test_wrong_arrays_are_refused_at_the_call(dev: Device, wrong: object) -> None:
    twice = dev.stablehlo(TWICE)
    assert isinstance(twice, StableHlo)
    with pytest.raises(InvalidArgument, match="input0"):
        twice(wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidArgument, match="1 inputs"):
        twice(np.ones(4, np.float32), np.ones(4, np.float32))
    assert got(twice(np.ones(4, np.float32))) == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [("what?", CompileError), (b"ML\xefRwhat", CompileError), (7, InvalidArgument)],
)
def test_what_is_no_program(dev: Device, wrong: object, error: type[GonError]) -> None:
    with pytest.raises(error):
        dev.stablehlo(wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


# With JAX -----------------------------------------------------------------------------------------
jax = pytest.importorskip("jax")


def layer(given: dict[str, object], x: object) -> dict[str, object]:
    jnp = jax.numpy
    y = jnp.dot(x, given["w"]) + given["b"]
    return {"y": jnp.maximum(y, 0), "sum": y.sum()}


def floats(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(3).standard_normal(shape, np.float32)


def test_a_function_is_exported_for_what_it_is_called_with(dev: Device) -> None:
    function = dev.stablehlo(layer)
    assert isinstance(function, TracedFunction)
    weights = {"w": dev.asarray(floats(4, 8)), "b": floats(8)}
    for rows in (2, 5, 2):
        x = floats(rows, 4)
        made = function(weights, x)
        assert isinstance(made, dict)
        want = x @ floats(4, 8) + floats(8)
        np.testing.assert_allclose(made["y"].get(), np.maximum(want, 0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(made["sum"].get(), want.sum(), rtol=1e-4)
    assert "exported 2 times" in repr(function)


def test_one_export_for_any_batch(dev: Device) -> None:
    spec = jax.ShapeDtypeStruct
    (batch,) = jax.export.symbolic_shape("b")
    weights = {"w": spec((4, 8), np.float32), "b": spec((8,), np.float32)}
    function = dev.stablehlo(layer, weights, spec((batch, 4), np.float32))
    assert isinstance(function, ExportedFunction)
    given = {"w": floats(4, 8), "b": floats(8)}
    for rows in (1, 6):
        made = function(given, floats(rows, 4))
        assert isinstance(made, dict)
        want = np.maximum(floats(rows, 4) @ given["w"] + given["b"], 0)
        np.testing.assert_allclose(made["y"].get(), want, rtol=1e-5, atol=1e-6)
    with pytest.raises(InvalidArgument):
        function(given, floats(6, 5))
    with pytest.raises(InvalidArgument, match="lie as"):
        function(floats(6, 4), given)


def test_what_was_exported_for_other_platforms_is_taken(dev: Device) -> None:
    def function(x: object, unused: object, y: object) -> object:
        return jax.lax.platform_dependent(x, y, cpu=lambda a, b: a + b, tpu=lambda a, b: a - b)

    spec = jax.ShapeDtypeStruct((4,), np.float32)
    exported = jax.export.export(jax.jit(function), platforms=["tpu", "cpu"])(spec, spec, spec)
    x, y = floats(4), floats(4) + 1
    for program in (exported, bytes(exported.serialize())):
        called = dev.stablehlo(program)
        assert isinstance(called, ExportedFunction)
        assert got(called(x, x, y)) == (x + y).tolist()


def test_short_floats_are_arrays_of_their_own(dev: Device) -> None:
    x = np.asarray(jax.numpy.asarray(floats(8), jax.numpy.bfloat16))
    made = dev.stablehlo(lambda a: a * 2)(x)
    assert isinstance(made, DeviceArray)
    assert made.dtype == x.dtype
    assert (made.get() == x * 2).all()


def test_what_jax_does_not_export(dev: Device) -> None:
    with pytest.raises(InvalidArgument, match="JAX"):
        dev.stablehlo(lambda a: a.nothing)(floats(4))
    with pytest.raises(InvalidArgument):
        dev.stablehlo(b"\x08\0\0\0" + bytes(100))


def test_operations_that_the_host_does_not_know(dev: Device) -> None:
    with pytest.raises((CompileError, Unsupported)):
        dev.stablehlo(lambda a: tuple(jax.numpy.linalg.eigh(a)))(floats(4, 4))
