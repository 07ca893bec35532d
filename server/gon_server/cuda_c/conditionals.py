"""`c ? a : b` of structures in C++ for OpenCL: operands in different address spaces are different
types there, so each is turned into a plain value first.

Rules: edits only. Numbers and pointers are left alone.
"""

from __future__ import annotations

from typing import Final

from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.expressions import Expressions
from gon_server.cuda_c.layout import CType, Struct, Unknown
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types

# A value of what lies in any address space. One overload a space: what `T` would be of a generic
# reference alone keeps the space.
VALUE_TEXT: Final = "".join(
    f"template <class T> static inline T gon_value(const {space} T &x) {{ return x; }}\n"
    for space in ("__global", "__local", "__private", "__generic")
)
_PLACES: Final = frozenset({"subscript_expression", "field_expression", "identifier"})


def settle_conditionals(root: Node, types: Types, edits: Edits) -> bool:
    """Edit every conditional that may be of structures; return whether there are any."""

    def called(_call: Node, name: Node) -> CType:
        functions = types.names.named(name.text)
        if len(functions) == 1 and functions[0].template is None:
            function = functions[0]
            return types.declared(function.node, function.node.get("declarator"))
        return Unknown(name.text)

    expressions = Expressions(types, types.of, called)
    found = False
    for node in root.walk():
        if node.kind != "conditional_expression":
            continue
        operands = [node.get("consequence"), node.get("alternative")]
        kinds = [expressions.value_of(operand) for operand in operands if operand is not None]
        if not all(isinstance(kind, Struct | Unknown) for kind in kinds):
            continue
        for operand in operands:
            if operand is not None and _is_place(operand):
                edits.insert(operand.start, "gon_value(")
                edits.insert(operand.end, ")")
                found = True
    return found


def _is_place(node: Node) -> bool:
    while node.kind == "parenthesized_expression":
        node = node.children[0]
    return node.kind in _PLACES or (node.kind == "pointer_expression" and node.text[0] == "*")
