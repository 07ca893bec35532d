"""What an ONNX model is made of, read from its bytes before any library sees them.

Only what decides whether it may run here (operations and their domains, types of elements, data
that lies outside the model), and what it says of its inputs and outputs. The rest is skipped, so
that a model of any size takes little time.

Rules: pure; whatever the bytes are, it ends with what it found, CompileError or LimitExceeded.
Numbers of fields are those of the protobuf definition,
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gon.errors import CompileError, LimitExceeded
from gon.model import Dim
from gon_server.engines.limits import ONNX_DEPTH_MAX, ONNX_FIELDS_MAX, ONNX_NODES_MAX

# A field of a message: its number, and its value, bytes or a number.
Field: TypeAlias = tuple[int, memoryview | int]

# TensorProto.DataType, as gon_server.engines.signature names elements; "" is what has no place in a
# buffer of this unit.
ELEMENT_OF: Final = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
    14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz",
    19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4_e2m1",
}  # fmt: skip

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL = 1
_LOW_HALF = (1 << 32) - 1
# Numbers with a sign from here on are negative.
_NEGATIVE = 1 << 63
# Attributes that name the type of a node's results.
_MAKES = frozenset({b"to", b"dtype", b"output_dtype"})
_MAKES_BYTES_MAX = max(map(len, _MAKES))
# Types that types are made of: of a sequence's, a map's and an optional's elements.
_TYPES_IN_TYPES = frozenset({(4, 1), (5, 2), (9, 1)})


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output as the model has it: its name, the number of its elements' type (0 if it
    is no tensor) and its shape, as far as it is told: None for a dimension that is not, or for all.
    """

    name: str
    element: int
    shape: tuple[Dim | None, ...] | None


@dataclass(slots=True)
class Model:
    """What was found. `operations` are pairs of domain ("" is ONNX's own) and name; `functions`
    those that the model defines itself; `external` the first tensor whose data lies elsewhere, or
    None; `inputs` are without those that are `constants`.
    """

    graphs: int = 0
    operations: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    functions: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    elements: set[str] = field(default_factory=set[str])
    external: str | None = None
    inputs: list[Value] = field(default_factory=list[Value])
    outputs: list[Value] = field(default_factory=list[Value])
    constants: set[str] = field(default_factory=set[str])
    nodes: int = 0
    fields: int = 0


def read_model(code: bytes) -> Model:
    """Return what a model is made of. Raises CompileError for what is none, LimitExceeded."""
    model = Model()
    for number, value in _fields(model, memoryview(code)):
        if number == 7 and isinstance(value, memoryview):
            model.graphs += 1
            _graph(model, value, 0)
        elif number == 25 and isinstance(value, memoryview):
            _function(model, value)
    if model.graphs != 1:
        raise CompileError("this is no ONNX model: it has no graph")
    # Models of old versions list their constants among their inputs.
    model.inputs = [each for each in model.inputs if each.name not in model.constants]
    return model


def _graph(model: Model, graph: memoryview, depth: int) -> None:
    for number, value in _messages(model, graph, depth):
        match number:
            case 1:
                _node(model, value, depth + 1)
            case 5:
                name = _tensor(model, value)
                if not depth:
                    model.constants.add(name)
            case 15:
                _sparse(model, value)
            case 11 | 12 | 13:
                for inner, kind in _messages(model, value, depth):
                    if inner == 2:
                        _type(model, kind, depth + 1)
                if not depth and number != 13:
                    (model.inputs if number == 11 else model.outputs).append(_value(model, value))
            case _:
                pass


def _value(model: Model, info: memoryview) -> Value:
    name, element = "", 0
    shape: tuple[Dim | None, ...] | None = None
    for number, value in _messages(model, info, 0):
        if number == 1:
            name = _whole_text(value)
        elif number == 2:
            for kind, tensor in _messages(model, value, 0):
                if kind == 1:
                    element, shape = _tensor_type(model, tensor)
    return Value(name, element, shape)


def _tensor_type(model: Model, tensor: memoryview) -> tuple[int, tuple[Dim | None, ...] | None]:
    element, shape = 0, None
    for number, value in _fields(model, tensor):
        if number == 1 and isinstance(value, int):
            element = value
        elif number == 2 and isinstance(value, memoryview):
            dims = [dim for part, dim in _messages(model, value, 0) if part == 1]
            shape = tuple([_dim(model, dim) for dim in dims])
    return element, shape


def _dim(model: Model, dim: memoryview) -> Dim | None:
    """Return a dimension's size or name, as far as it is told."""
    for number, value in _fields(model, dim):
        if number == 1 and isinstance(value, int) and value < _NEGATIVE:
            return value
        if number == 2 and isinstance(value, memoryview) and value:
            return _whole_text(value)
    return None


