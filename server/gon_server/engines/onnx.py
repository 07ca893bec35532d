"""The engine of ONNX models, by ONNX Runtime on the host's CPU, int8 models (QDQ) too.

A module is one session. Inputs and outputs are bound to the buffers' own addresses, so the runtime
reads and writes there; its intermediate results are its own.

Rules: a model is its bytes: data in files beside it, operations of other libraries and what would
have the runtime read files are refused before the runtime (onnx_runtime) sees any of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from gon.errors import CompileError, DeviceError, LimitExceeded, Unsupported
from gon.model import Dim, KernelInfo, Param, Program
from gon_server.devices.books import check_bare
from gon_server.engines.base import EngineProgram, Share, Tensor, Uses, address_of
from gon_server.engines.limits import ENGINE_THREADS_MAX, PARAMETER_NAME_BYTES_MAX
from gon_server.engines.onnx_model import ELEMENT_OF, Model, read_model
from gon_server.engines.onnx_runtime import (
    Binding,
    Node,
    Runtime,
    Session,
    error_of,
    open_runtime,
)
from gon_server.engines.signature import ELEMENTS, function, tensor

FORMAT: Final = "onnx"
FUNCTION: Final = "main"

# Whose operations the runtime has itself; and those of them that read files that a model names.
_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})
_READ_FILES = frozenset({("com.microsoft", "EPContext")})
# What chooses between graphs as it runs.
_CONTROL = frozenset({"If", "Loop", "Scan"})
# What models of the runtime's own format have at byte 4.
_OWN_FORMAT = b"ORTM"

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
        check_bare(program)
        if program.code[4:8] == _OWN_FORMAT:
            raise Unsupported("a model in the runtime's own format; one in ONNX's is needed")
        model = read_model(program.code)
        _check(model)
        session = self._runtime.load(program.code)
        try:
            return OnnxProgram(session, model, len(program.code))
        except UnicodeDecodeError as error:
            # Neither format nor runtime asks that; its bindings for Python find out.
            raise CompileError(f"the model has a name that is no text: {error}") from None


class OnnxProgram:
    """One loaded model; its one function is "main"."""

    def __init__(self, session: Session, model: Model, size_bytes: int) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len({node.name for node in outputs}) < len(outputs):
            raise Unsupported("a model that names an output twice")
        self._session = session
        self.size_bytes = size_bytes
        self._elements = [_element(node) for node in (*inputs, *outputs)]
        self._names = [node.name for node in (*inputs, *outputs)]
        self._inputs = len(inputs)
        # The runtime writes no output that is an input as it stands.
        own = {node.name: index for index, node in enumerate(inputs)}
        self._passed = {
            len(inputs) + index: own[node.name]
            for index, node in enumerate(outputs)
            if node.name in own
        }
        params = [
            *(_param(node, writes=False) for node in inputs),
            *(_param(node, writes=True) for node in outputs),
        ]
        self.functions: tuple[KernelInfo, ...] = (function(FUNCTION, *params),)
        operations = frozenset(
            f"{domain}.{name}" if domain else name for domain, name in model.operations
        )
        self._looks_each_time = not _CONTROL.isdisjoint(operations)
        self.uses = Uses(
            frozenset(model.elements),
            operations,
            any(isinstance(dim, str) for param in params for dim in param.shape or ()),
        )

    def __repr__(self) -> str:
        return f"OnnxProgram({', '.join(self._names)})"

    def bind(
        self,
        function: str,  # noqa: ARG002 - there is one
        tensors: Sequence[Tensor],
        values: Mapping[str, bytes],  # noqa: ARG002 - all are dimensions, and in the tensors
    ) -> OnnxBound:
        binding = self._session.io_binding()
        copies: list[tuple[Tensor, Tensor]] = []
        places: list[int] = []
        for index, (name, element, seen) in enumerate(
            zip(self._names, self._elements, tensors, strict=True)
        ):
            if index in self._passed:
                copies.append((seen, tensors[self._passed[index]]))
                continue
            place = address_of(seen)
            bind = binding.bind_input
            if index >= self._inputs:
                bind = binding.bind_output
                places.append(place)
            try:
                bind(name, "cpu", 0, _NUMBER_OF[element], seen.shape, place)
            except Exception as error:  # the runtime's own have no common base
                raise error_of(error, f"binding {name}") from error
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

    def run(self) -> None:
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


def _check(model: Model) -> None:
    """Raise Unsupported for what no model may have here."""
    if model.external is not None:
        raise Unsupported(
            f"tensor {model.external!r} has its data in a file beside the model; save the model "
            "with all data in it"
        )
    for domain, name in sorted(model.operations):
        # Also where the model says that it defines it: the runtime need not take its word.
        if (domain, name) in _READ_FILES:
            raise Unsupported(f"operation {domain}.{name} reads files")
        if domain not in _DOMAINS and (domain, name) not in model.functions:
            raise Unsupported(f"custom operation {domain}.{name}: only ONNX's own are run here")


def _param(node: Node, *, writes: bool) -> Param:
    """Return an input or output as a parameter. Raises Unsupported, LimitExceeded."""
    shape: list[Dim] = []
    for axis, dim in enumerate(node.shape):
        known = dim >= 0 if isinstance(dim, int) else bool(dim)
        shape.append(dim if known and dim is not None else f"{node.name}_{axis}")
    names = [node.name, *(dim for dim in shape if isinstance(dim, str))]
    for name in names:
        if len(name.encode()) > PARAMETER_NAME_BYTES_MAX:
            raise LimitExceeded(
                f"a name of more than {PARAMETER_NAME_BYTES_MAX} bytes: {name[:64]}…"
            )
    return tensor(node.name, _element(node), shape, writes=writes)


def _element(node: Node) -> str:
    element = _ELEMENT_OF_TYPE.get(node.type)
    if element is None:
        raise Unsupported(f"{node.name} is a {node.type}; a buffer cannot hold one")
    return element


def open_engine(share: Share) -> OnnxEngine:
    """Make ONNX Runtime ready, with as many threads as the share has. Raises Unsupported."""
    return OnnxEngine(open_runtime(max(1, min(share.threads, ENGINE_THREADS_MAX))))
