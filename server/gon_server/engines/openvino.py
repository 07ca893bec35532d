"""Another engine of ONNX models, by OpenVINO on the host's CPU, int8 models (QDQ) too.

A module is one compiled model, what it was bound to a request of it. Tensors lie at the buffers'
own addresses, so the runtime reads and writes there; its intermediate results are its own.

Rules: what a model may be, gon_server.engines.onnx_admit has asked before the runtime
(openvino_runtime) sees any of it. OpenVINO computes with float64 as float32 and with whole numbers
in 32 bits; so models of float64, uint32 and uint64 are refused, and of int64, which hardly a model
is without, the lower half counts. An index that is out of bounds is no error to it: operations that
would then touch other memory are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from gon.errors import CompileError, DeviceError, OutOfMemory, Unsupported
from gon.model import Dim, KernelInfo, Program
from gon_server.engines.base import EngineProgram, Share, Tensor, address_of
from gon_server.engines.limits import ENGINE_THREADS_MAX
from gon_server.engines.onnx_admit import (
    FORMAT,
    Node,
    passed_on,
    read_admitted,
    signature,
    uses_of,
)
from gon_server.engines.onnx_model import Model, Value
from gon_server.engines.openvino_runtime import (
    Compiled,
    Placed,
    Port,
    Request,
    Runtime,
    error_of,
    open_runtime,
    takes_parameter,
)

# Elements by the runtime's names of them.
_ELEMENTS: Final = {
    "boolean": "bool", "i8": "int8", "u8": "uint8", "i16": "int16", "u16": "uint16",
    "i32": "int32", "i64": "int64", "f16": "float16", "f32": "float32", "bf16": "bfloat16",
    "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2",
}  # fmt: skip
# Operations whose inputs say where in others to read or write: with an index that is out of bounds
# some were seen to read and write whatever lies there, or to leave outputs as they were (2026.4).
# `Gather` gives 0.
_UNCHECKED: Final = frozenset({
    "DeformConv", "EmbedLayerNormalization", "GRU", "GatherElements", "GatherND",
    "GroupQueryAttention", "LSTM", "Loop", "MaxRoiPool", "MaxUnpool", "NonMaxSuppression", "RNN",
    "ReverseSequence", "RoiAlign", "Scan", "Scatter", "ScatterElements", "ScatterND", "SequenceAt",
    "SequenceErase",
    "SequenceInsert", "SplitToSequence", "TensorScatter", "Unique",
})  # fmt: skip
_NARROWED: Final = frozenset({"float64", "uint32", "uint64"})


class OpenVinoEngine:
    """OpenVINO, as gon_server.engines.base.Engine; `open_engine` makes it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.format = FORMAT
        self.version = f"openvino {runtime.version}"

    def __repr__(self) -> str:
        return f"OpenVinoEngine({self.version})"

    def load(self, program: Program) -> EngineProgram:
        model = read_admitted(program)
        if wrong := sorted(model.elements & _NARROWED):
            raise Unsupported(
                f"elements of {', '.join(wrong)}: OpenVINO would compute in narrower ones"
            )
        if unchecked := sorted({name for _, name in model.operations} & _UNCHECKED):
            raise Unsupported(
                f"{', '.join(unchecked)}: OpenVINO does not check the places that such operations "
                "are given; ONNX Runtime does"
            )
        return OpenVinoProgram(self._runtime, model, program.code)


