"""StableHLO by IREE, without JAX: in place, refusals, vmvx modules."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from gon.errors import (
    CompileError,
    DeviceError,
    GonError,
    InvalidArgument,
    LimitExceeded,
    Unsupported,
)
from gon.model import Program

pytest.importorskip("iree.compiler.ir")
pytest.importorskip("iree.runtime")

from gon_server.engines.base import Share, Tensor
from gon_server.engines.iree_compiler import Compiler
from gon_server.engines.stablehlo import StableHlo, StableHloProgram, open_stablehlo, open_vmvx
from gon_server.engines.stablehlo_build import build
from gon_server.engines.stablehlo_prepare import prepare
from gon_server.engines.stablehlo_types import Tensor as Kind
from gon_server.engines.stablehlo_types import tensor_of

TWICE = b"""
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %two = stablehlo.constant dense<2.0> : tensor<4xf32>
  %y = stablehlo.multiply %x, %two : tensor<4xf32>
  return %y : tensor<4xf32>
}"""
# What JAX makes of relu(x @ w + bias) for any number of rows.
ROWS = b"""
func.func @main(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<?x8xf32> {
  %one = stablehlo.constant dense<1> : tensor<i32>
  %n = stablehlo.get_dimension_size %x, dim = 0 : (tensor<?x4xf32>) -> tensor<i32>
  %any = stablehlo.compare GE, %n, %one, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
  stablehlo.custom_call @shape_assertion(%any, %n) {api_version = 2 : i32,
    error_message = "at least one row is needed", has_side_effect = true}
    : (tensor<i1>, tensor<i32>) -> ()
  %eight = stablehlo.constant dense<8> : tensor<1xi32>
  %d = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0]
    : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %n1 = stablehlo.reshape %n : (tensor<i32>) -> tensor<1xi32>
  %shape = stablehlo.concatenate %n1, %eight, dim = 0 : (tensor<1xi32>, tensor<1xi32>)
    -> tensor<2xi32>
  %bias = stablehlo.dynamic_broadcast_in_dim %b, %shape, dims = [1]
    : (tensor<8xf32>, tensor<2xi32>) -> tensor<?x8xf32>
  %sum = stablehlo.add %d, %bias : tensor<?x8xf32>
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %zeros = stablehlo.dynamic_broadcast_in_dim %zero, %shape, dims = []
    : (tensor<f32>, tensor<2xi32>) -> tensor<?x8xf32>
  %y = stablehlo.maximum %sum, %zeros : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}"""
# A row's share in its column's sum of all: a dynamic size is broadcast and reshaped.
SHARES = b"""
func.func @main(%x: tensor<?x2x4xf32>) -> tensor<?x8xf32> {
  %n = stablehlo.get_dimension_size %x, dim = 0 : (tensor<?x2x4xf32>) -> tensor<i32>
  %n1 = stablehlo.reshape %n : (tensor<i32>) -> tensor<1xi32>
  %eight = stablehlo.constant dense<8> : tensor<1xi32>
  %shape = stablehlo.concatenate %n1, %eight, dim = 0 : (tensor<1xi32>, tensor<1xi32>)
    -> tensor<2xi32>
  %flat = stablehlo.dynamic_reshape %x, %shape : (tensor<?x2x4xf32>, tensor<2xi32>)
    -> tensor<?x8xf32>
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %sums = stablehlo.reduce(%flat init: %zero) applies stablehlo.add across dimensions = [1]
    : (tensor<?x8xf32>, tensor<f32>) -> tensor<?xf32>
  %all = stablehlo.dynamic_broadcast_in_dim %sums, %shape, dims = [0]
    : (tensor<?xf32>, tensor<2xi32>) -> tensor<?x8xf32>
  %y = stablehlo.divide %flat, %all : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}"""


Element = TypeVar("Element", bound=np.generic)


@pytest.fixture(scope="module")
def engine() -> StableHlo:
    made = open_stablehlo(Share(1))
    assert isinstance(made, StableHlo)
    return made


@cache
def built(code: bytes, options: str) -> bytes:
    return build(Program(code, "stablehlo", options))


def load(engine: StableHlo, code: bytes, options: str = "") -> StableHloProgram:
    return engine.load_built(built(code, options))


def buffer(size_bytes: int) -> memoryview:
    """Return memory as a unit's buffers have it: pages."""
    return memoryview(mmap.mmap(-1, max(size_bytes, 1)))


