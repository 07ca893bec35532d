"""What is read of ONNX models before a runtime sees them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gon.errors import CompileError, LimitExceeded
from gon_server.engines import onnx_model
from gon_server.engines.onnx_model import Value, read_model
from tests import onnx_models as models

BRANCHES = models.choosing(models.node("Neg", ["x"], ["t"]), models.node("Abs", ["x"], ["e"]))


def test_inputs_and_outputs_are_as_the_model_says() -> None:
    """Constants that are listed among its inputs are none, and branches have none of their own."""
    double = models.constant("c", np.array([2.0]))
    shapeless = helper.make_tensor_value_info("y", TensorProto.INT8, None)
    model = read_model(
        models.model(
            [models.node("Mul", ["x", "c"], ["y"])],
            [models.info("x", ("rows", 3, None), TensorProto.DOUBLE), models.info("c", (1,))],
            [shapeless],
            [double],
        )
    )
    assert model.inputs == [Value("x", TensorProto.DOUBLE, ("rows", 3, None))]
    assert model.outputs == [Value("y", TensorProto.INT8, None)]
    branches = read_model(BRANCHES)
    assert [each.name for each in branches.inputs] == ["which", "x"]
    assert branches.outputs == [Value("y", TensorProto.FLOAT, (4,))]


def test_types_that_nodes_make_are_of_the_model() -> None:
    node = helper.make_node("RandomNormal", [], ["r"], dtype=TensorProto.DOUBLE, shape=[4])
    cast = helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT)
    model = read_model(models.model([node, cast], [], [models.info("y", (4,))]))
    assert model.elements == {"float64", "float32"}


def _varint(number: int) -> bytes:
    low, number = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(number) if number else bytes([low])


@pytest.mark.parametrize("beyond", [1 << 32, 1 << 35, 1 << 63])
def test_a_key_of_more_than_32_bits_is_refused(beyond: int) -> None:
    """To a runtime's reader it is the key of its low half: another field than it is here."""
    hidden = _varint(14 << 3 | beyond) + b"\1"  # a tensor whose data lies elsewhere
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0]).SerializeToString() + hidden
    graph = b"\x2a" + _varint(len(tensor)) + tensor
    with pytest.raises(CompileError, match="not of protobuf"):
        read_model(b"\x3a" + _varint(len(graph)) + graph)


def test_a_type_of_elements_is_the_low_half_of_its_number() -> None:
    code = models.scaled()
    plain = read_model(code).elements
    assert plain == {"float32"}
    tensor = b"\x10" + _varint(TensorProto.DOUBLE | 1 << 32)
    graph = b"\x2a" + _varint(len(tensor)) + tensor
    assert read_model(b"\x3a" + _varint(len(graph)) + graph).elements == {"float64"}


def test_a_model_of_too_many_fields_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "ONNX_FIELDS_MAX", 1000)
    numbers = helper.make_node("Constant", [], ["y"], value_ints=list(range(1000)))
    with pytest.raises(LimitExceeded, match="more than 1000 fields"):
        read_model(models.model([numbers], [], [models.info("y", (1000,), TensorProto.INT64)]))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_the_bytes_are_reading_ends_with_an_answer(data: st.DataObject) -> None:
    code = bytearray(data.draw(st.sampled_from([models.scaled(), BRANCHES])))
    for _ in range(data.draw(st.integers(0, 6))):
        code[data.draw(st.integers(0, len(code) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(code)))
    try:
        read_model(bytes(code[:cut]) if data.draw(st.booleans()) else bytes(code))
    except CompileError:
        return
