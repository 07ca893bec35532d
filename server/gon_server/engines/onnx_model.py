"""What an ONNX model is made of, read from its bytes before any library sees them.

Only what decides whether it may run here: operations and their domains, types of elements, data
that lies outside the model. The rest is skipped, so that a model of any size takes little time.

Rules: pure; whatever the bytes are, it ends with what it found or CompileError. Numbers of fields
are those of the protobuf definition, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gon.errors import CompileError
from gon_server.engines.limits import ONNX_DEPTH_MAX, ONNX_NODES_MAX

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
_CAST_TO = b"to"
# Types that types are made of: of a sequence's, a map's and an optional's elements.
_TYPES_IN_TYPES = frozenset({(4, 1), (5, 2), (9, 1)})


@dataclass(slots=True)
class Model:
    """What was found. `operations` are pairs of domain ("" is ONNX's own) and name; `functions`
    those that the model defines itself; `external` the first tensor whose data lies elsewhere, or
    None.
    """

    graphs: int = 0
    operations: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    functions: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    elements: set[str] = field(default_factory=set[str])
    external: str | None = None
    nodes: int = 0


def read_model(code: bytes) -> Model:
    """Return what a model is made of. Raises CompileError for what is none."""
    model = Model()
    for number, value in _fields(memoryview(code)):
        if number == 7 and isinstance(value, memoryview):
            model.graphs += 1
            _graph(model, value, 0)
        elif number == 25 and isinstance(value, memoryview):
            _function(model, value)
    if model.graphs != 1:
        raise CompileError("this is no ONNX model: it has no graph")
    return model


def _graph(model: Model, graph: memoryview, depth: int) -> None:
    for number, value in _messages(graph, depth):
        match number:
            case 1:
                _node(model, value, depth + 1)
            case 5:
                _tensor(model, value)
            case 15:
                _sparse(model, value)
            case 11 | 12 | 13:
                for inner, kind in _messages(value, depth):
                    if inner == 2:
                        _type(model, kind, depth + 1)
            case _:
                pass


def _function(model: Model, function: memoryview) -> None:
    name = domain = ""
    for number, value in _messages(function, 0):
        match number:
            case 1:
                name = _text(value)
            case 10:
                domain = _text(value)
            case 7:
                _node(model, value, 1)
            case 11:
                _attribute(model, value, 1, casts=False)
            case _:
                pass
    model.functions.add((_plain(domain), name))


def _node(model: Model, node: memoryview, depth: int) -> None:
    model.nodes += 1
    if model.nodes > ONNX_NODES_MAX:
        raise CompileError(f"the model has more than {ONNX_NODES_MAX} nodes")
    name = domain = ""
    attributes: list[memoryview] = []
    for number, value in _messages(node, depth):
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
        _attribute(model, attribute, depth + 1, casts=name == "Cast")


def _attribute(model: Model, attribute: memoryview, depth: int, *, casts: bool) -> None:
    named = b""
    to = 0
    for number, value in _fields(attribute, depth):
        if isinstance(value, int):
            to = value if number == 3 else to
            continue
        match number:
            case 1:
                named = bytes(value[:8])
            case 5 | 10:
                _tensor(model, value)
            case 6 | 11:
                _graph(model, value, depth + 1)
            case 22 | 23:
                _sparse(model, value)
            case _:
                pass
    if casts and named == _CAST_TO:
        _element(model, to)


def _tensor(model: Model, tensor: memoryview) -> None:
    name = ""
    external = False
    for number, value in _fields(tensor):
        match number, value:
            case 2, int():
                _element(model, value)
            case 14, int():
                external = external or value == _EXTERNAL
            case 13, memoryview():
                external = True
            case 8, memoryview():
                name = _text(value)
            case _:
                pass
    if external and model.external is None:
        model.external = name


def _sparse(model: Model, sparse: memoryview) -> None:
    for number, value in _messages(sparse, 0):
        if number in (1, 2):
            _tensor(model, value)


def _type(model: Model, kind: memoryview, depth: int) -> None:
    """Note the elements of a type: of a tensor, or of what is made of tensors."""
    for number, inner in _messages(kind, depth):
        for part, value in _fields(inner, depth):
            if isinstance(value, int):
                if part == 1:
                    _element(model, value)
            elif (number, part) in _TYPES_IN_TYPES:
                _type(model, value, depth + 1)


def _element(model: Model, data_type: int) -> None:
    if data_type:
        model.elements.add(ELEMENT_OF.get(data_type, f"type {data_type}"))


def _plain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _text(value: memoryview) -> str:
    return bytes(value[:256]).decode(errors="replace")


def _messages(message: memoryview, depth: int) -> Iterator[tuple[int, memoryview]]:
    for number, value in _fields(message, depth):
        if isinstance(value, memoryview):
            yield number, value


def _fields(message: memoryview, depth: int = 0) -> Iterator[Field]:
    """Return a message's fields of bytes and of numbers. Raises CompileError."""
    if depth > ONNX_DEPTH_MAX:
        raise CompileError(f"the model's graphs lie more than {ONNX_DEPTH_MAX} deep in each other")
    at, end = 0, len(message)
    while at < end:
        key, at = _number(message, at)
        kind = key & 7
        if not key >> 3:
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