def placed(values: NDArray[Element], offset: int = 0) -> NDArray[Element]:
    view = buffer(values.nbytes + offset)[offset:]
    seen = np.frombuffer(view, values.dtype, values.size).reshape(values.shape)
    seen[...] = values
    return seen


def run(program: StableHloProgram, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    [info] = program.functions
    program.bind(info.name, [*inputs, *outputs], {}).run()


def floats(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).standard_normal(shape, np.float32)


def vmvx_module(code: bytes, backend: str = "vmvx") -> bytes:
    session = Compiler().session(f"--iree-hal-target-backends={backend}")
    module = session.parse(code)
    prepare(session, module, 0)
    return session.compile(module)


# In place -----------------------------------------------------------------------------------------
def test_it_reads_and_writes_the_buffers_themselves(engine: StableHlo) -> None:
    x = placed(floats(4))
    x.flags.writeable = False
    y = placed(np.zeros(4, np.float32))
    bound = load(engine, TWICE).bind("main", [x, y], {})
    bound.run()
    assert y.tolist() == (2 * x).tolist()
    x.flags.writeable = True
    x[...] = [1, 2, 3, 4]  # no copy of it was made
    bound.run()
    assert y.tolist() == [2, 4, 6, 8]


def test_a_large_result_is_written_where_it_shall_be(engine: StableHlo) -> None:
    size = 16 << 20  # 64 MiB
    code = TWICE.replace(b"4xf32", b"%dxf32" % size)
    x, y = placed(np.ones(size, np.float32)), placed(np.zeros(size, np.float32))
    program = load(engine, code)
    call = program.bind("main", [x, y], {})
    before = _own_bytes()
    call.run()
    assert _own_bytes() - before < x.nbytes // 8
    assert y[0] == y[-1] == 2
    assert float(y.sum(dtype=np.float64)) == 2 * size


def _own_bytes() -> int:
    """Return how much memory this process has ever had at once."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
        [line] = [each for each in status if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_what_is_beside_the_output_stays(engine: StableHlo) -> None:
    whole = placed(np.full(64, 7, np.float32))
    run(load(engine, TWICE), [placed(floats(4))], [whole[16:20]])
    assert whole[:16].tolist() == [7] * 16
    assert whole[20:].tolist() == [7] * 44


def test_tensors_begin_at_multiples_of_64_bytes(engine: StableHlo) -> None:
    program = engine.load(Program(TWICE, "stablehlo"))
    with pytest.raises(InvalidArgument, match="64"):
        run(program, [placed(floats(4), offset=4)], [placed(floats(4))])
    run(program, [placed(floats(4), offset=64)], [placed(floats(4))])


# Signatures and sizes -----------------------------------------------------------------------------
def test_it_says_what_it_takes_and_is_made_of(engine: StableHlo) -> None:
    program = load(engine, ROWS)
    [info] = program.functions
    assert [(each.name, each.shape, each.writes) for each in info.params] == [
        ("input0", ("input0_0", 4), False),
        ("input1", (4, 8), False),
        ("input2", (8,), False),
        ("output0", ("output0_0", 8), True),
        ("input0_0", None, False),
        ("output0_0", None, False),
    ]
    assert program.uses.dynamic
    assert program.uses.elements == {"float32", "int32", "bool"}
    assert {"dot_general", "maximum", "custom_call"} <= program.uses.operations
    assert not {"func", "return", "module"} & program.uses.operations


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_one_program_takes_any_number_of_rows(engine: StableHlo, rows: int) -> None:
    x, w, bias = floats(rows, 4), floats(4, 8), floats(8)
    y = placed(np.zeros((rows, 8), np.float32))
    run(load(engine, ROWS), [placed(x), placed(w), placed(bias)], [y])
    np.testing.assert_allclose(y, np.maximum(x @ w + bias, 0), rtol=1e-5, atol=1e-6)


def test_dynamic_sizes_are_reshaped_and_broadcast(engine: StableHlo) -> None:
    x = np.abs(floats(5, 2, 4)) + 1
    y = placed(np.zeros((5, 8), np.float32))
    run(load(engine, SHARES), [placed(x)], [y])
    flat = x.reshape(5, 8)
    np.testing.assert_allclose(y, flat / flat.sum(axis=1, keepdims=True), rtol=1e-5)


def test_what_a_program_asserts_of_sizes_is_checked(engine: StableHlo) -> None:
    program = load(engine, ROWS)
    empty = placed(np.zeros((0, 4), np.float32))
    with pytest.raises(InvalidArgument, match="at least one row is needed"):
        run(program, [empty, placed(floats(4, 8)), placed(floats(8))], [placed(floats(0, 8))])


def test_a_result_of_other_sizes_than_were_said_is_an_error(engine: StableHlo) -> None:
    program = load(engine, ROWS)
    inputs = [placed(floats(3, 4)), placed(floats(4, 8)), placed(floats(8))]
    short = placed(np.full((4, 8), 7, np.float32))
    with pytest.raises(InvalidArgument):
        run(program, inputs, [short[:2]])
    assert short[3].tolist() == [7] * 8
    with pytest.raises(InvalidArgument, match="sizes"):
        run(program, inputs, [placed(floats(5, 8))])
    run(program, inputs, [placed(floats(3, 8))])


def test_a_tensor_without_elements(engine: StableHlo) -> None:
    program = load(engine, TWICE.replace(b"4xf32", b"0x4xf32"))
    run(program, [placed(floats(0, 4))], [placed(floats(0, 4))])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("tensor<f32>", Kind("f32", ())),
        ("tensor<?x4xbf16>", Kind("bf16", (None, 4))),
        ("!vhlo.tensor_v1<4x!vhlo.bool_v1>", Kind("i1", (4,))),
        ("!vhlo.tensor_v1<!vhlo.ui32_v1>", Kind("ui32", ())),
        ("!vhlo.tensor_v1<2x!vhlo.complex_v1<!vhlo.f32_v1>>", Kind("complex<f32>", (2,))),
    ],
)
def test_types(text: str, kind: Kind) -> None:
    assert tensor_of(text) == kind


@pytest.mark.parametrize("text", ["i32", "!stablehlo.token", "tensor<4xi4>", "tuple<f32>"])
def test_types_that_cannot_be_passed(text: str) -> None:
    with pytest.raises(Unsupported):
        tensor_of(text)


# Bad input ----------------------------------------------------------------------------------------
ADDED = "func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {{ {} return %y : tensor<4xf32> }}"
BAD: dict[str, tuple[str | bytes, type[GonError]]] = {
    "nothing": (b"", CompileError),
    "no program": (b"what?", CompileError),
    "cut": (b"ML\xefR\x0dStableHLO_v1.15.0\0\1\x19", CompileError),
    "zeros": (b"ML\xefR" + bytes(100), CompileError),
    "unknown operation": (
        ADDED.format("%y = stablehlo.nothing %x : tensor<4xf32>"), CompileError,
    ),
    "custom call": (
        ADDED.format("%y = stablehlo.custom_call @f(%x) : (tensor<4xf32>) -> tensor<4xf32>"),
        CompileError,
    ),
    "wrong types": (ADDED.format("%y = stablehlo.add %x, %x : tensor<5xf32>"), CompileError),
    "no public function": (TWICE.replace(b"@main", b"private @main"), CompileError),
    "two public functions": (TWICE + TWICE.replace(b"@main", b"@other"), CompileError),
    "a function of elsewhere": (
        ADDED.format("%y = call @f(%x) : (tensor<4xf32>) -> tensor<4xf32>")
        + " func.func private @f(tensor<4xf32>) -> tensor<4xf32>",
        CompileError,
    ),
    "another dialect": (
        "util.global private @g : tensor<4xf32> = dense<1.0> : tensor<4xf32> " + TWICE.decode(),
        CompileError,
    ),
    "machine code of its own": (
        "module attributes {hal.executable.objects = 1} {" + TWICE.decode() + "}", CompileError,
    ),
    "elements of four bits": (
        TWICE.replace(b"xf32", b"xi4").replace(b"2.0", b"2"), Unsupported,
    ),
    "too many inputs": (
        "func.func @main({}) -> tensor<f32> {{ return %x0 : tensor<f32> }}".format(
            ", ".join(f"%x{place}: tensor<f32>" for place in range(300))
        ),
        LimitExceeded,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_programs_are_refused(engine: StableHlo, name: str) -> None:
    code, error = BAD[name]
    with pytest.raises(error) as caught:
        load(engine, code.encode() if isinstance(code, str) else code)
    assert len(caught.value.message) < 1000
    run(load(engine, TWICE), [placed(floats(4))], [placed(floats(4))])


def test_options_are_read_strictly(engine: StableHlo) -> None:
    load(engine, TWICE, "--platform-index=1")
    with pytest.raises(InvalidArgument):
        load(engine, TWICE, "--iree-hal-dump-executable-files-to=/tmp")
    with pytest.raises(InvalidArgument):
        engine.load(Program(TWICE, "stablehlo", names=("f",)))


def test_only_what_was_built_is_loaded(engine: StableHlo) -> None:
    made = built(TWICE, "")
    engine.load_built(made)
    for wrong in (b"", b"what?", made[:40]):
        with pytest.raises(DeviceError):
            engine.load_built(wrong)


# vmvx ---------------------------------------------------------------------------------------------
def test_bytecode_is_run() -> None:
    engine = open_vmvx(Share(1))
    program = engine.load(Program(vmvx_module(TWICE), "vmvx"))
    assert isinstance(program, StableHloProgram)
    x, y = placed(floats(4)), placed(floats(4))
    run(program, [x], [y])
    assert y.tolist() == (2 * x).tolist()


def without_places(code: bytes) -> bytes:
    session = Compiler().session("--iree-hal-target-backends=vmvx")
    module = session.parse(code)
    session.lower(module)
    return session.compile(module)


def test_bytecode_without_places_for_results_is_run() -> None:
    program = open_vmvx(Share(1)).load(Program(without_places(ROWS), "vmvx"))
    assert isinstance(program, StableHloProgram)
    x, w, bias = floats(3, 4), floats(4, 8), floats(8)
    y = placed(np.zeros((3, 8), np.float32))
    run(program, [placed(x), placed(w), placed(bias)], [y])
    np.testing.assert_allclose(y, np.maximum(x @ w + bias, 0), rtol=1e-5, atol=1e-6)


def test_machine_code_is_refused(engine: StableHlo) -> None:
    native = vmvx_module(TWICE, "llvm-cpu")
    with pytest.raises(Unsupported, match="machine code"):
        open_vmvx(Share(1)).load(Program(native, "vmvx"))
    for module in (native, vmvx_module(TWICE)):
        with pytest.raises(Unsupported, match="vmvx"):
            load(engine, module)


def test_machine_code_is_found_under_any_name() -> None:
    hidden = vmvx_module(TWICE, "llvm-cpu").replace(
        b"embedded-elf-x86_64", b"vmvx-bytecode-fb\0\0\0"
    )
    with pytest.raises(Unsupported, match="machine code"):
        open_vmvx(Share(1)).load(Program(hidden, "vmvx"))


def test_broken_modules_are_refused() -> None:
    engine = open_vmvx(Share(1))
    module = vmvx_module(TWICE)
    for wrong in (b"", TWICE, module[:300], module[:-400], b"PK\x03\x04" + bytes(200)):
        with pytest.raises((CompileError, Unsupported)):
            engine.load(Program(wrong, "vmvx"))
    with pytest.raises(InvalidArgument):
        engine.load(Program(module, "vmvx", "--platform-index=1"))
