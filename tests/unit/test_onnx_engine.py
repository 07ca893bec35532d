"""The engines of ONNX models: in place, and nothing but what a model may have."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from gon.errors import (
    CompileError,
    DeviceError,
    GonError,
    InvalidArgument,
    Unsupported,
)
from gon.model import KernelInfo, ParamKind, Program
from gon_server.engines.base import Engine, EngineProgram, Share
from gon_server.engines.limits import ONNX_DEPTH_MAX
from gon_server.engines.onnx_model import read_model
from gon_server.engines.shelf import Shelf
from tests import onnx_models as models

ROWS = struct.pack("<q", 3)


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return Shelf(Share(2)).open("onnx", request.param)


def load(engine: Engine, code: bytes) -> EngineProgram:
    return engine.load(Program(code, "onnx"))


def run(program: EngineProgram, *tensors: NDArray[np.generic], **values: bytes) -> None:
    program.bind("main", tensors, values).run()


def kinds(info: KernelInfo) -> list[tuple[str, bool, tuple[int | str, ...] | None]]:
    return [(p.name, p.writes, p.shape) for p in info.params]


def test_a_model_is_a_function_of_tensors(engine: Engine) -> None:
    program = load(engine, models.scaled())
    (info,) = program.functions
    assert info.name == "main"
    assert kinds(info) == [("x", False, ("n", 4)), ("y", True, ("n", 4)), ("n", False, None)]
    assert [p.kind for p in info.params] == [ParamKind.BUFFER, ParamKind.BUFFER, ParamKind.VALUE]
    assert program.uses.operations == {"Mul", "Add"}
    assert program.uses.elements == {"float32"}
    assert program.uses.dynamic
    x, y = np.arange(12, dtype=np.float32).reshape(3, 4), np.zeros((3, 4), np.float32)
    run(program, x, y, n=ROWS)
    assert np.array_equal(y, 2 * x + 1)


def test_a_bound_model_runs_again_on_what_is_there_now(engine: Engine) -> None:
    x, y = np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32)
    bound = load(engine, models.scaled()).bind("main", (x, y), {})
    for number in range(3):
        x[:] = number
        bound.run()
        assert np.array_equal(y, 2 * x + 1)


def test_a_bound_model_keeps_the_memory_that_it_was_given(engine: Engine) -> None:
    program = load(engine, models.scaled())
    x, y = np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32)
    before = sys.getrefcount(x)
    bound = program.bind("main", (x, y), {})
    assert sys.getrefcount(x) > before
    bound.run()
    del bound
    assert sys.getrefcount(x) == before


def test_dimensions_without_a_name_get_one(engine: Engine) -> None:
    (info,) = load(engine, models.scaled(shape=(None, 4, None))).functions
    assert info.params[0].shape == ("x_0", 4, "x_2")


def test_int8_models_run(engine: Engine) -> None:
    weights = np.array([[1, -2], [3, 4], [-5, 6]], np.int8)
    program = load(engine, models.quantized(weights, 0.5))
    assert {"int8", "float32"} <= program.uses.elements
    x, y = np.array([[0.5, 1, 2], [3, -1, 0]], np.float32), np.zeros((2, 2), np.float32)
    run(program, x, y)
    assert np.allclose(y, x @ (weights * 0.5))


@pytest.mark.parametrize("element", ["int8", "uint8", "int32", "int64", "float16"])
def test_types_of_elements(engine: Engine, element: str) -> None:
    number = helper.np_dtype_to_tensor_dtype(np.dtype(element))
    program = load(
        engine,
        models.model(
            [models.node("Identity", ["x"], ["y"])],
            [models.info("x", (5,), number)],
            [models.info("y", (5,), number)],
        ),
    )
    assert program.functions[0].params[0].type_name == element
    x, y = np.arange(5).astype(element), np.zeros(5, element)
    run(program, x, y)
    assert np.array_equal(x, y)


def test_elements_that_would_be_computed_in_narrower_ones() -> None:
    """ONNX Runtime has them as they are; OpenVINO has not, and so takes none."""
    for element in ("float64", "uint32", "uint64"):
        code = models.scaled(helper.np_dtype_to_tensor_dtype(np.dtype(element)), (1,))
        x, y = (
            np.array([1 / 3 if element == "float64" else 7]).astype(element),
            np.zeros(1, element),
        )
        run(load(Shelf(Share(1)).open("onnx", "onnxruntime"), code), x, y)
        assert y == 2 * x + 1
        with pytest.raises(Unsupported, match=f"elements of {element}"):
            load(Shelf(Share(1)).open("onnx", "openvino"), code)


def test_a_model_is_computed_as_it_says(engine: Engine) -> None:
    """In float32, whatever the processor has for shorter ones; and on inputs that stay as they
    are, wherever elements may begin.
    """
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((96, 64), np.float32)
    memory = np.zeros((2, 64 * 96 * 4 + 4), np.uint8)
    x = memory[0, 4:].view(np.float32).reshape(64, 96)
    y = memory[1, 4 : 4 + 64 * 64 * 4].view(np.float32).reshape(64, 64)
    x[:] = rng.standard_normal(x.shape, np.float32)
    before = x.copy()
    code = models.perceptron(weights, np.zeros(64, np.float32))
    run(load(engine, code), x, y, rows=struct.pack("<q", 64))
    assert np.array_equal(x, before)
    assert np.allclose(y, np.maximum(x @ weights, 0), rtol=1e-4, atol=1e-4)


def test_bfloat16_is_bytes_of_its_size(engine: Engine) -> None:
    number = TensorProto.BFLOAT16
    program = load(
        engine,
        models.model(
            [models.node("Identity", ["x"], ["y"])],
            [models.info("x", (5,), number)],
            [models.info("y", (5,), number)],
        ),
    )
    param = program.functions[0].params[0]
    assert (param.type_name, param.dtype, param.size_bytes) == ("bfloat16", "", 2)
    x, y = np.arange(5, dtype=np.uint16), np.zeros(5, np.uint16)
    run(program, x.view("V2"), y.view("V2"))
    assert np.array_equal(x, y)


def test_outputs_that_are_no_result_are_written_too(engine: Engine) -> None:
    """An output may be an input as it stands, a constant, or the same memory as another."""
    x4, c2 = models.info("x", (2, 2)), models.info("c", (2,))
    program = load(
        engine,
        models.model(
            [
                models.node("Identity", ["x"], ["i"]),
                models.node("Add", ["c", "c"], ["k"]),
                models.node("Reshape", ["x", "shape"], ["r"]),
            ],
            [x4],
            [models.info("i", (2, 2)), models.info("k", (2,)), models.info("r", (4,)), x4, c2],
            [
                models.constant("c", np.array([1, 2], np.float32)),
                models.constant("shape", np.array([4], np.int64)),
            ],
        ),
    )
    x = np.arange(4, dtype=np.float32).reshape(2, 2)
    outs = [np.full(shape, 9, np.float32) for shape in ((2, 2), (2,), (4,), (2, 2), (2,))]
    run(program, x, *outs)
    wanted = (x, np.array([2, 4]), x.ravel(), x, np.array([1, 2]))
    assert all(np.array_equal(out, want) for out, want in zip(outs, wanted, strict=True))


def test_a_model_that_only_passes_an_input_on(engine: Engine) -> None:
    x = models.info("x", (2, 2))
    program = load(engine, models.model([], [x], [x]))
    given, out = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    run(program, given, out)
    assert np.array_equal(out, given)


def test_branches_write_where_they_are_told(engine: Engine) -> None:
    code = models.choosing(models.node("Identity", ["x"], ["t"]), models.node("Neg", ["x"], ["e"]))
    program = load(engine, code)
    assert {"If", "Identity", "Neg"} <= program.uses.operations
    which, x, y = np.array(True), np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    bound = program.bind("main", (which, x, y), {})
    for answer in (True, False, True):
        which[...] = answer
        bound.run()
        assert np.array_equal(y, x if answer else -x)


def test_a_size_that_the_model_finds_out_must_be_the_one_given(engine: Engine) -> None:
    """What the caller says of an output is what there is of it: nothing is written beside it."""
    program = load(
        engine,
        models.model(
            [models.node("NonZero", ["x"], ["y"])],
            [models.info("x", (4,))],
            [models.info("y", (1, "found"), TensorProto.INT64)],
        ),
    )
    x = np.array([0, 1, 0, 1], np.float32)
    y = np.full(8, -1, np.int64)
    run(program, x, y[:2].reshape(1, 2))
    assert y.tolist() == [1, 3, *[-1] * 6]
    for wrong in (1, 3):
        y[:] = -1
        with pytest.raises(GonError):
            run(program, x, y[:wrong].reshape(1, wrong))
        assert (y[wrong:] == -1).all()


def test_inputs_that_the_model_refuses(engine: Engine) -> None:
    two = [models.info("a", ("n", "k")), models.info("b", ("k2", "m"))]
    program = load(
        engine,
        models.model(
            [models.node("MatMul", ["a", "b"], ["c"])], two, [models.info("c", ("n", "m"))]
        ),
    )
    a, b, c = np.ones((2, 3), np.float32), np.ones((4, 2), np.float32), np.ones((2, 2), np.float32)
    with pytest.raises(DeviceError, match="running the model"):
        run(program, a, b, c)
    b = np.ones((3, 2), np.float32)
    run(program, a, b, c)
    assert (c == 3).all()


def test_an_index_out_of_bounds_reads_nothing(engine: Engine) -> None:
    """ONNX Runtime says so, OpenVINO gives 0."""
    index = load(
        engine,
        models.model(
            [models.node("Gather", ["x", "i"], ["y"])],
            [models.info("x", (4,)), models.info("i", (1,), TensorProto.INT64)],
            [models.info("y", (1,))],
        ),
    )
    x, far, y = np.ones(4, np.float32), np.array([1 << 20]), np.zeros(1, np.float32)
    if engine.version.startswith("openvino"):
        run(index, x, far, y)
        assert not y.any()
        return
    with pytest.raises(DeviceError, match="out of data bounds"):
        run(index, x, far, y)


def _custom() -> bytes:
    return models.model(
        [models.node("Frobnicate", ["x"], ["y"], "org.example")],
        [models.info("x", (4,))],
        [models.info("y", (4,))],
        domains=["org.example"],
    )


def _unknown() -> bytes:
    return models.model(
        [models.node("Frobnicate", ["x"], ["y"])],
        [models.info("x", (4,))],
        [models.info("y", (4,))],
    )


def _strings() -> bytes:
    return models.model(
        [models.node("Identity", ["x"], ["y"])],
        [models.info("x", (4,), TensorProto.STRING)],
        [models.info("y", (4,), TensorProto.STRING)],
    )


def _message(number: int, content: bytes) -> bytes:
    """Return a field of protobuf, of any size."""
    size = len(content)
    coded = bytearray()
    while size > 0x7F:
        coded.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((number << 3 | 2, *coded, size)) + content


def _deep() -> bytes:
    graph = b""
    for _ in range(ONNX_DEPTH_MAX):
        graph = _message(1, _message(5, _message(6, graph)))
    return _message(7, graph)


def _within(name: str, domain: str) -> bytes:
    """Return a model with a node that is hidden in a branch."""
    return models.choosing(
        models.node(name, ["x"], ["t"], domain), models.node("Neg", ["x"], ["e"])
    )


GOOD = models.scaled()


def _defined() -> bytes:
    """Return a model that says it defines an operation which the runtime would read a file for."""
    x, y = models.info("x", (4,)), models.info("y", (4,))
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0)
    body = [helper.make_node("Neg", ["x"], ["y"])]
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    defined = helper.make_function("com.microsoft", "EPContext", ["x"], ["y"], body, versions[:1])
    graph = helper.make_graph([node], "graph", [x], [y])
    made = helper.make_model(graph, functions=[defined], opset_imports=versions, ir_version=8)
    return bytes(made.SerializeToString())


def _twice() -> bytes:
    y = models.info("y", (4,))
    return models.model([models.node("Neg", ["x"], ["y"])], [models.info("x", (4,))], [y, y])


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (b"", CompileError, "no ONNX model"),
        (b"not a model at all", CompileError, "no ONNX model"),
        (GOOD[:-7], CompileError, "ends in the middle"),
        (GOOD[:60], CompileError, "ends in the middle"),
        (b"\x18\x00\x00\x00ORTM" + bytes(64), Unsupported, "own format"),
        (_custom(), Unsupported, "custom operation org.example.Frobnicate"),
        (_within("Frobnicate", "org.example"), Unsupported, "custom operation"),
        (_within("EPContext", "com.microsoft"), Unsupported, "reads files"),
        (_unknown(), CompileError, "Frobnicate"),
        (_strings(), Unsupported, "a buffer cannot hold one"),
        (_deep(), CompileError, "deep in each other"),
        (models.beside_a_file("weights.bin"), Unsupported, "'c' has its data in a file"),
        (_defined(), Unsupported, "reads files"),
        (_twice(), Unsupported, "names an output twice"),
        (GOOD.replace(b"\x01x", b"\x01\xff"), CompileError, "a name that is no text"),
        (b"\x00\x01" * 9, CompileError, "not of protobuf"),
    ],
)
def test_models_that_are_refused(
    engine: Engine, code: bytes, error: type[GonError], says: str
) -> None:
    with pytest.raises(error, match=says):
        load(engine, code)


def test_data_elsewhere_is_found_as_protobuf_would() -> None:
    """It takes the lower half of a number for what is a choice of few."""
    for location in (b"\x01", b"\x81\x80\x80\x80\x10"):
        tensor = b"\x42\x01c\x70" + location
        assert read_model(_message(7, _message(5, tensor))).external == "c"


def test_no_file_is_read_for_a_model(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is there, and in the process's own directory."""
    monkeypatch.chdir(tmp_path)
    Path("weights.bin").write_bytes(bytes(16))
    for location in ("weights.bin", str(tmp_path / "weights.bin")):
        with pytest.raises(Unsupported, match="in a file"):
            load(engine, models.beside_a_file(location))


def test_options_and_headers_are_refused(engine: Engine) -> None:
    with pytest.raises(InvalidArgument, match="options"):
        engine.load(Program(GOOD, "onnx", "-O3"))