class OpenVinoProgram:
    """One loaded model; its one function is "main"."""

    def __init__(self, runtime: Runtime, model: Model, code: bytes) -> None:
        graph = runtime.read(code)
        inputs = _nodes(model.inputs, graph.inputs)
        outputs = _nodes(model.outputs, graph.outputs)
        info = signature(inputs, outputs)
        self._passed = passed_on(inputs, outputs)
        # The runtime takes an output that is an input for that input.
        for result in [each for each in graph.results if takes_parameter(each)]:
            graph.remove_result(result)
        if len(graph.results) != len(outputs) - len(self._passed):
            raise CompileError("the model gives an input as an output, by another name")
        self._nodes = [*inputs, *outputs]
        self._runtime = runtime
        self._graph = graph
        self._types = [port.get_element_type() for port in graph.inputs]
        self._written = [port.get_element_type() for port in graph.outputs]
        self._compiled: Compiled | None = None
        if self._written:
            self.compiled()
        self.size_bytes = len(code)
        self.functions: tuple[KernelInfo, ...] = (info,)
        self.uses = uses_of(model, info)

    def __repr__(self) -> str:
        return f"OpenVinoProgram({', '.join(each.name for each in self._nodes)})"

    @property
    def fills(self) -> bool:
        return True

    def bind(
        self,
        function: str,  # noqa: ARG002 - there is one
        tensors: Sequence[Tensor],
        values: Mapping[str, bytes],  # noqa: ARG002 - all are dimensions, and in the tensors
    ) -> OpenVinoBound:
        count = len(self._types)
        written = [
            seen
            for index, seen in enumerate(tensors)
            if index >= count and index not in self._passed
        ]
        copies = [(tensors[output], tensors[given]) for output, given in self._passed.items()]
        return OpenVinoBound(self, tensors[:count], written, copies)

    def compiled(self) -> Compiled:
        """Return the model, ready to be run. Raises CompileError, OutOfMemory."""
        if self._compiled is None:
            self._compiled = self._runtime.compile(self._graph)
        return self._compiled

    def spoil(self) -> None:
        """Note that the model is to be made ready again: where memory has run out, the runtime asks
        for the same memory in each later run.
        """
        self._compiled = None

    def request(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Request:
        """Return a request on these tensors. Raises as `bind`."""
        compiled = self.compiled()
        place = self._runtime.place
        try:
            request = compiled.create_infer_request()
            for index, (seen, element) in enumerate(zip(inputs, self._types, strict=True)):
                request.set_input_tensor(index, place(seen, element))
            for index, (seen, element) in enumerate(zip(outputs, self._written, strict=True)):
                request.set_output_tensor(index, place(seen, element))
        except Exception as error:  # its own have no common base
            raise error_of(error, "binding the model") from error
        return request

    def unload(self) -> None:
        """Nothing to do: the compiled model goes with this."""


class OpenVinoBound:
    """A model bound to buffers."""

    def __init__(
        self,
        program: OpenVinoProgram,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        copies: Sequence[tuple[Tensor, Tensor]],
    ) -> None:
        """A request has addresses only, of tensors that are kept here. It writes `outputs`;
        `copies` are outputs that are inputs.
        """
        self._program = program
        self._inputs = inputs
        self._outputs = outputs
        self._copies = copies
        self._of: Compiled | None = None
        self._request: Request | None = None
        if outputs:
            self._made()

    def run(self, data: Sequence[bytes] = ()) -> None:  # noqa: ARG002 - models take none
        if self._outputs:
            request = self._made()
            try:
                request.infer(share_outputs=True, decode_strings=False)
                found = [request.get_output_tensor(at) for at in range(len(self._outputs))]
            except Exception as error:  # its own have no common base
                failed = error_of(error, "running the model")
                if isinstance(failed, OutOfMemory):
                    self._program.spoil()
                raise failed from error
            for placed, wanted in zip(found, self._outputs, strict=True):
                _look(placed, wanted)
        for output, given in self._copies:
            np.copyto(output, given)

    def _made(self) -> Request:
        """Return the request, a new one if the model was made ready again since."""
        compiled = self._program.compiled()
        if self._request is None or self._of is not compiled:
            self._request = self._program.request(self._inputs, self._outputs)
            self._of = compiled
        return self._request


def _look(placed: Placed, wanted: Tensor) -> None:
    """Raise DeviceError if the runtime has put an output anywhere but where it was told."""
    shape = tuple(placed.get_shape())
    if shape != wanted.shape:
        raise DeviceError(f"the model gives {list(shape)}, {list(wanted.shape)} was to be written")
    if wanted.nbytes and address_of(placed.data) != address_of(wanted):
        raise DeviceError("the runtime has not written an output in its place")


def _nodes(values: Sequence[Value], ports: Sequence[Port]) -> list[Node]:
    """Return a model's inputs or outputs, by what the bytes say and the runtime has found out."""
    if len(values) != len(ports):
        raise CompileError(f"the model has {len(values)} tensors, the runtime finds {len(ports)}")
    return [_node(value, port) for value, port in zip(values, ports, strict=True)]


def _node(value: Value, port: Port) -> Node:
    if value.name not in port.get_names():
        raise CompileError(f"the runtime does not find {value.name}")
    told = port.get_element_type().get_type_name()
    element = _ELEMENTS.get(told)
    if element is None:
        raise Unsupported(f"{value.name} is of {told}; a buffer cannot hold one")
    found = port.get_partial_shape()
    if found.rank.is_static:
        dims: list[Dim | None] = [
            found[axis].get_length() if found[axis].is_static else None
            for axis in range(found.rank.get_length())
        ]
    elif value.shape is not None:
        dims = [None] * len(value.shape)
    else:
        raise Unsupported(f"{value.name} has no shape that is known before the model runs")
    said = value.shape if value.shape is not None and len(value.shape) == len(dims) else dims
    shape = [there if dim is None else dim for dim, there in zip(dims, said, strict=True)]
    return Node(value.name, element, tuple(shape))


def open_engine(share: Share) -> OpenVinoEngine:
    """Make OpenVINO ready, with as many threads as the share has. Raises Unsupported."""
    return OpenVinoEngine(open_runtime(max(1, min(share.threads, ENGINE_THREADS_MAX))))
