"""Resolves names in declarations of types: structures, enumerations, aliases; and namespaces.

Rules: as `names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gon_server.cuda_c.declarators import declarators_of, function_layer, header_words, name_node
from gon_server.cuda_c.names_uses import identifier
from gon_server.cuda_c.symbols import Kind, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.walk import Visitor, Walk


def _struct_specifier(walk: Walk, node: Node) -> None:
    name, body = node.get("name"), node.get("body")
    if name is not None and name.kind == "type_identifier":
        if body is None:
            if walk.find(name.text) is None:
                walk.declare(Symbol(name.text, Kind.TYPE, name, node, node, walk.function))
            else:
                identifier(walk, name)
        else:
            walk.declare(Symbol(name.text, Kind.TYPE, name, node, node, walk.function))
    elif name is not None:
        walk.visit(name)
    for child in node.children:
        if child is not name and child is not body:
            walk.visit(child)
    if body is None:
        return
    outer, walk.struct = walk.struct, node
    outside, walk.function = walk.function, None
    template, walk.template = walk.template, walk.template if outer is None else None
    walk.scopes.append({})
    for child in body.children:
        _declare_members(walk, child)
    methods = [c for c in body.children if c.kind != "field_declaration"]
    for child in body.children:
        if child not in methods:
            walk.visit(child)
    for child in methods:
        walk.visit(child)
    walk.scopes.pop()
    walk.struct, walk.function, walk.template = outer, outside, template


def _declare_members(walk: Walk, node: Node) -> None:
    if node.kind == "template_declaration":
        for child in node.children:
            _declare_members(walk, child)
        return
    for declarator in declarators_of(node):
        name = name_node(declarator)
        if name is not None and name.kind in ("field_identifier", "identifier"):
            walk.declare(Symbol(name.text, Kind.MEMBER, name, node, declarator))


def _field_declaration(walk: Walk, node: Node) -> None:
    walk.check_words(node, header_words(node))
    for child in node.children:
        if child.field != "declarator":
            walk.visit(child)
    for declarator in declarators_of(node):
        layer = function_layer(declarator)
        if layer is not None:
            raise walk.unsupported(node, "a member function without its body is not taken")
        walk.visit_declarator(declarator, name_node(declarator))


def _enum(walk: Walk, node: Node) -> None:
    name, body = node.get("name"), node.get("body")
    if name is not None:
        if body is None and walk.find(name.text) is not None:
            identifier(walk, name)
        else:
            walk.declare(Symbol(name.text, Kind.TYPE, name, node, node, walk.function))
    base = node.get("base")
    if base is not None:
        walk.visit(base)
    scoped = node.source[node.start : node.start + 16].split()[1:2] in (["class"], ["struct"])
    for child in body.children if body is not None else []:
        entry, value = child.get("name"), child.get("value")
        if value is not None:
            walk.visit(value)
        if entry is not None and not scoped:
            walk.declare(Symbol(entry.text, Kind.ENUMERATOR, entry, child, child, walk.function))


def _type_definition(walk: Walk, node: Node) -> None:
    for child in node.children:
        if child.field != "declarator":
            walk.visit(child)
    for declarator in declarators_of(node):
        name = name_node(declarator)
        walk.visit_declarator(declarator, name)
        if name is not None:
            walk.declare(Symbol(name.text, Kind.TYPE, name, node, declarator, walk.function))


def _alias(walk: Walk, node: Node) -> None:
    name = node.get("name")
    for child in node.children:
        if child is not name:
            walk.visit(child)
    if name is not None:
        walk.declare(Symbol(name.text, Kind.TYPE, name, node, node, walk.function))


def _namespace(walk: Walk, node: Node) -> None:
    name = node.get("name")
    if name is not None:
        walk.declare(Symbol(name.text, Kind.NAMESPACE, name, node, node))
    body = node.get("body")
    if body is not None:
        walk.visit_parts(body)


def _namespace_alias(walk: Walk, node: Node) -> None:
    name = node.get("name")
    for child in node.children:
        if child is not name:
            walk.visit(child)
    if name is not None:
        walk.declare(Symbol(name.text, Kind.NAMESPACE, name, node, node))


TYPES: Final[Mapping[str, Visitor]] = {
    "struct_specifier": _struct_specifier,
    "class_specifier": _struct_specifier,
    "union_specifier": _struct_specifier,
    "field_declaration": _field_declaration,
    "enum_specifier": _enum,
    "type_definition": _type_definition,
    "alias_declaration": _alias,
    "namespace_definition": _namespace,
    "namespace_alias_definition": _namespace_alias,
}