def _function(model: Model, function: memoryview) -> None:
    name = domain = ""
    for number, value in _messages(model, function, 0):
        match number:
            case 1:
                name = _text(value)
            case 10:
                domain = _text(value)
            case 7:
                _node(model, value, 1)
            case 11:
                _attribute(model, value, 1)
            case _:
                pass
    model.functions.add((_plain(domain), name))


def _node(model: Model, node: memoryview, depth: int) -> None:
    model.nodes += 1
    if model.nodes > ONNX_NODES_MAX:
        raise CompileError(f"the model has more than {ONNX_NODES_MAX} nodes")
    name = domain = ""
    attributes: list[memoryview] = []
    for number, value in _messages(model, node, depth):
        match number:
            case 4:
                name = _text(value)
            case 7:
                domain = _text(value)
            case 5:
                attributes.append(value)
            case _:
                pass
    model.operations.add((_plain(domain), name))
    for attribute in attributes:
        _attribute(model, attribute, depth + 1)


def _attribute(model: Model, attribute: memoryview, depth: int) -> None:
    named = b""
    number_given = 0
    for number, value in _fields(model, attribute, depth):
        if isinstance(value, int):
            number_given = value if number == 3 else number_given
            continue
        match number:
            case 1:
                named = bytes(value[: _MAKES_BYTES_MAX + 1])
            case 5 | 10:
                _tensor(model, value)
            case 6 | 11:
                _graph(model, value, depth + 1)
            case 22 | 23:
                _sparse(model, value)
            case _:
                pass
    if named in _MAKES:
        _element(model, number_given)


def _tensor(model: Model, tensor: memoryview) -> str:
    """Note what a constant is of; return its name."""
    name = ""
    external = False
    for number, value in _fields(model, tensor):
        match number, value:
            case 2, int():
                _element(model, value)
            case 14, int():
                # As protobuf reads it: whatever is in the upper half of the number.
                external = external or value & _LOW_HALF == _EXTERNAL
            case 13, memoryview():
                external = True
            case 8, memoryview():
                name = bytes(value).decode(errors="replace")
            case _:
                pass
    if external and model.external is None:
        model.external = name[:256]
    return name


def _sparse(model: Model, sparse: memoryview) -> None:
    for number, value in _messages(model, sparse, 0):
        if number in (1, 2):
            _tensor(model, value)


def _type(model: Model, kind: memoryview, depth: int) -> None:
    """Note the elements of a type: of a tensor, or of what is made of tensors."""
    for number, inner in _messages(model, kind, depth):
        for part, value in _fields(model, inner, depth):
            if isinstance(value, int):
                if part == 1:
                    _element(model, value)
            elif (number, part) in _TYPES_IN_TYPES:
                _type(model, value, depth + 1)


def _element(model: Model, data_type: int) -> None:
    data_type &= _LOW_HALF  # as protobuf's own readers do
    if data_type:
        model.elements.add(ELEMENT_OF.get(data_type, "an unknown type"))


def _plain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _text(value: memoryview) -> str:
    return bytes(value[:256]).decode(errors="replace")


def _whole_text(value: memoryview) -> str:
    """Return a name. Raises CompileError for one that is no text."""
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        raise CompileError(f"the model has a name that is no text: {error}") from None


def _messages(model: Model, message: memoryview, depth: int) -> Iterator[tuple[int, memoryview]]:
    for number, value in _fields(model, message, depth):
        if isinstance(value, memoryview):
            yield number, value


def _fields(model: Model, message: memoryview, depth: int = 0) -> Iterator[Field]:
    """Return a message's fields of bytes and of numbers. Raises CompileError."""
    if depth > ONNX_DEPTH_MAX:
        raise CompileError(f"the model's graphs lie more than {ONNX_DEPTH_MAX} deep in each other")
    at, end = 0, len(message)
    while at < end:
        model.fields += 1
        if model.fields > ONNX_FIELDS_MAX:
            raise LimitExceeded(f"a model of more than {ONNX_FIELDS_MAX} fields")
        key, at = _number(message, at)
        kind = key & 7
        # Protobuf's own readers look at 32 bits: to them a longer key is another field.
        if not key >> 3 or key >> 32:
            raise CompileError(f"this is no ONNX model: byte {at} is not of protobuf")
        if kind == _VARINT:
            value, at = _number(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _number(message, at)
            if size > end - at:
                raise CompileError("this is no ONNX model: it ends in the middle")
            yield key >> 3, message[at : at + size]
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise CompileError(f"this is no ONNX model: byte {at} is not of protobuf")
        at += size
    if at > end:
        raise CompileError("this is no ONNX model: it ends in the middle")


def _number(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70 and at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise CompileError("this is no ONNX model: it ends in the middle")
