"""How C declares: from a declarator down to the name it declares.

Rules: pure look-ups on nodes.
"""

from __future__ import annotations

import re
from typing import Final

from gon_server.cuda_c.tree import Node

_WRAPPERS: Final = frozenset(
    {
        "pointer_declarator",
        "reference_declarator",
        "array_declarator",
        "parenthesized_declarator",
        "function_declarator",
        "init_declarator",
        "attributed_declarator",
        "variadic_declarator",
        "abstract_pointer_declarator",
        "abstract_reference_declarator",
        "abstract_array_declarator",
        "abstract_parenthesized_declarator",
        "abstract_function_declarator",
        "pointer_type_declarator",
    }
)
_NOT_INNER: Final = frozenset(
    {"type_qualifier", "parameter_list", "ms_based_modifier", "attribute_specifier", "noexcept"}
)
_WORD: Final = re.compile(r"\w+")


def inner(declarator: Node) -> Node | None:
    """Return what a declarator wraps; None at the name, and at the end of an abstract one."""
    if declarator.kind not in _WRAPPERS:
        return None
    found = declarator.get("declarator")
    if found is not None:
        return found
    if declarator.kind in (
        "reference_declarator",
        "parenthesized_declarator",
        "variadic_declarator",
    ):
        for child in declarator.children:
            if child.kind not in _NOT_INNER:
                return child
    if declarator.kind in ("abstract_parenthesized_declarator", "abstract_reference_declarator"):
        return declarator.children[-1] if declarator.children else None
    return None


def layers(declarator: Node) -> list[Node]:
    """Return the declarator and all that it wraps, the name last if it has one."""
    found = [declarator]
    while (below := inner(found[-1])) is not None:
        found.append(below)
    return found


def name_node(declarator: Node) -> Node | None:
    """Return the node of the declared name, None for an abstract declarator."""
    last = layers(declarator)[-1]
    return None if last.kind in _WRAPPERS else last


def function_layer(declarator: Node) -> Node | None:
    """Return the layer that makes it a function (not a pointer to one)."""
    found = layers(declarator)
    for index, layer in enumerate(found):
        if layer.kind == "function_declarator":
            below = found[index + 1] if index + 1 < len(found) else None
            return None if below is None or below.kind == "parenthesized_declarator" else layer
    return None


def header_words(node: Node) -> frozenset[str]:
    """Return the words of a declaration before what it declares: qualifiers, and the type's."""
    declarator = node.get("declarator")
    end = declarator.start if declarator is not None else node.end
    return frozenset(_WORD.findall(node.source[node.start : end]))


def declarators_of(declaration: Node) -> list[Node]:
    return [child for child in declaration.children if child.field == "declarator"]
