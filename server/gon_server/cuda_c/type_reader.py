"""Reads types from a source: what a declaration declares, how large it is.

Rules: pure. A type that is not worked out is Unknown; who needs it refuses. `bound` holds what the
parameters of a template stand for where one is instantiated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gon.errors import LimitExceeded
from gon.limits import MADE_OF_MAX
from gon_server.cuda_c.constants import Evaluator, Value
from gon_server.cuda_c.declarators import inner, name_node
from gon_server.cuda_c.layout import (
    INT,
    SCALARS,
    VECTORS,
    Array,
    CType,
    Pointer,
    Reference,
    Scalar,
    Unknown,
    struct_of,
)
from gon_server.cuda_c.symbols import Kind, Names, Symbol
from gon_server.cuda_c.tree import Node

_TYPE_NODES: Final = frozenset(
    {
        "primitive_type",
        "sized_type_specifier",
        "type_identifier",
        "identifier",
        "struct_specifier",
        "union_specifier",
        "class_specifier",
        "enum_specifier",
        "placeholder_type_specifier",
        "template_type",
        "qualified_identifier",
        "dependent_type",
        "decltype",
    }
)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a template's parameter stands for: a type or a value; `text` as the program spells it,
    `code` as the translation does.
    """

    text: str
    code: str
    type: CType | None = None
    value: Value | None = None


class Types:
    """The types of one program; with `bound`, of one instance of a template."""

    def __init__(self, names: Names, bound: Mapping[Symbol, Bound] | None = None) -> None:
        self.names = names
        self.constants = Evaluator(self)
        self.bound: Mapping[Symbol, Bound] = bound or {}
        self._symbols: dict[Symbol, CType] = {}
        self._structs: dict[Node, CType] = {}
        self._open: set[Node] = set()
        self._depth = 0

    def under(self, bound: Mapping[Symbol, Bound]) -> Types:
        """Return the types of the same program under other bindings."""
        return Types(self.names, bound)

    def bound_value(self, symbol: Symbol) -> Value | None:
        found = self.bound.get(symbol)
        return None if found is None else found.value

    def of(self, symbol: Symbol) -> CType:
        """Return the type of a variable, or the type that a name of a type stands for."""
        if symbol not in self._symbols:
            if self._depth > MADE_OF_MAX:
                raise LimitExceeded(f"types are made of each other more than {MADE_OF_MAX} deep")
            self._symbols[symbol] = Unknown(symbol.name)  # what refers to itself stays unknown
            self._depth += 1
            self._symbols[symbol] = self._read(symbol)
            self._depth -= 1
        return self._symbols[symbol]

    def _read(self, symbol: Symbol) -> CType:
        if symbol.kind is Kind.TYPE_PARAM:
            found = self.bound.get(symbol)
            return found.type if found is not None and found.type else Unknown(symbol.name)
        if symbol.kind is Kind.TYPE:
            if symbol.decl.kind == "alias_declaration":
                given = symbol.decl.get("type")
                return Unknown(symbol.name) if given is None else self.described(given)
            if symbol.decl.kind != "type_definition":
                return self._specified(symbol.decl)
        return self.declared(symbol.decl, symbol.declarator)

    def described(self, node: Node) -> CType:
        """Return the type that a node alone describes: a type's name, or a descriptor."""
        if node.kind == "type_descriptor":
            return self.declared(node, node.get("declarator"))
        return self._specified(node)

    def declared(self, decl: Node, declarator: Node | None) -> CType:
        """Return what a declaration makes of its declarator."""
        base = next((child for child in decl.children if child.field == "type"), None)
        if base is None:
            base = next((child for child in decl.children if child.kind in _TYPE_NODES), None)
        kind: CType = Unknown(decl.text[:40]) if base is None else self._specified(base)
        const = any(c.kind == "type_qualifier" and c.text == "const" for c in decl.children)
        return self._wrapped(kind, declarator, const=const)

    def _wrapped(self, kind: CType, declarator: Node | None, *, const: bool) -> CType:
        """Apply the layers of a declarator, from the outside in."""
        layer = declarator
        while layer is not None:
            match layer.kind:
                case "pointer_declarator" | "abstract_pointer_declarator":
                    kind = Pointer(kind, const)
                    own = [c.text for c in layer.children if c.kind == "type_qualifier"]
                    const = "const" in own
                case "reference_declarator" | "abstract_reference_declarator":
                    kind = Reference(kind, const)
                case "array_declarator" | "abstract_array_declarator":
                    kind = Array(kind, self._count(layer))
                case "function_declarator" | "abstract_function_declarator":
                    return kind
                case _:
                    pass
            layer = inner(layer)
        return kind

    def _count(self, layer: Node) -> int:
        size = layer.get("size")
        if size is not None:
            return max(self.constants.whole(size) or 0, 0)
        outer = layer.parent
        value = (
            outer.get("value") if outer is not None and outer.kind == "init_declarator" else None
        )
        if value is not None and value.kind == "initializer_list":
            return len(value.children)
        if value is not None and value.kind == "string_literal":
            return sum(len(c.text) if c.kind == "string_content" else 1 for c in value.children) + 1
        return 0

    def _specified(self, node: Node) -> CType:
        match node.kind:
            case "primitive_type":
                return SCALARS.get(node.text, Unknown(node.text))
            case "sized_type_specifier":
                return scalar_of(node.text)
            case "struct_specifier" | "union_specifier" | "class_specifier":
                return self._struct(node)
            case "enum_specifier":
                base = node.get("base")
                return INT if base is None else self._specified(base)
            case "identifier" | "type_identifier":
                return self._named(node)
            case _:
                return Unknown(node.text[:40])

    def _named(self, node: Node) -> CType:
        symbol = self.names.symbols.get(node)
        if symbol is not None:
            known = symbol.kind in (Kind.TYPE, Kind.TYPE_PARAM)
            return self.of(symbol) if known else Unknown(symbol.name)
        name = node.text
        return SCALARS.get(name) or VECTORS.get(name) or Unknown(name)

    def _struct(self, node: Node) -> CType:
        name, body = node.get("name"), node.get("body")
        spelled = name.text if name is not None else ""
        if body is None:
            symbol = self.names.symbols.get(name) if name is not None else None
            if symbol is None or symbol.decl is node:
                return Unknown(spelled)
            return self.of(symbol)
        if node in self._structs:
            return self._structs[node]
        if node in self._open or node.child("base_class_clause") is not None:
            return Unknown(spelled)
        self._open.add(node)
        members: list[tuple[str, CType, int]] = []
        for declaration in body.children:
            if declaration.kind != "field_declaration":
                continue
            if any(c.kind == "storage_class_specifier" for c in declaration.children):
                continue  # static members take no room
            least = self._alignment(declaration)
            for declarator in declaration.all("declarator"):
                label = name_node(declarator)
                kind = self.declared(declaration, declarator)
                members.append((label.text if label else "", kind, least))
            if not declaration.all("declarator"):
                members.append(("", Unknown("anonymous member"), 0))
        self._open.discard(node)
        made = struct_of(
            spelled,
            members,
            union=node.kind == "union_specifier",
            align=self._alignment(node),
            is_plain=_is_plain(body),
        )
        self._structs[node] = made
        return made

    def _alignment(self, node: Node) -> int:
        least = 0
        for child in node.children:
            if child.kind not in ("attribute_specifier", "alignas_qualifier", "type_qualifier"):
                continue
            for part in child.walk():
                if part.kind == "call_expression" and part.text.startswith(
                    ("aligned", "__aligned")
                ):
                    arguments = part.get("arguments")
                    least = max(least, self.constants.whole(
                        arguments.children[0] if arguments and arguments.children else None
                    ) or 0)  # fmt: skip
                elif part.kind == "alignas_qualifier" and part.children:
                    least = max(least, self.constants.whole(part.children[0]) or 0)
        return least


