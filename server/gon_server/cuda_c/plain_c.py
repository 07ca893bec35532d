"""From C++'s spellings to OpenCL C 1.2's, where it makes no difference in which function it is.

Rules: edits only; what C has no spelling for is refused, naming it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gon_server.cuda_c.conditions import integer_of
from gon_server.cuda_c.declarators import declarators_of, header_words, layers
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.expressions import Expressions
from gon_server.cuda_c.layout import CType, Scalar, Struct, Unknown, holds_pointer
from gon_server.cuda_c.refuse import REFUSED_IN_C
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Kind, Names, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types

_ONLY: Final = "the unit's compiler takes OpenCL C 1.2 only"
_SIGNS: Final = {
    "and": "&&", "or": "||", "not": "!", "bitand": "&", "bitor": "|", "xor": "^", "compl": "~",
    "and_eq": "&=", "or_eq": "|=", "xor_eq": "^=", "not_eq": "!=",
}  # fmt: skip
_TRUTHS: Final = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||", "!"})
# Where the type of an expression, not only its value, makes a difference.
_TYPED: Final = frozenset({"argument_list", "sizeof_expression", "init_declarator"})
_CONST: Final = re.compile(r"\b(?:constexpr|static|inline)\b")


class PlainC:
    """Edits a whole program for OpenCL C."""

    def __init__(self, names: Names, types: Types, lines: Lines, edits: Edits) -> None:
        self._names = names
        self._types = types
        self._lines = lines
        self._edits = edits

        def called(_call: Node, name: Node) -> CType:
            return Unknown(name.text)

        self._expressions = Expressions(types, types.of, called)
        self._makes: dict[str, Callable[[Node], None]] = {
            "struct_specifier": self._struct,
            "union_specifier": self._struct,
            "enum_specifier": self._enum,
            "alias_declaration": self._alias,
            "null": self._null,
            "number_literal": self._number,
            "char_literal": self._char,
            "binary_expression": self._truth,
            "unary_expression": self._truth,
            "assignment_expression": self._truth,
            "true": self._truth,
            "false": self._truth,
            "alignas_qualifier": self._alignas,
            "call_expression": self._call,
            "compound_literal_expression": self._literal,
            "initializer_list": self._list,
            "static_assert_declaration": self._static_assert,
            "condition_clause": self._condition,
            "conditional_expression": self._choice,
            "if_statement": self._if,
            "declaration": self._declaration,
            "case_statement": self._case,
            "placeholder_type_specifier": self._auto,
            "parameter_list": self._parameters,
            "sizeof_expression": self._sizeof,
        }

    def run(self, root: Node, end: int) -> None:
        """Edit what lies before `end`. Raises Unsupported."""
        for node in root.walk():
            if node.start >= end:
                continue
            what = REFUSED_IN_C.get(node.kind)
            if what is not None:
                raise self._lines.unsupported(node.row, f"{what}: {_ONLY}")
            make = self._makes.get(node.kind)
            if make is not None:
                make(node)

    def _refuse(self, node: Node, what: str) -> Exception:
        return self._lines.unsupported(node.row, f"{what}: {_ONLY}")

    # Types ----------------------------------------------------------------------------------------
    def _struct(self, node: Node) -> None:
        body, name = node.get("body"), node.get("name")
        if body is None:
            return
        for child in body.children:
            if child.kind != "field_declaration":
                raise self._refuse(child, "structures with member functions")
            if child.get("default_value") is not None:
                raise self._refuse(child, "members with a first value")
        kind = self._types.described(node)
        if isinstance(kind, Struct) and holds_pointer(kind):
            raise self._refuse(node, "structures that hold pointers")
        if name is not None and not _in_typedef(node):
            word = node.source[node.start : node.start + 6].split()[0]
            given = self._edits.apply(name.start, name.end)
            self._edits.insert(node.start, f"typedef {word} {given} {given}; ")

    def _enum(self, node: Node) -> None:
        body, name, base = node.get("body"), node.get("name"), node.get("base")
        if re.match(r"enum\s+(?:class|struct)\b", node.text):
            raise self._refuse(node, "scoped enumerations")
        if base is not None and name is not None:
            self._edits.blank(name.end, base.end)
        if body is None or name is None or _in_typedef(node):
            return
        if node.parent is not None and node.parent.get("declarator") is not None:
            raise self._refuse(node, "variables declared with their enumeration")
        self._edits.insert(node.start, "typedef ")
        self._edits.insert(node.end, f" {self._edits.apply(name.start, name.end)}")

    def _alias(self, node: Node) -> None:
        name, kind = node.get("name"), node.get("type")
        if name is None or kind is None or kind.get("declarator") is not None:
            raise self._refuse(node, "this alias")
        self._edits.replace(node.start, kind.start, "typedef ")
        self._edits.insert(kind.end, f" {name.text}")

    # Expressions ----------------------------------------------------------------------------------
    def _null(self, node: Node) -> None:
        self._edits.put(node, "0")

    def _number(self, node: Node) -> None:
        if "'" in node.text:
            self._edits.put(node, node.text.replace("'", ""))

    def _char(self, node: Node) -> None:
        """A character is an int in C, and would choose another overload."""
        if node.text[0] != "'":
            raise self._refuse(node, f"{node.text}: characters but plain ones")
        if integer_of(node.text) is None:  # of several, which is an int in C++ too
            return
        self._edits.insert(node.start, "((char)")
        self._edits.insert(node.end, ")")

    def _truth(self, node: Node) -> None:
        """A truth value is an int in C: that tells where its type counts. Words are signs."""
        left = node.get("left")
        start = node.start if left is None else left.end
        right = node.get("right") or node.get("argument")
        sign = node.source[start : right.start].strip() if right is not None else "!"
        if right is not None and sign in _SIGNS:
            self._edits.replace(start, right.start, f" {_SIGNS[sign]} ")
        if _SIGNS.get(sign, sign) not in _TRUTHS:
            return
        outer = node.parent
        while outer is not None and outer.kind == "parenthesized_expression":
            outer = outer.parent
        if outer is not None and outer.kind in _TYPED:
            self._edits.insert(node.start, "((bool)(")
            self._edits.insert(node.end, "))")

    def _alignas(self, node: Node) -> None:
        count = self._types.constants.whole(node.children[0] if node.children else None)
        if count is None:
            raise self._refuse(node, node.text)
        self._edits.put(node, f"__attribute__((aligned({count})))")

    def _call(self, node: Node) -> None:
        """`float(x)` is a cast; `P(x)` of a structure is a constructor."""
        function, arguments = node.get("function"), node.get("arguments")
        if function is None or arguments is None:
            return
        symbol = self._names.symbols.get(function)
        is_type = symbol is not None and symbol.kind in (Kind.TYPE, Kind.TYPE_PARAM)
        if function.kind != "primitive_type" and not is_type:
            return
        if isinstance(self._types.described(function), Struct):
            raise self._refuse(node, "constructors")
        if not arguments.children:
            self._edits.put(arguments, "(0)")
        self._edits.insert(function.start, "((")
        self._edits.insert(function.end, ")")
        self._edits.insert(arguments.end, ")")

    def _literal(self, node: Node) -> None:
        kind, value = node.get("type"), node.get("value")
        if kind is None or value is None or node.text.startswith("("):
            return
        self._edits.insert(kind.start, "((")
        self._edits.insert(kind.end, ")")
        self._edits.insert(node.end, ")")

    def _list(self, node: Node) -> None:
        if not node.children:
            self._edits.put(node, "{0}")
        if node.parent is not None and node.parent.kind == "return_statement":
            raise self._refuse(node, "return {…}")

    def _static_assert(self, node: Node) -> None:
        condition = node.get("condition")
        if condition is not None:
            self._edits.replace(node.start, condition.start, "_Static_assert(")
            if node.get("message") is None:
                self._edits.insert(condition.end, ', ""')

    def _condition(self, node: Node) -> None:
        value = node.get("value")
        if value is not None and value.kind == "declaration":
            raise self._refuse(node, "a variable declared in a condition")

    def _choice(self, node: Node) -> None:
        """`x ? a : b` takes no floating point `x` in OpenCL C."""
        condition = node.get("condition")
        if condition is None:
            return
        kind = self._expressions.value_of(condition)
        if isinstance(kind, Unknown) or (isinstance(kind, Scalar) and kind.kind == "f"):
            self._edits.insert(condition.start, "((")
            self._edits.insert(condition.end, ") != 0)")

    def _if(self, node: Node) -> None:
        found = re.match(r"if\s+(constexpr)\b", node.text)
        if found is not None:
            self._edits.blank(node.start + found.start(1), node.start + found.end(1))

    # Declarations ---------------------------------------------------------------------------------
    def _declaration(self, node: Node) -> None:
        declarators = declarators_of(node)
        if not declarators or any(
            layer.kind == "function_declarator" for layer in layers(declarators[0])
        ):
            return
        words = header_words(node)
        symbols = [s for d in declarators if (s := self._symbol(d)) is not None]
        if any(s.kind in (Kind.VARIABLE, Kind.SHARED, Kind.DYNAMIC) for s in symbols):
            for declarator in declarators:
                self._counts(declarator)
            return
        outside = any(s.kind is Kind.CONSTANT for s in symbols)
        end = declarators[0].start
        for found in _CONST.finditer(node.source, node.start, end):
            text = "const" if found[0] == "constexpr" and "const" not in words else ""
            self._edits.replace(found.start(), found.end(), text)
        if outside:
            self._edits.insert(node.start, "constant ")
        for declarator in declarators:
            self._counts(declarator)
            self._first_value(declarator, outside=outside)

    def _symbol(self, declarator: Node) -> Symbol | None:
        return self._names.symbols.get(layers(declarator)[-1])

    def _counts(self, declarator: Node) -> None:
        """Write the sizes of arrays as numbers: a constant variable is no constant in C."""
        for layer in layers(declarator):
            size = layer.get("size")
            if layer.kind != "array_declarator" or size is None or size.kind == "number_literal":
                continue
            count = self._types.constants.whole(size)
            if count is not None:
                self._edits.put(size, str(count))

    def _first_value(self, declarator: Node, *, outside: bool) -> None:
        if declarator.kind != "init_declarator":
            return
        value, inner = declarator.get("value"), declarator.get("declarator")
        if value is None or inner is None:
            return
        if value.kind == "argument_list":  # int x(3);
            if len(value.children) != 1:
                raise self._refuse(value, "constructors")
            self._edits.insert(value.start, " = ")
        elif (
            value.kind == "initializer_list"
            and "=" not in declarator.source[inner.end : value.start]
        ):
            self._edits.insert(value.start, " = ")
        elif outside:
            symbol = self._symbol(declarator)
            known = None if symbol is None else self._types.constants.of_symbol(symbol)
            if known is not None and value.kind != "number_literal":
                self._edits.put(
                    value, repr(known.number) + ("f" if known.type.dtype == "float32" else "")
                )

    def _case(self, node: Node) -> None:
        value = node.get("value")
        if value is not None and value.kind not in ("number_literal", "char_literal"):
            number = self._types.constants.whole(value)
            if number is not None:
                self._edits.put(value, str(number))

    def _auto(self, node: Node) -> None:
        self._edits.put(node, "__auto_type")

    def _parameters(self, node: Node) -> None:
        if not node.children and node.parent is not None:
            self._edits.put(node, "(void)")

    def _sizeof(self, node: Node) -> None:
        """An array that is handed down is a pointer in C: its size is written as a number."""
        inside = node.get("value")
        while inside is not None and inside.kind == "parenthesized_expression":
            inside = inside.children[0]
        symbol = self._names.symbols.get(inside) if inside is not None else None
        if symbol is None or symbol.kind not in (Kind.VARIABLE, Kind.SHARED):
            return
        value = self._types.constants.value(node)
        if value is None:
            raise self._refuse(node, f"the size of {symbol.name}")
        self._edits.put(node, f"((size_t){int(value.number)})")


def _in_typedef(node: Node) -> bool:
    return node.parent is not None and node.parent.kind == "type_definition"
