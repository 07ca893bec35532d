"""Resolves uses of names: what each stands for, or why there is no such name.

Rules: as `names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gon_server.cuda_c.builtin import Kind as Meaning
from gon_server.cuda_c.builtins import BUILTINS, refusal
from gon_server.cuda_c.refuse import ATTRIBUTES, CASTS
from gon_server.cuda_c.symbols import Kind, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.walk import Visitor, Walk

_FREE_NAMES: Final = CASTS | {"sizeof", "alignof", "__func__"}


def identifier(walk: Walk, node: Node) -> None:
    name = node.text
    if name in _FREE_NAMES:
        return
    symbol = walk.find(name)
    if symbol is not None:
        _use(walk, node, symbol)
    elif name in BUILTINS:
        _use_builtin(walk, node, name)
    else:
        reason = refusal(name)
        if reason:
            raise walk.unsupported(node, f"{name}: {reason}")
        raise walk.lines.wrong(
            node.row, f"{name!r} is not declared here, and no name of CUDA that is known"
        )


def _use_builtin(walk: Walk, node: Node, name: str) -> None:
    walk.names.builtins[node] = name
    if walk.function is not None:
        walk.function.builtins.setdefault(name, node)


def _use(walk: Walk, node: Node, symbol: Symbol) -> None:
    walk.names.symbols[node] = symbol
    function = walk.function
    if symbol.kind is Kind.FUNCTION:
        call = node.parent
        while call is not None and call.kind in ("template_function", "qualified_identifier"):
            call = call.parent
        if call is None or call.kind != "call_expression":
            raise walk.unsupported(
                node, f"{symbol.name} is used without calling it: there are no pointers to "
                "functions here"
            )  # fmt: skip
        if function is None:
            raise walk.unsupported(node, f"{symbol.name} is called outside of functions")
        function.calls.append((symbol.name, call))
        if symbol.name in BUILTINS:
            function.builtins.setdefault(symbol.name, node)
    elif symbol.kind is Kind.MEMBER and symbol.decl.kind == "using_declaration":
        if function is not None:
            function.groups.add(symbol.name)
    elif symbol.kind is Kind.MEMBER and function is not None:
        call = node.parent
        if call is not None and call.kind == "call_expression" and call.get("function") is node:
            function.calls.append((f".{symbol.name}", call))
    elif (
        symbol.kind in (Kind.VARIABLE, Kind.SHARED, Kind.DYNAMIC)
        and function is not None
        and symbol not in function.uses
    ):
        function.uses.append(symbol)


def _field(walk: Walk, node: Node) -> None:
    argument, member = node.get("argument"), node.get("field")
    if argument is not None:
        walk.visit(argument)
    if member is None:
        return
    name = next((n for n in member.walk() if n.kind == "field_identifier"), member)
    for part in member.walk():
        if part.kind == "template_argument_list":
            walk.visit(part)
    call = node.parent
    called = call is not None and call.kind == "call_expression" and call.get("function") is node
    if called and call is not None and walk.function is not None:
        walk.function.calls.append((f".{name.text}", call))


def _qualified(walk: Walk, node: Node) -> None:
    scope, name = node.get("scope"), node.get("name")
    if scope is None or scope.text == "std":  # ::min, std::min
        if name is not None:
            _standard(walk, name, scope)
        return
    walk.visit(scope)
    found = walk.find(scope.text)
    flat = (
        found is not None
        and found.kind is Kind.NAMESPACE
        and found.decl.kind != ("namespace_alias_definition")
    )
    if name is None:
        return
    _check_member(walk, scope, found, name)
    if flat:
        walk.visit(name)
    else:
        for part in name.walk():
            if part.kind == "template_argument_list":
                walk.visit(part)


def _check_member(walk: Walk, scope: Node, found: Symbol | None, name: Node) -> None:
    """Refuse what a namespace of CUDA does not hold here."""
    aliased = found is not None and found.decl.kind == "namespace_alias_definition"
    target = found.decl.children[-1] if found is not None and aliased else scope
    builtin = BUILTINS.get(walk.names.builtins.get(target, ""))
    if builtin is None or not builtin.members:
        return
    leaf = next((n for n in name.walk() if n.kind in ("identifier", "type_identifier")), name)
    if walk.function is not None:
        walk.function.groups.add(leaf.text)
    if leaf.text not in builtin.members:
        what = refusal(leaf.text) or "it is not taken"
        raise walk.unsupported(name, f"{builtin.name}::{leaf.text}: {what}")


def _standard(walk: Walk, name: Node, scope: Node | None) -> None:
    leaf = next((n for n in name.walk() if n.kind in ("identifier", "type_identifier")), name)
    builtin = BUILTINS.get(leaf.text)
    plain = builtin is not None and not leaf.text.startswith("_")
    if scope is None or (plain and builtin is not None and builtin.kind is Meaning.FUNCTION):
        if scope is not None:
            _use_builtin(walk, leaf, leaf.text)
            for part in name.walk():
                if part.kind == "template_argument_list":
                    walk.visit(part)
        else:
            walk.visit(name)
        return
    raise walk.unsupported(name, f"std::{leaf.text} is not taken")


def _template_use(walk: Walk, node: Node) -> None:
    name = node.get("name")
    if name is not None:
        walk.visit(name)
    arguments = node.get("arguments")
    if arguments is not None:
        walk.visit(arguments)


def _using(walk: Walk, node: Node) -> None:
    target = node.children[0] if node.children else None
    if target is None or target.kind != "identifier" or target.text not in BUILTINS:
        namespace = target is not None and walk.find(target.text)
        if not namespace:
            raise walk.unsupported(node, "this using declaration is not taken")
        return
    _use_builtin(walk, target, target.text)
    for member in BUILTINS[target.text].members:
        walk.scopes[-1].setdefault(
            member, Symbol(member, Kind.MEMBER, target, node, node, walk.function)
        )


def _dependent(walk: Walk, node: Node) -> None:
    for part in node.walk():
        if part.kind == "namespace_identifier":
            identifier(walk, part)
        elif part.kind == "template_argument_list":
            walk.visit(part)


def _linkage(walk: Walk, node: Node) -> None:
    body = node.get("body")
    if body is not None:
        walk.visit(body)


def _instantiation(walk: Walk, node: Node) -> None:
    walk.names.instantiated.append(node)
    for part in node.walk():
        if part.kind == "template_argument_list":
            walk.visit(part)


def _attribute(walk: Walk, node: Node) -> None:
    """Visit attributes; what one is given, as in aligned(16), may name constants only."""
    waiting = [*node.children]
    while waiting:
        part = waiting.pop()
        arguments = part.get("arguments") if part.kind == "call_expression" else None
        if arguments is not None:
            walk.visit(arguments)
            waiting.extend(child for child in part.children if child is not arguments)
        elif part.kind != "identifier":
            waiting.extend(part.children)
        elif part.text.strip("_") not in ATTRIBUTES:
            raise walk.unsupported(part, f"attribute {part.text} is not taken")


def _attribute_of_words(walk: Walk, node: Node) -> None:
    """Visit an attribute of C++, [[…]]."""
    name = node.get("name") or node.child("identifier")
    if name is None or node.get("prefix") or name.text not in ATTRIBUTES:
        raise walk.unsupported(node, f"attribute {node.text} is not taken")


def _label(walk: Walk, node: Node) -> None:
    walk.names.labels.add(node.text)


def _skip(walk: Walk, node: Node) -> None:
    """A name that stands for itself."""


USES: Final[Mapping[str, Visitor]] = {
    "template_instantiation": _instantiation,
    "using_declaration": _using,
    "identifier": identifier,
    "type_identifier": identifier,
    "namespace_identifier": identifier,
    "field_expression": _field,
    "qualified_identifier": _qualified,
    "template_function": _template_use,
    "template_type": _template_use,
    "attribute_specifier": _attribute,
    "attribute": _attribute_of_words,
    "statement_identifier": _label,
    "field_identifier": _skip,
    "operator_name": _skip,
    "dependent_type": _dependent,
    "linkage_specification": _linkage,
}
