"""ONNX graphs, written node by node; with int8 in the form QDQ: numbers are quantised and at once
dequantised, and a runtime that can computes with what is between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from .references import Reals

_LEVELS = 127
Shapes = Mapping[str, tuple[int, ...]]


class OnnxGraph:
    """Nodes and constants so far; what adds a node returns the name of its output."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self.constant("zero", np.array(0, np.int8))

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        """Add one node."""
        made = helper.make_node(kind, list(inputs), [output])
        made.attribute.extend(helper.make_attribute(*each) for each in attributes.items())
        self._nodes.append(made)
        return output

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant."""
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def quantised(self, name: str, largest: float) -> str:
        """Let a tensor of numbers up to `largest` have 8 bits."""
        scale = self.constant(f"{name}_scale", np.array(largest / _LEVELS, np.float32))
        whole = self.node("QuantizeLinear", [name, scale, "zero"], f"{name}_int8")
        return self.node("DequantizeLinear", [whole, scale, "zero"], f"{name}_real")

    def quantised_constant(self, name: str, values: Reals, axis: int) -> str:
        """Add a constant of 8 bits, with a scale for each place along `axis`."""
        others = tuple(each for each in range(values.ndim) if each != axis)
        scales: Reals = np.abs(values).max(others, keepdims=True) / np.float32(_LEVELS)
        inputs = [
            self.constant(name, np.rint(values / scales).astype(np.int8)),
            self.constant(f"{name}_scale", scales.reshape(-1)),
            self.constant(f"{name}_zero", np.zeros(scales.size, np.int8)),
        ]
        return self.node("DequantizeLinear", inputs, f"{name}_real", axis=axis)

    def coded(self, inputs: Shapes, outputs: Shapes, whole: Sequence[str] = ()) -> bytes:
        """Return the model as a file holds it; tensors are of float32, but those of `whole`."""

        def told(name: str, shape: tuple[int, ...]) -> ValueInfoProto:
            element = TensorProto.INT64 if name in whole else TensorProto.FLOAT
            return helper.make_tensor_value_info(name, element, shape)

        given = [told(*each) for each in inputs.items()]
        results = [told(*each) for each in outputs.items()]
        graph = helper.make_graph(self._nodes, "graph", given, results, self._constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return made.SerializeToString()
