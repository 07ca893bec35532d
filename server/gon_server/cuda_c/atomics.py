"""Refuses atomic functions on 64 bits where the unit has none.

Rules: pure. Types are those of the source; a pointer whose type is not known passes, and the
compiler then finds no such function.
"""

from __future__ import annotations

from gon_server.cuda_c.expressions import Expressions
from gon_server.cuda_c.layout import CType, Pointer, Scalar, Unknown
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types


def refuse_wide_atomics(root: Node, types: Types, lines: Lines) -> None:
    """Raise Unsupported for the first such call."""

    def called(_call: Node, name: Node) -> CType:
        return Unknown(name.text)

    expressions = Expressions(types, types.of, called)
    for node in root.walk():
        function, arguments = node.get("function"), node.get("arguments")
        if node.kind != "call_expression" or function is None or arguments is None:
            continue
        name = types.names.builtins.get(function, "")
        if not name.startswith("atomic") or not arguments.children:
            continue
        kind = expressions.value_of(arguments.children[0])
        if isinstance(kind, Pointer) and isinstance(kind.to, Scalar) and kind.to.size == 8:
            raise lines.unsupported(
                node.row, f"{name} on {kind.to.name}: the unit has no 64-bit atomics"
            )
