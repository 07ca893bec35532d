"""What all engines of ONNX models have in common: what a model may be, and the signature of what
it becomes.

Rules: a model is its bytes: data in files beside it, operations of other libraries and what would
have a runtime read files are refused before any runtime sees the bytes. A model has one function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gon.errors import LimitExceeded, Unsupported
from gon.model import Dim, KernelInfo, Param, Program
from gon_server.devices.books import check_bare
from gon_server.engines.base import Uses
from gon_server.engines.limits import PARAMETER_NAME_BYTES_MAX
from gon_server.engines.onnx_model import Model, read_model
from gon_server.engines.signature import function, tensor

FORMAT: Final = "onnx"
FUNCTION: Final = "main"

# Whose operations runtimes have themselves; and those of them that read files that a model names.
_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})
_READ_FILES = frozenset({("com.microsoft", "EPContext")})
# What models of ONNX Runtime's own format have at byte 4.
_OWN_FORMAT = b"ORTM"


@dataclass(frozen=True, slots=True)
class Node:
    """An input or output of a model: of elements as gon_server.engines.signature names them, with
    None for a dimension that has no name.
    """

    name: str
    element: str
    shape: tuple[Dim | None, ...]


def read_admitted(program: Program) -> Model:
    """Return what a model is made of. Raises CompileError, LimitExceeded, InvalidArgument, and
    Unsupported for what no model may have here.
    """
    check_bare(program)
    if program.code[4:8] == _OWN_FORMAT:
        raise Unsupported("a model in the runtime's own format; one in ONNX's is needed")
    model = read_model(program.code)
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
    return model


def signature(inputs: Sequence[Node], outputs: Sequence[Node]) -> KernelInfo:
    """Return a model as a function. Raises Unsupported, LimitExceeded."""
    if len({node.name for node in outputs}) < len(outputs):
        raise Unsupported("a model that names an output twice")
    return function(
        FUNCTION,
        *(_param(node, writes=False) for node in inputs),
        *(_param(node, writes=True) for node in outputs),
    )


def passed_on(inputs: Sequence[Node], outputs: Sequence[Node]) -> dict[int, int]:
    """Return the outputs that are an input as it stands, each with that input, by their places
    among all: runtimes write none of them.
    """
    own = {node.name: index for index, node in enumerate(inputs)}
    return {
        len(inputs) + index: own[node.name]
        for index, node in enumerate(outputs)
        if node.name in own
    }


def uses_of(model: Model, info: KernelInfo) -> Uses:
    """Return what personalities are asked about."""
    operations = frozenset(
        f"{domain}.{name}" if domain else name for domain, name in model.operations
    )
    dynamic = any(isinstance(dim, str) for param in info.params for dim in param.shape or ())
    return Uses(frozenset(model.elements), operations, dynamic)


def _param(node: Node, *, writes: bool) -> Param:
    shape = [f"{node.name}_{axis}" if dim is None else dim for axis, dim in enumerate(node.shape)]
    for name in (node.name, *(dim for dim in shape if isinstance(dim, str))):
        if len(name.encode()) > PARAMETER_NAME_BYTES_MAX:
            raise LimitExceeded(
                f"a name of more than {PARAMETER_NAME_BYTES_MAX} bytes: {name[:64]}…"
            )
    return tensor(node.name, node.element, shape, writes=writes)
