"""The engine of ONNX models, by ONNX Runtime on the host's CPU, int8 models (QDQ) too.

A module is one session. Inputs and outputs are bound to the buffers' own addresses, so the runtime
reads and writes there; its intermediate results are its own.

Rules: what a model may be, gon_server.engines.onnx_admit has asked before the runtime
(onnx_runtime) sees any of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gon.errors import CompileError, DeviceError, Unsupported
from gon.model import KernelInfo, Program
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
from gon_server.engines.onnx_model import ELEMENT_OF, Model
from gon_server.engines.onnx_runtime import (
    Argument,
    Binding,
    Runtime,
    Session,
    error_of,
    open_runtime,
)
from gon_server.engines.signature import ELEMENTS

# What chooses between graphs as it runs.
_CONTROL = frozenset({"If", "Loop", "Scan"})

# As the runtime names the types of elements: "tensor(float)".
_SPELLED = {"float32": "float", "float64": "double", "float8_e4m3fn": "float8e4m3fn",
            "float8_e5m2": "float8e5m2"}  # fmt: skip
_ELEMENT_OF_TYPE = {f"tensor({_SPELLED.get(name, name)})": name for name in ELEMENTS}
_NUMBER_OF = {name: number for number, name in ELEMENT_OF.items()}


class OnnxEngine:
    """ONNX Runtime, as gon_server.engines.base.Engine; `open_engine` makes it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.format = FORMAT
        self.version = f"onnxruntime {runtime.version}"

    def __repr__(self) -> str:
        return f"OnnxEngine({self.version})"

    def load(self, program: Program) -> EngineProgram:
        model = read_admitted(program)
        session = self._runtime.load(program.code)
        try:
            return OnnxProgram(session, model, len(program.code))
        except UnicodeDecodeError as error:
            # Neither format nor runtime asks that; its bindings for Python find out.
            raise CompileError(f"the model has a name that is no text: {error}") from None


class OnnxProgram:
    """One loaded model; its one function is "main"."""

    def __init__(self, session: Session, model: Model, size_bytes: int) -> None:
        inputs = [_node(each) for each in session.get_inputs()]
        outputs = [_node(each) for each in session.get_outputs()]
        info = signature(inputs, outputs)
        self._session = session
        self.size_bytes = size_bytes
        self._nodes = [*inputs, *outputs]
        self._inputs = len(inputs)
        # The runtime writes no output that is an input as it stands.
        self._passed = passed_on(inputs, outputs)
        self.functions: tuple[KernelInfo, ...] = (info,)
        self.uses = uses_of(model, info)
        self._looks_each_time = not _CONTROL.isdisjoint(self.uses.operations)

    def __repr__(self) -> str:
        return f"OnnxProgram({', '.join(each.name for each in self._nodes)})"

    @property
    def fills(self) -> bool:
        return True

    def bind(
        self,
        function: str,  # noqa: ARG002 - there is one
        tensors: Sequence[Tensor],
        values: Mapping[str, bytes],  # noqa: ARG002 - all are dimensions, and in the tensors
    ) -> OnnxBound:
        binding = self._session.io_binding()
        copies: list[tuple[Tensor, Tensor]] = []
        places: list[int] = []
        for index, (node, seen) in enumerate(zip(self._nodes, tensors, strict=True)):
            if index in self._passed:
                copies.append((seen, tensors[self._passed[index]]))
                continue
            place = address_of(seen)
            bind = binding.bind_input
            if index >= self._inputs:
                bind = binding.bind_output
                places.append(place)
            try:
                bind(node.name, "cpu", 0, _NUMBER_OF[node.element], seen.shape, place)
            except Exception as error:  # the runtime's own have no common base
                raise error_of(error, f"binding {node.name}") from error
        return OnnxBound(
            self._session, binding, tensors, places, copies, each_time=self._looks_each_time
        )

    def unload(self) -> None:
        """Nothing to do: the session goes with this."""


class OnnxBound:
    """A model bound to buffers."""

    def __init__(
        self,
        session: Session,
        binding: Binding,
        tensors: Sequence[Tensor],
        places: Sequence[int],
        copies: Sequence[tuple[Tensor, Tensor]],
        *,
        each_time: bool,
    ) -> None:
        """The binding has addresses only, of `tensors`, which are kept. `places` are where the
        outputs are to be, `copies` outputs that are inputs; with `each_time` every run is looked at
        whether they are.
        """
        self._run = session.run_with_iobinding
        self._binding = binding
        self._tensors = tensors
        self._places = list(places)
        self._copies = copies
        self._each_time = each_time
        self._looked = False

    def run(self, data: Sequence[bytes] = ()) -> None:  # noqa: ARG002 - models take none
        try:
            if self._places:
                self._run(self._binding)
        except Exception as error:  # the runtime's own have no common base
            raise error_of(error, "running the model") from error
        if not self._looked:
            self._look()
        for output, given in self._copies:
            np.copyto(output, given)

    def _look(self) -> None:
        """Raise DeviceError if the runtime has put an output anywhere but where it was told."""
        if self._places:
            found = [value.data_ptr() for value in self._binding.get_outputs()]
            if any(
                there != place for there, place in zip(found, self._places, strict=True) if there
            ):
                raise DeviceError("the runtime has not written an output in its place")
        self._looked = not self._each_time


def _node(given: Argument) -> Node:
    """Return an input or output of the runtime's. Raises Unsupported."""
    element = _ELEMENT_OF_TYPE.get(given.type)
    if element is None:
        raise Unsupported(f"{given.name} is a {given.type}; a buffer cannot hold one")
    shape = [(dim if dim >= 0 else None) if isinstance(dim, int) else dim for dim in given.shape]
    return Node(given.name, element, tuple([None if dim == "" else dim for dim in shape]))


def open_engine(share: Share) -> OnnxEngine:
    """Make ONNX Runtime ready, with as many threads as the share has. Raises Unsupported."""
    return OnnxEngine(open_runtime(max(1, min(share.threads, ENGINE_THREADS_MAX))))
