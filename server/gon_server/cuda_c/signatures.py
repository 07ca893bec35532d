"""Kernel signatures as the source gives them: what each parameter takes, how its type is spelled.

The same on every unit, so that a CUDA GPU and a translated program check arguments alike.

Rules: pure. A parameter that no argument can be is refused, naming it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gon.limits import VALUE_ARGS_BYTES_MAX
from gon.model import Param, ParamKind
from gon_server.cuda_c.declarators import header_words, name_node
from gon_server.cuda_c.layout import (
    Array,
    CType,
    Pointer,
    Reference,
    Scalar,
    Struct,
    holds_pointer,
    is_known,
    size_of,
)
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Function, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Bound, Types, dtype_of, element_of

_BLANKS: Final = re.compile(r"\s+")


def params_of(function: Function, types: Types, lines: Lines) -> tuple[Param, ...]:
    """Return a kernel's parameters. Raises Unsupported."""
    found = tuple(_param(function, node, types, lines) for node in function.params)
    total = sum(param.size_bytes for param in found)
    if total > VALUE_ARGS_BYTES_MAX:
        raise lines.unsupported(
            function.node.row,
            f"kernel {function.name} takes {total} bytes of values; "
            f"at most {VALUE_ARGS_BYTES_MAX} are possible",
        )
    return found


def type_of_param(node: Node, types: Types) -> CType:
    """Return a parameter's type; arrays are pointers there."""
    kind = types.declared(node, node.get("declarator"))
    if isinstance(kind, Array):
        return Pointer(kind.of, "const" in header_words(node))
    return kind


def _param(function: Function, node: Node, types: Types, lines: Lines) -> Param:
    declarator = node.get("declarator")
    name = name_node(declarator) if declarator is not None else None
    if name is None:
        raise lines.unsupported(node.row, f"kernel {function.name}: a parameter without a name")
    kind = type_of_param(node, types)
    spelled = spelling(node, name, types.names.symbols, types.bound)

    def refuse(why: str) -> Exception:
        return lines.unsupported(
            node.row, f"kernel {function.name}, parameter {name.text} ({spelled}): {why}"
        )

    match kind:
        case Pointer():
            if isinstance(kind.to, Pointer):
                raise refuse("a pointer to pointers, which no argument can be")
            if isinstance(kind.to, Struct) and holds_pointer(kind.to):
                raise refuse("its elements hold pointers, which no argument can be")
            dtype = dtype_of(element_of(kind.to))
            return Param(name.text, ParamKind.BUFFER, spelled, dtype, 0, not kind.const)
        case Reference():
            raise refuse("a reference, which no argument can be")
        case Scalar() | Struct():
            if holds_pointer(kind):
                raise refuse("it holds a pointer, which no argument can be")
            if not is_known(kind) or not size_of(kind):
                raise refuse("its size is not known")
            return Param(name.text, ParamKind.VALUE, spelled, dtype_of(kind), size_of(kind), False)
        case _:
            raise refuse("its type is not known")


def spelling(
    node: Node, name: Node, symbols: Mapping[Node, Symbol], bound: Mapping[Symbol, Bound]
) -> str:
    """Return a parameter's type as the source spells it, a template's parameters filled in."""
    declarator = node.get("declarator")
    end = declarator.end if declarator is not None else node.end
    pieces: list[str] = []
    at = node.start
    for part in node.walk():
        symbol = symbols.get(part)
        if part is name:
            text = ""
        elif symbol is not None and symbol in bound:
            text = bound[symbol].text
        else:
            continue
        pieces.extend((node.source[at : part.start], text))
        at = part.end
    pieces.append(node.source[at:end])
    return _BLANKS.sub(" ", "".join(pieces)).strip()


def max_block_of(function: Function, types: Types) -> int | None:
    """Return the most threads of a block that `__launch_bounds__` allows."""
    bounds = function.node.child("launch_bounds")
    if bounds is None or not bounds.children:
        return None
    return types.constants.whole(bounds.children[0])
