"""Resolves names in declarations of variables, and says which kind of variable each is.

Rules: as `names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gon_server.cuda_c.declarators import (
    declarators_of,
    function_layer,
    header_words,
    layers,
    name_node,
)
from gon_server.cuda_c.names_functions import function_definition
from gon_server.cuda_c.names_uses import identifier
from gon_server.cuda_c.symbols import Kind, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.walk import Visitor, Walk


def declaration(walk: Walk, node: Node) -> None:
    declarators = declarators_of(node)
    layer = function_layer(declarators[0]) if declarators else None
    if layer is not None and (name := name_node(layer)) is not None:
        if walk.function is None:
            function_definition(walk, node)
        else:
            _constructed(walk, node, declarators[0], layer, name)
        return
    words = header_words(node)
    walk.check_words(node, words)
    for child in node.children:
        if child.field != "declarator" and child.field != "value":
            walk.visit(child)
    for declarator in declarators:
        name = name_node(declarator)
        walk.visit_declarator(declarator, name)
        if name is not None:
            _variable(walk, node, declarator, name, words)
        value = next((part.get("value") for part in layers(declarator) if part.get("value")), None)
        if value is not None:
            walk.visit(value)
    value = node.get("value")  # of a condition: if (int x = 3)
    if value is not None:
        walk.visit(value)


def _constructed(walk: Walk, node: Node, declarator: Node, layer: Node, name: Node) -> None:
    """Declare a variable given arguments, `Complex c(x, y);`, which looks like a function."""
    parameters = layer.get("parameters")
    given = parameters.children if parameters is not None else []
    plain = [p.children[0] for p in given if len(p.children) == 1]
    known = [p for p in plain if p.kind == "type_identifier" and _is_value(walk, p.text)]
    if not given or len(known) != len(given) or declarator is not layer:
        raise walk.unsupported(node, "functions declared within functions are not taken")
    for child in node.children:
        if child is not declarator:
            walk.visit(child)
    for argument in known:
        identifier(walk, argument)
    walk.declare(Symbol(name.text, Kind.LOCAL, name, node, name, walk.function))


def _is_value(walk: Walk, name: str) -> bool:
    symbol = walk.find(name)
    return symbol is not None and symbol.kind not in (Kind.TYPE, Kind.TYPE_PARAM)


def _variable(walk: Walk, node: Node, declarator: Node, name: Node, words: frozenset[str]) -> None:
    kind = _kind_of_variable(walk, node, words)
    top = (
        walk.function is not None and node.parent is not None and node.parent is walk.function.body
    )
    symbol = Symbol(name.text, kind, name, node, declarator, walk.function, top)
    walk.declare(symbol)
    if kind is Kind.SHARED and declarator.get("value") is not None:
        raise walk.lines.wrong(node.row, f"shared {name.text} cannot have a first value")
    if kind in (Kind.VARIABLE, Kind.SHARED, Kind.DYNAMIC):
        if walk.function is not None:
            walk.function.shared.append(symbol)
            walk.function.uses.append(symbol)
        else:
            walk.names.variables.append(symbol)


def _kind_of_variable(walk: Walk, node: Node, words: frozenset[str]) -> Kind:
    outside = walk.function is None
    if "__shared__" in words:
        return Kind.DYNAMIC if "extern" in words else Kind.SHARED
    if words & {"__constant__", "__device__"}:
        if not outside:
            raise walk.unsupported(node, "module variables within a function are not taken")
        if "extern" in words:
            raise walk.unsupported(node, "extern variables: there is only this one source")
        return Kind.CONSTANT if "constexpr" in words else Kind.VARIABLE
    if outside:
        if not words & {"const", "constexpr"}:
            raise walk.lines.wrong(
                node.row, "a variable outside functions needs __device__, __constant__ or const"
            )
        return Kind.CONSTANT
    if "static" in words and not words & {"const", "constexpr"}:
        raise walk.unsupported(node, "static variables of functions are not taken")
    return Kind.LOCAL


def _for_range(walk: Walk, node: Node) -> None:
    walk.scopes.append({})
    right = node.get("right")
    declarator = node.get("declarator")
    if right is not None:
        walk.visit(right)
    name = name_node(declarator) if declarator is not None else None
    if declarator is not None and name is not None:
        walk.visit_declarator(declarator, name)
        symbol = Symbol(name.text, Kind.LOCAL, name, node, declarator, walk.function)
        walk.declare(symbol)
    for child in node.children:
        if child is not right and child is not declarator:
            walk.visit(child)
    walk.scopes.pop()


def _expression_statement(walk: Walk, node: Node) -> None:
    """Visit a statement; `cg::tile<32> t = …` is a declaration that looks like comparisons."""
    more = node.children[0] if node.children else None
    less = more.get("left") if more is not None and more.kind == "binary_expression" else None
    assigned = more.get("right") if more is not None else None
    kind = less.get("left") if less is not None and less.kind == "binary_expression" else None
    if (
        kind is not None
        and assigned is not None
        and assigned.kind == "assignment_expression"
        and kind.kind == "qualified_identifier"
    ):
        name = assigned.get("left")
        if name is not None and name.kind == "identifier" and walk.find(name.text) is None:
            walk.declare(Symbol(name.text, Kind.LOCAL, name, node, name, walk.function))
    walk.visit_parts(node)


VARIABLES: Final[Mapping[str, Visitor]] = {
    "declaration": declaration,
    "for_range_loop": _for_range,
    "expression_statement": _expression_statement,
}
