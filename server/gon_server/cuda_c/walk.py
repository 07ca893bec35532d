"""The walk that resolves names: scopes, and which visitor a node has.

Rules: state and look-ups; what each construct means is the visitors'. Every refusal goes through
`Lines`, so that it names the user's line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from gon.errors import GonError
from gon_server.cuda_c.declarators import inner, layers
from gon_server.cuda_c.refuse import PLAIN, REFUSED_NODES, REFUSED_WORDS
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Function, Kind, Names, Symbol
from gon_server.cuda_c.tree import Node

_SCOPES: Final = frozenset(
    {"compound_statement", "for_statement", "while_statement", "if_statement", "switch_statement"}
)


class Walk:
    """Goes through one tree; `names` holds what was found, `function`, `struct` and `template` what
    it is in.
    """

    def __init__(self, lines: Lines, visitors: Mapping[str, Visitor]) -> None:
        self.names = Names()
        self.lines = lines
        self.scopes: list[dict[str, Symbol]] = [{}]
        self.function: Function | None = None
        self.struct: Node | None = None
        self.template: Node | None = None
        self._visitors = visitors

    def unsupported(self, node: Node, what: str) -> GonError:
        """Return the error of valid CUDA that is not taken."""
        return self.lines.unsupported(node.row, what)

    def declare(self, symbol: Symbol) -> None:
        """Make a name known in the scope that is open."""
        self.publish(symbol)
        self.names.symbols[symbol.node] = symbol
        self.names.declared.append(symbol)

    def publish(self, symbol: Symbol) -> None:
        """Put a name into the open scope. Namespaces are one scope here, so that a name in two of
        them is refused.
        """
        scope = self.scopes[-1]
        known = scope.get(symbol.name)
        if known is not None and len(self.scopes) == 1 and symbol.kind is not Kind.FUNCTION:
            kind = "namespace_definition"
            if known.node.inside(kind) is not symbol.node.inside(kind):
                raise self.unsupported(
                    symbol.node, f"{symbol.name} is the name of different things in two namespaces"
                )
        scope[symbol.name] = symbol

    def find(self, name: str) -> Symbol | None:
        """Return what a name stands for here."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return None

    def scoped(self, node: Node) -> None:
        """Visit a node's parts in a scope of their own."""
        self.scopes.append({})
        self.visit_parts(node)
        self.scopes.pop()

    def visit(self, node: Node) -> None:
        """Resolve a node and what is in it. Raises CompileError, Unsupported."""
        visitor = self._visitors.get(node.kind)
        if visitor is not None:
            visitor(self, node)
        elif node.kind in _SCOPES:
            self.scoped(node)
        elif node.kind in PLAIN:
            if node.kind in ("type_qualifier", "storage_class_specifier"):
                self.check_words(node, frozenset(node.text.split()))
            self.visit_parts(node)
        else:
            what = REFUSED_NODES.get(node.kind)
            words = node.kind.replace("_", " ")
            raise self.unsupported(node, what or f"{words}: this construct is not taken")

    def visit_parts(self, node: Node) -> None:
        for child in node.children:
            self.visit(child)

    def check_words(self, node: Node, words: frozenset[str]) -> None:
        """Raise Unsupported for a word before a declaration that is not taken."""
        for word in sorted(words & REFUSED_WORDS.keys()):
            raise self.unsupported(node, REFUSED_WORDS[word])

    def visit_declarator(self, declarator: Node, name: Node | None) -> None:
        """Visit what a declarator holds besides the name it declares and the first value."""
        for part in layers(declarator):
            if part.kind == "function_declarator":
                raise self.unsupported(declarator, "pointers to functions: there are none here")
            if part.kind == "structured_binding_declarator":
                raise self.unsupported(declarator, REFUSED_NODES[part.kind])
            below = inner(part)
            for child in part.children:
                if child is not below and child is not name and child.field != "value":
                    self.visit(child)


Visitor: TypeAlias = Callable[[Walk, Node], None]
