"""What JAX exports, run by the engine of StableHLO: the numbers are JAX's own on the CPU."""

# JAX's functions take and give arrays of any kind, and say so.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from gon.model import Program

pytest.importorskip("jax")
pytest.importorskip("iree.compiler.ir")
pytest.importorskip("iree.runtime")

import jax
import jax.numpy as jnp
from jax import export, lax

from gon_server.engines.base import Share
from gon_server.engines.stablehlo import open_stablehlo

Host: TypeAlias = NDArray[np.generic]
Function: TypeAlias = Callable[..., object]


def placed(values: Host) -> Host:
    view = memoryview(mmap.mmap(-1, max(values.nbytes, 1)))
    seen = np.frombuffer(view, values.dtype, values.size).reshape(values.shape)
    seen[...] = values
    return seen


def floats(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal(shape, np.float32)


def whole(*shape: int) -> NDArray[np.int8]:
    return np.random.default_rng(7).integers(-128, 128, shape, np.int8)


def halves(*shape: int) -> Host:
    return np.asarray(jnp.asarray(floats(*shape), jnp.bfloat16))


def results(function: Function, inputs: Sequence[Host]) -> list[Host]:
    return [np.asarray(each) for each in jax.tree_util.tree_leaves(jax.jit(function)(*inputs))]


def exported(function: Function, specs: Sequence[object], *platforms: str) -> bytes:
    return export.export(jax.jit(function), platforms=platforms)(*specs).mlir_module_serialized


def run(code: bytes, inputs: Sequence[Host], like: Sequence[Host], options: str = "") -> list[Host]:
    program = open_stablehlo(Share(1)).load(Program(code, "stablehlo", options))
    [info] = program.functions
    outputs = [placed(np.zeros(each.shape, each.dtype)) for each in like]
    tensors = [*map(placed, inputs), *outputs]
    for tensor, param in zip(tensors, info.params, strict=False):
        assert param.type_name == tensor.dtype.name
    program.bind(info.name, tensors, {}).run()
    return outputs


def same(got: Host, want: Host, tolerance: float) -> None:
    np.testing.assert_allclose(
        got.astype(np.float64), want.astype(np.float64), rtol=tolerance, atol=tolerance
    )


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def cnn(x: jax.Array, first: jax.Array, second: jax.Array, last: jax.Array) -> jax.Array:
    x = jax.nn.relu(conv(x, first))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = jax.nn.relu(conv(x, second)).mean(axis=(1, 2))
    return jax.nn.softmax(x @ last)


def steps(x: jax.Array, count: jax.Array) -> object:
    return lax.while_loop(lambda c: c[0] < count, lambda c: (c[0] + 1, c[1] * 1.5), (0, x))


def branches(x: jax.Array, up: jax.Array) -> jax.Array:
    return lax.cond(up, lambda y: y + 1, lambda y: y * 2, x)


CNN = (floats(4, 12, 12, 1), floats(3, 3, 1, 8) / 3, floats(3, 3, 8, 16) / 9, floats(16, 10))
CASES: dict[str, tuple[Function, tuple[Host, ...], float]] = {
    "matmul f32": (lambda a, b: a @ b, (floats(33, 65), floats(65, 17)), 1e-5),
    "matmul bf16": (lambda a, b: a @ b, (halves(32, 1024), halves(1024, 16)), 1e-2),
    "matmul int8": (
        lambda a, b: lax.dot(a, b, preferred_element_type=jnp.int32),
        (whole(32, 64), whole(64, 16)),
        0,
    ),
    "convolution bf16": (conv, (halves(2, 9, 9, 30), halves(3, 3, 30, 5)), 1e-2),
    "convolution": (conv, (floats(2, 9, 9, 3), floats(3, 3, 3, 5)), 1e-4),
    "network": (cnn, CNN, 1e-4),
    "reductions": (
        lambda a: (a.sum(axis=0), a.max(axis=1), a.mean(), jnp.argmin(a, axis=1)),
        (floats(7, 12),),
        1e-5,
    ),
    "loop": (steps, (floats(5), np.asarray(4, np.int32)), 1e-6),
    "branch taken": (branches, (floats(5), np.asarray(True)), 0),
    "branch not taken": (branches, (floats(5), np.asarray(False)), 0),
    "order": (lambda a: (jnp.sort(a), a[::-1], jnp.cumsum(a)), (floats(40),), 1e-5),
    "unsigned": (lambda a: a // 3 + (a >> 1), (whole(50).view(np.uint8),), 0),
    "gathered": (lambda a, i: a[i], (floats(9, 4), np.asarray([3, 0, 8], np.int32)), 0),
    "nothing taken": (lambda: jnp.arange(6, dtype=jnp.float32), (), 0),
}


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_jax(name: str, platform: str) -> None:
    function, inputs, tolerance = CASES[name]
    wanted = results(function, inputs)
    code = exported(function, [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs], platform)
    for got, want in zip(run(code, inputs, wanted), wanted, strict=True):
        same(got, want, tolerance)


def test_one_program_takes_any_batch() -> None:
    (batch,) = export.symbolic_shape("b")
    rest = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in CNN[1:]]
    first = jax.ShapeDtypeStruct((batch, *CNN[0].shape[1:]), jnp.float32)
    code = exported(cnn, [first, *rest], "tpu")
    for size in (1, 3, 8):
        inputs = (floats(size, 12, 12, 1), *CNN[1:])
        [want] = results(cnn, inputs)
        [got] = run(code, inputs, [want])
        same(got, want, 1e-4)


@pytest.mark.parametrize(("index", "want"), [(0, 1), (1, 2)])
def test_a_program_for_several_platforms_is_told_which(index: int, want: int) -> None:
    def function(x: jax.Array) -> jax.Array:
        return lax.platform_dependent(x, cpu=lambda y: y + 1, tpu=lambda y: y + 2)

    code = exported(function, [jax.ShapeDtypeStruct((4,), jnp.int32)], "cpu", "tpu")
    zeros = np.zeros(4, np.int32)
    [got] = run(code, [zeros], [zeros], f"--platform-index={index}")
    assert got.tolist() == [want] * 4
