"""From a StableHLO program to one whose entry writes its results where its caller says.

    parse ─▶ admit ─▶ the entry's types ─▶ sums, dynamic sizes ─▶ lower ─▶ outputs

A compiler of many dialects takes far more than StableHLO: machine code in `hal` objects, files by
their paths, extents of devices. So a program may hold nothing but StableHLO, in either form, and
functions; and of attributes only those that JAX notes. Results are marked `iree.abi.output`: each
is written into a buffer that is passed besides.

Rules: the caller's types are those of the program, before anything is rewritten.
Must not know: how it is run, what is cached.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Final

from gon.errors import CompileError, LimitExceeded, Unsupported
from gon_server.engines.iree_compiler import Module, Operation, Session
from gon_server.engines.limits import TENSORS_MAX
from gon_server.engines.stablehlo_dynamism import settle_dynamism
from gon_server.engines.stablehlo_precision import keep_sums_long
from gon_server.engines.stablehlo_types import Tensor, tensor_of

_DIALECTS: Final = ("vhlo.", "stablehlo.", "chlo.", "func.")
_DIALECT: Final = re.compile(r"^\w+\.|_v\d+$")
# What every program has.
_FRAME: Final = frozenset(("module", "func", "return", "call"))
_NOTES: Final = ("jax.", "mhlo.")
_FUNCTION: Final = re.compile(r"(?:func\.func|vhlo\.func_v\d+)")
_ARROW: Final = re.compile(r"\((?P<takes>.*?)\) -> (?P<gives>.*)", re.DOTALL)
_VERSIONED_FUNCTION: Final = re.compile(r"#vhlo\.type_v1<!vhlo\.func_v1<(.*)>>", re.DOTALL)
_TENSOR: Final = re.compile(r"[!.\w]+<(?:[^<>]|<[^<>]*>)*>|[!.\w]+")
_QUOTED: Final = re.compile(r'"(\w+)"')
PLATFORM_INDEX: Final = "_platform_index"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a program's entry takes and gives, but for the index of its platform; and of what
    operations and elements the program is made.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operations: frozenset[str]
    elements: frozenset[str]


def prepare(session: Session, module: Module, platform_index: int) -> Entry:
    """Make a program ready to be compiled, in place; return its entry.

    A program that was exported for several platforms is told that it runs on that of
    `platform_index`. Raises CompileError, Unsupported, LimitExceeded.
    """
    everything = session.operations(module)
    functions = _admit(everything)
    operations = frozenset(_DIALECT.sub("", each.name) for each in everything) - _FRAME
    elements = _elements(everything)
    public = [each for each in functions if not _private(each)]
    if len(public) != 1:
        raise CompileError(f"a program has one public function, this one {len(public)}")
    [function] = public
    name = str(function.attributes["sym_name"]).split('"')[1]
    takes, gives = _types(function)
    if len(takes) + len(gives) > TENSORS_MAX:
        raise LimitExceeded(
            f"{len(takes)} inputs and {len(gives)} outputs; {TENSORS_MAX} are possible"
        )
    by_platform = bool(takes) and _asks_for_platform(function)
    try:
        keep_sums_long(session, module)
        settle_dynamism(session, module)
    except (IndexError, ValueError) as error:
        raise CompileError(f"this is no StableHLO program: {error}") from None
    for each in functions:
        for notes in ("arg_attrs", "res_attrs"):
            if notes in each.attributes and each.name == "func.func":
                del each.attributes[notes]
    session.lower(module)
    lowered = _entry(module, name)
    if by_platform:
        _settle_platform(session, lowered, platform_index)
    _give_outputs(session, lowered, len(gives))
    inputs = tuple(tensor_of(each) for each in (takes[1:] if by_platform else takes))
    outputs = tuple(tensor_of(each) for each in gives)
    return Entry(name, inputs, outputs, operations, elements)


def _elements(operations: list[Operation]) -> frozenset[str]:
    """Return what NumPy calls the elements of all values; of what cannot be passed, nothing."""
    kinds = {str(value.type) for each in operations for value in each.results}
    found: set[str] = set()
    for kind in kinds:
        with contextlib.suppress(Unsupported):
            found.add(tensor_of(kind).dtype)
    return frozenset(found)


def _admit(operations: list[Operation]) -> list[Operation]:
    """Return a program's functions. Raises CompileError for what is no StableHLO."""
    functions: list[Operation] = []
    for operation in operations:
        name = operation.name
        if name != "builtin.module" and not name.startswith(_DIALECTS):
            raise CompileError(f"a StableHLO program may not hold {name}")
        for attribute in operation.attributes:
            if "." in attribute and not attribute.startswith(_NOTES):
                raise CompileError(f"a StableHLO program may not say {attribute} of {name}")
        if _FUNCTION.fullmatch(name):
            functions.append(operation)
            if not any(region.blocks for region in operation.regions):
                raise CompileError(f"a function without a body: {operation.attributes['sym_name']}")
    return functions


def _private(function: Operation) -> bool:
    attributes = function.attributes
    return "sym_visibility" in attributes and "private" in str(attributes["sym_visibility"])


def _types(function: Operation) -> tuple[list[str], list[str]]:
    """Return the types that a function takes and gives, as text."""
    text = str(function.attributes["function_type"])
    versioned = _VERSIONED_FUNCTION.fullmatch(text)
    match = _ARROW.fullmatch(text if versioned is None else versioned[1])
    if match is None:
        raise CompileError(f"a function of type {text[:200]}")
    return _TENSOR.findall(match["takes"]), _TENSOR.findall(match["gives"])


def _asks_for_platform(function: Operation) -> bool:
    """Return whether the first that a function takes is the index of its platform."""
    if "arg_attrs" not in function.attributes:
        return False
    first = str(function.attributes["arg_attrs"]).split("}", 1)[0]
    return "jax.global_constant" in first and PLATFORM_INDEX in _QUOTED.findall(first)


def _entry(module: Module, name: str) -> Operation:
    for each in module.body.operations:
        operation = each.operation
        if operation.name == "func.func" and f'"{name}"' == str(operation.attributes["sym_name"]):
            return operation
    raise CompileError(f"the compiler has lost {name}")


def _settle_platform(session: Session, entry: Operation, index: int) -> None:
    """Let the entry know its platform instead of being told."""
    [block, *_] = entry.regions[0].blocks
    kind = str(block.arguments[0].type)
    [constant] = session.splice(
        f"func.func @index() -> {kind} {{ %c = arith.constant dense<{index}> : {kind} "
        f"return %c : {kind} }}",
        (),
        block.operations[0].operation,
    )
    block.arguments[0].replace_all_uses_with(constant)
    block.erase_argument(0)
    takes, gives = _types(entry)
    _retype(session, entry, takes[1:], gives)


def _give_outputs(session: Session, entry: Operation, outputs: int) -> None:
    """Let the entry take a buffer for each of its results."""
    [block, *_] = entry.regions[0].blocks
    takes, gives = _types(entry)
    for _ in range(outputs):
        block.add_argument(session.type("!hal.buffer"), session.nowhere())
    _retype(session, entry, [*takes, *["!hal.buffer"] * outputs], gives)
    marks = ", ".join(
        ["{}"] * len(takes) + [f"{{iree.abi.output = {place} : index}}" for place in range(outputs)]
    )
    entry.attributes["arg_attrs"] = session.attribute(f"[{marks}]")


def _retype(session: Session, entry: Operation, takes: list[str], gives: list[str]) -> None:
    text = f"({', '.join(takes)}) -> ({', '.join(gives)})"
    entry.attributes["function_type"] = session.attribute(text)
