"""The variables of a module (`__constant__`, `__device__`): where each lies in the one buffer that
holds them all, and what the source says they hold at first.

Rules: pure. A first value that is not worked out is refused, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gon.limits import MODULE_VARIABLES_BYTES_MAX
from gon.model import GlobalInfo
from gon_server.cuda_c.conditions import character_of
from gon_server.cuda_c.constants import NoConstantError, bytes_of
from gon_server.cuda_c.layout import (
    Array,
    CType,
    Scalar,
    Struct,
    align_of,
    holds_pointer,
    is_known,
    is_plain_type,
    size_of,
)
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Kind, Symbol
from gon_server.cuda_c.target import GlobalPlace
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types, dtype_of, element_of

# What views of a buffer may begin at on every unit, so that each variable can be one.
_LEAST_ALIGN: Final = 128


@dataclass(frozen=True, slots=True)
class Variable:
    """A module variable: its type and where it lies."""

    symbol: Symbol
    type: CType
    offset: int


class Variables:
    """All module variables of a program."""

    def __init__(self, symbols: list[Symbol], types: Types, lines: Lines) -> None:
        self._types = types
        self._lines = lines
        self.by_symbol: dict[Symbol, Variable] = {}
        self.size = 0
        for symbol in symbols:
            if symbol.kind is not Kind.VARIABLE:
                continue
            kind = types.of(symbol)
            size = size_of(kind)
            if not size or not is_known(kind) or holds_pointer(kind):
                why = "holds a pointer" if holds_pointer(kind) else "has a size that is not known"
                raise lines.unsupported(symbol.node.row, f"variable {symbol.name} {why}")
            if not is_plain_type(kind):
                raise lines.unsupported(
                    symbol.node.row,
                    f"variable {symbol.name}: its structure has constructors or members with a "
                    "first value",
                )
            align = max(align_of(kind), _LEAST_ALIGN)
            offset = -(-self.size // align) * align
            self.by_symbol[symbol] = Variable(symbol, kind, offset)
            self.size = offset + size
            if self.size > MODULE_VARIABLES_BYTES_MAX:
                raise lines.unsupported(
                    symbol.node.row,
                    f"module variables of more than {MODULE_VARIABLES_BYTES_MAX} bytes",
                )

    def places(self) -> tuple[GlobalPlace, ...]:
        return tuple(
            GlobalPlace(
                GlobalInfo(
                    name=symbol.name,
                    type_name=self._spelling(symbol),
                    dtype=dtype_of(element_of(variable.type)),
                    size_bytes=size_of(variable.type),
                ),
                variable.offset,
            )
            for symbol, variable in self.by_symbol.items()
        )

    def _spelling(self, symbol: Symbol) -> str:
        kind = symbol.decl.get("type")
        base = kind.text if kind is not None else ""
        counts = ""
        shape = self.by_symbol[symbol].type
        while isinstance(shape, Array):
            counts += f"[{shape.count}]"
            shape = shape.of
        return " ".join(base.split()) + counts

    def initial(self) -> bytes:
        """Return the first contents of the buffer."""
        out = bytearray(self.size)
        for symbol, variable in self.by_symbol.items():
            value = symbol.declarator.get("value")
            if value is not None:
                self._fill(variable.type, value, out, variable.offset, symbol)
        return bytes(out)

    def _fill(self, kind: CType, node: Node, out: bytearray, offset: int, of: Symbol) -> None:
        if isinstance(kind, Scalar):
            self._fill_scalar(kind, node, out, offset, of)
        elif node.kind == "string_literal" and isinstance(kind, Array):
            text = _text_of(node)
            if text is None or size_of(kind.of) != 1 or len(text) >= kind.count:
                raise self._not_known(node, of)
            out[offset : offset + len(text)] = text
        elif node.kind == "initializer_list":
            self._fill_list(kind, node, out, offset, of)
        elif node.kind == "compound_literal_expression" and (inside := node.get("value")):
            self._fill(kind, inside, out, offset, of)
        elif isinstance(kind, Struct) and kind.is_vector and self._is_make(kind, node):
            arguments = node.get("arguments")
            for member, given in zip(
                kind.fields, arguments.children if arguments else [], strict=True
            ):
                self._fill(member.type, given, out, offset + member.offset, of)
        else:
            raise self._not_known(node, of)

    def _is_make(self, kind: Struct, node: Node) -> bool:
        function, arguments = node.get("function"), node.get("arguments")
        return (
            node.kind == "call_expression"
            and function is not None
            and arguments is not None
            and function.text in (f"make_{kind.name}", kind.name)
            and len(arguments.children) == len(kind.fields)
        )

    def _fill_scalar(
        self, kind: Scalar, node: Node, out: bytearray, offset: int, of: Symbol
    ) -> None:
        if node.kind == "initializer_list" and len(node.children) <= 1:
            if node.children:
                self._fill_scalar(kind, node.children[0], out, offset, of)
            return
        value = self._types.constants.value(node)
        if value is None:
            raise self._not_known(node, of)
        try:
            out[offset : offset + kind.size] = bytes_of(value, kind)
        except NoConstantError as error:
            raise self._not_known(node, of) from error

    def _fill_list(self, kind: CType, node: Node, out: bytearray, offset: int, of: Symbol) -> None:
        if isinstance(kind, Array):
            step = size_of(kind.of)
            count = kind.count
            parts = [(kind.of, offset + i * step) for i in range(min(count, len(node.children)))]
        elif isinstance(kind, Struct):
            count = len(kind.fields)
            parts = [(member.type, offset + member.offset) for member in kind.fields]
        else:
            raise self._not_known(node, of)
        given = node.children
        nested = any(isinstance(part, Array | Struct) for part, _place in parts)
        plain = any(child.kind != "initializer_list" for child in given)
        if nested and plain and isinstance(kind, Array) and isinstance(kind.of, Array):
            raise self._lines.unsupported(
                node.row, f"first contents of {of.name}: braces of inner arrays may not be left out"
            )
        if len(given) > count and nested and plain:
            what = f"first contents of {of.name}: braces of inner structures may not be left out"
            raise self._lines.unsupported(node.row, what)
        if len(given) > count:
            raise self._lines.wrong(node.row, f"{of.name} has {count} elements, not more")
        for (part, place), child in zip(parts, given, strict=False):
            self._fill(part, child, out, place, of)

    def _not_known(self, node: Node, of: Symbol) -> Exception:
        return self._lines.unsupported(
            node.row, f"first contents of {of.name}: {node.text[:40]!r} is no constant known here"
        )


def _text_of(node: Node) -> bytes | None:
    """Return what a string holds, None for an escape that is not known."""
    pieces: list[bytes] = []
    for part in node.children:
        if part.kind == "string_content":
            pieces.append(part.text.encode())
        else:
            code = character_of(f"'{part.text}'")
            if code is None:
                return None
            pieces.append(bytes([code % 256]))
    return b"".join(pieces)
