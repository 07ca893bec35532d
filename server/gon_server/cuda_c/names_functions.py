"""Resolves names in functions: their parameters, templates and lambdas.

Rules: as `names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gon_server.cuda_c.declarators import function_layer, header_words, inner, layers, name_node
from gon_server.cuda_c.names_uses import identifier
from gon_server.cuda_c.symbols import Function, Kind, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.walk import Visitor, Walk


def function_definition(walk: Walk, node: Node) -> None:
    declarator = node.get("declarator")
    layer = function_layer(declarator) if declarator is not None else None
    name = name_node(layer) if layer is not None else None
    if declarator is None or layer is None or name is None:
        raise walk.unsupported(node, "this definition of a function is not understood")
    if walk.function is not None and walk.function.struct is None:
        raise walk.unsupported(node, "functions within functions are not taken")
    function = _make_function(walk, node, layer, name)
    outer, walk.function = walk.function, function
    walk.scopes.append({})
    for child in node.children:
        if child is declarator:
            _signature(walk, declarator, layer, name)
        elif child.kind == "compound_statement":
            walk.visit_parts(child)
        else:
            walk.visit(child)
    walk.scopes.pop()
    walk.function = outer


def _make_function(walk: Walk, node: Node, layer: Node, name: Node) -> Function:
    words = header_words(node)
    walk.check_words(node, words)
    is_kernel = "__global__" in words
    spelled = name.text
    if name.kind in ("qualified_identifier", "template_function"):
        raise walk.unsupported(
            name, f"{spelled}: a function defined outside of its structure, or specialised"
        )
    if not is_kernel and "__device__" not in words and walk.struct is None:
        what = "__global__ nor __device__"
        raise walk.lines.wrong(node.row, f"function {spelled} is neither {what}")
    if walk.struct is not None and "__host__" in words and "__device__" not in words:
        raise walk.unsupported(node, f"{spelled}: a host function")
    parameters = layer.get("parameters")
    listed = parameters.children if parameters is not None else []
    params = tuple(p for p in listed if p.kind.endswith("parameter_declaration"))
    if len(params) == 1 and params[0].text == "void":
        params = ()
    function = Function(
        spelled,
        node,
        layer,
        name,
        params,
        node.get("body"),
        is_kernel,
        walk.template,
        walk.struct,
    )
    walk.names.functions.append(function)
    if name.kind == "identifier" and walk.struct is None:
        walk.names.symbols[name] = walk.scopes[0].setdefault(
            spelled, Symbol(spelled, Kind.FUNCTION, name, node, node)
        )
    return function


def _signature(walk: Walk, declarator: Node, layer: Node, name: Node) -> None:
    """Visit everything of a function's declarator but its name; parameters are declared."""
    for part in layers(declarator):
        below = inner(part)
        for child in part.children:
            if child is below or child is name:
                continue
            walk.visit(child)
        if part is layer:
            break


def _parameter(walk: Walk, node: Node) -> None:
    declarator = node.get("declarator")
    name = name_node(declarator) if declarator is not None else None
    for child in node.children:
        if child is not declarator:
            walk.visit(child)
    if declarator is None:
        return
    walk.check_words(node, header_words(node))
    walk.visit_declarator(declarator, name)
    if name is not None:
        kind = (
            Kind.PARAM
            if walk.function or node.inside("lambda_expression") is not None
            else Kind.LOCAL
        )
        if node.parent is not None and node.parent.kind == "template_parameter_list":
            kind = Kind.VALUE_PARAM
        walk.declare(Symbol(name.text, kind, name, node, declarator, walk.function))


def _template_declaration(walk: Walk, node: Node) -> None:
    outer, walk.template = walk.template, node
    walk.scopes.append({})
    walk.visit_parts(node)
    kinds = walk.scopes.pop()
    walk.template = outer
    for symbol in kinds.values():  # a class template is known behind its declaration
        if symbol.kind is Kind.TYPE and symbol.decl.parent is node:
            walk.publish(symbol)


def _type_parameter(walk: Walk, node: Node) -> None:
    name = node.get("name") or node.child("type_identifier")
    default = node.get("default_type")
    if default is not None:
        walk.visit(default)
    if name is not None:
        walk.declare(Symbol(name.text, Kind.TYPE_PARAM, name, node, node))


def _lambda(walk: Walk, node: Node) -> None:
    walk.scopes.append({})
    for child in node.children:
        if child.kind == "compound_statement":
            walk.visit_parts(child)
        elif child.kind == "lambda_capture_specifier":
            for part in child.walk():
                if part.kind == "identifier":
                    identifier(walk, part)
        elif child.kind == "lambda_declarator":
            for part in child.children:
                walk.visit(part)
        else:
            walk.visit(child)
    walk.scopes.pop()


FUNCTIONS: Final[Mapping[str, Visitor]] = {
    "function_definition": function_definition,
    "parameter_declaration": _parameter,
    "optional_parameter_declaration": _parameter,
    "type_parameter_declaration": _type_parameter,
    "optional_type_parameter_declaration": _type_parameter,
    "template_declaration": _template_declaration,
    "lambda_expression": _lambda,
}
