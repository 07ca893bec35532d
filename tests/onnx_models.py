"""ONNX models for tests, made with the package that defines the format."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from onnx import numpy_helper as arrays

FLOAT = TensorProto.FLOAT
INT8 = TensorProto.INT8
OPSET = 17

Shape = Sequence[int | str | None]


def info(name: str, shape: Shape, element: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: Sequence[TensorProto] = (),
    domains: Sequence[str] = (),
) -> bytes:
    """Return a model as a file holds it."""
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(constants))
    versions = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(d, 1) for d in domains)]
    made: ModelProto = helper.make_model(graph, opset_imports=versions, ir_version=8)
    return bytes(made.SerializeToString())


def constant(name: str, value: NDArray[np.generic]) -> TensorProto:
    return arrays.from_array(value, name)


def scaled(element: int = FLOAT, shape: Shape = ("n", 4)) -> bytes:
    """Return y = 2 x + 1."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    return model(
        [
            helper.make_node("Mul", ["x", "two"], ["m"]),
            helper.make_node("Add", ["m", "one"], ["y"]),
        ],
        [info("x", shape, element)],
        [info("y", shape, element)],
        [constant("two", np.array(2, dtype)), constant("one", np.array(1, dtype))],
    )


def perceptron(weights: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Return y = relu(x w + b), for any number of rows."""
    return model(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["g"]),
            helper.make_node("Relu", ["g"], ["y"]),
        ],
        [info("x", ("rows", weights.shape[0]))],
        [info("y", ("rows", weights.shape[1]))],
        [constant("w", weights), constant("b", bias)],
    )


def quantized(weights: NDArray[np.int8], scale: float) -> bytes:
    """Return y = x w, with int8 weights and int8 activations (QDQ)."""
    return model(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "zero"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "s", "zero"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w", "s", "zero"], ["wd"]),
            helper.make_node("MatMul", ["xd", "wd"], ["y"]),
        ],
        [info("x", (2, weights.shape[0]))],
        [info("y", (2, weights.shape[1]))],
        [
            constant("w", weights),
            constant("s", np.array(scale, np.float32)),
            constant("zero", np.array(0, np.int8)),
        ],
    )


def beside_a_file(location: str) -> bytes:
    """Return a model whose constant lies in a file."""
    lying = TensorProto(name="c", data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    entry = lying.external_data.add()
    entry.key, entry.value = "location", location
    return model(
        [helper.make_node("Add", ["x", "c"], ["y"])], [info("x", (4,))], [info("y", (4,))], [lying]
    )


def choosing(then: NodeProto, other: NodeProto) -> bytes:
    """Return y = one of two nodes' outputs "t" and "e", of x, as the input "which" says."""
    chosen = helper.make_node("If", ["which"], ["y"])
    for name, branch, result in (("then_branch", then, "t"), ("else_branch", other, "e")):
        graph = helper.make_graph([branch], name, [], [info(result, (4,))])
        chosen.attribute.append(helper.make_attribute(name, graph))
    return model(
        [chosen],
        [info("which", (), TensorProto.BOOL), info("x", (4,))],
        [info("y", (4,))],
    )


def node(name: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "") -> NodeProto:
    return helper.make_node(name, list(inputs), list(outputs), domain=domain)