def _is_plain(body: Node) -> bool:
    """Return whether a structure is zeros at first: it has no constructors, and no members with a
    first value.
    """
    outer = body.parent
    name = outer.get("name") if outer is not None else None
    for declaration in body.children:
        static = declaration.child("storage_class_specifier") is not None
        if declaration.get("default_value") is not None and not static:
            return False
        if name is not None and any(
            n.kind == "function_declarator" and (own := name_node(n)) and own.text == name.text
            for n in declaration.walk()
        ):
            return False
    return True


def scalar_of(text: str) -> CType:
    """Return the type that a sequence of C's own words names ("long unsigned int")."""
    words = [word for word in text.split() if word not in ("const", "volatile")]
    unsigned = "unsigned" in words
    longs = words.count("long")
    rest = [w for w in words if w not in ("unsigned", "signed", "long", "int", "short")]
    if rest == ["char"] and not longs:
        return SCALARS[
            "unsigned char" if unsigned else "signed char" if "signed" in words else "char"
        ]
    if rest:
        return SCALARS.get(rest[0], Unknown(text)) if len(words) == 1 else Unknown(text)
    base = "short" if "short" in words else "long long" if longs > 1 else "long" if longs else "int"
    name = f"unsigned {base}" if unsigned else base
    return SCALARS[name]


def element_of(kind: CType) -> CType:
    """Return what arrays within arrays hold at last."""
    while isinstance(kind, Array):
        kind = kind.of
    return kind


def dtype_of(kind: CType) -> str:
    """Return NumPy's name of a type, "" where it has none."""
    return kind.dtype if isinstance(kind, Scalar) else ""
