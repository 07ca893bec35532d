"""The types of expressions: enough of C's rules to tell pointers, structures and numbers apart, and
where what an expression names lies.

Rules: pure. What is not worked out is Unknown. Spaces are "global", "local", "private" and
"constant"; "" where nothing is known of a pointer (yet).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from gon_server.cuda_c.constants import common_type, literal, promoted
from gon_server.cuda_c.layout import (
    BOOL,
    CHAR,
    FLOAT,
    INT,
    LONG,
    ULONG,
    VECTORS,
    Array,
    CType,
    Pointer,
    Reference,
    Scalar,
    Struct,
    Unknown,
)
from gon_server.cuda_c.refuse import CASTS
from gon_server.cuda_c.symbols import Kind, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types

_NOT_KNOWN: Final = Unknown("")
_STRING: Final = Pointer(CHAR, const=True, space="constant")
_OF_CUDA: Final[dict[str, CType]] = {
    "threadIdx": VECTORS["uint3"],
    "blockIdx": VECTORS["uint3"],
    "blockDim": VECTORS["dim3"],
    "gridDim": VECTORS["dim3"],
    "warpSize": INT,
}
_SINGLE: Final = frozenset(
    f"{name}f"
    for name in [
        "sqrt",
        "rsqrt",
        "exp",
        "exp2",
        "exp10",
        "log",
        "log2",
        "log10",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "pow",
        "fabs",
        "fmin",
        "fmax",
        "fmod",
        "floor",
        "ceil",
        "round",
        "trunc",
        "rint",
        "fma",
        "atan2",
        "hypot",
        "erf",
        "expm1",
        "log1p",
        "cbrt",
    ]
)
_COMPARISONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})
_SPACE_OF_KIND: Final = {
    Kind.SHARED: "local",
    Kind.DYNAMIC: "local",
    Kind.VARIABLE: "global",
    Kind.CONSTANT: "constant",
}

# Returns the type that a variable has besides what its declaration says: spaces, `auto`.
Look: TypeAlias = Callable[[Symbol], CType]
# Returns the type of a call of the program's own function.
Called: TypeAlias = Callable[[Node, Node], CType]


def spaced(kind: CType, space: str) -> CType:
    """Return a type whose outermost pointers (also of an array) point to a space."""
    match kind:
        case Pointer() | Reference():
            return replace(kind, space=space)
        case Array():
            return Array(spaced(kind.of, space), kind.count)
        case _:
            return kind


def space_in(kind: CType) -> str:
    """Return the space a type's outermost pointer points to."""
    while isinstance(kind, Array):
        kind = kind.of
    return kind.space if isinstance(kind, Pointer | Reference) else ""


def is_indirect(kind: CType) -> bool:
    """Return whether a type is a pointer, a reference, or an array of pointers."""
    while isinstance(kind, Array):
        kind = kind.of
    return isinstance(kind, Pointer | Reference)


class Expressions:
    """Types of one function's expressions."""

    def __init__(self, types: Types, look: Look, called: Called) -> None:
        self._types = types
        self._look = look
        self._called = called
        self._rules: dict[str, Callable[[Node], CType]] = {
            "identifier": self._name,
            "number_literal": self._literal,
            "char_literal": self._literal,
            "true": lambda _node: BOOL,
            "false": lambda _node: BOOL,
            "string_literal": lambda _node: _STRING,
            "concatenated_string": lambda _node: _STRING,
            "parenthesized_expression": lambda node: self.raw_type_of(node.children[0]),
            "comma_expression": lambda node: self.type_of(node.children[-1]),
            "binary_expression": self._binary,
            "unary_expression": self._unary,
            "pointer_expression": self._pointer,
            "update_expression": self._changed,
            "assignment_expression": self._changed,
            "conditional_expression": self._conditional,
            "subscript_expression": self._subscript,
            "field_expression": self._field,
            "cast_expression": lambda node: self._cast(node.get("type"), node.get("value")),
            "sizeof_expression": lambda _node: ULONG,
            "alignof_expression": lambda _node: ULONG,
            "compound_literal_expression": self._compound,
            "call_expression": self._call,
        }
        self._places: dict[str, Callable[[Node], str]] = {
            "identifier": self._place_of_name,
            "parenthesized_expression": lambda node: self.place_of(node.children[0]),
            "assignment_expression": lambda node: self.place_of(node.children[0]),
            "update_expression": lambda node: self.place_of(node.children[0]),
            "comma_expression": lambda node: self.place_of(node.children[-1]),
            "subscript_expression": self._place_of_element,
            "field_expression": self._place_of_field,
            "pointer_expression": self._place_of_target,
            "conditional_expression": self._place_of_choice,
            "call_expression": self._place_of_call,
        }

    def type_of(self, node: Node) -> CType:
        """Return an expression's type; a reference is what it refers to."""
        kind = self.raw_type_of(node)
        return kind.to if isinstance(kind, Reference) else kind

    def value_of(self, node: Node) -> CType:
        """Return the type an expression has where its value is used: arrays are pointers."""
        kind = self.type_of(node)
        return Pointer(kind.of, space=self.place_of(node)) if isinstance(kind, Array) else kind

    def raw_type_of(self, node: Node) -> CType:
        """Return an expression's type; a reference stays one."""
        rule = self._rules.get(node.kind)
        return _NOT_KNOWN if rule is None else rule(node)

    def place_of(self, node: Node) -> str:
        """Return the space in which what an expression names lies; a value lies nowhere, which is
        private.
        """
        rule = self._places.get(node.kind)
        return "private" if rule is None else rule(node)

    # Places ---------------------------------------------------------------------------------------
    def _place_of_name(self, node: Node) -> str:
        symbol = self._types.names.symbols.get(node)
        if symbol is None:
            return "private"
        kind = self._look(symbol)
        if isinstance(kind, Reference):
            return kind.space
        return _SPACE_OF_KIND.get(symbol.kind, "private")

    def _place_of_element(self, node: Node) -> str:
        argument = node.get("argument")
        if argument is None:
            return ""
        kind = self.type_of(argument)
        return kind.space if isinstance(kind, Pointer) else self.place_of(argument)

    def _place_of_field(self, node: Node) -> str:
        argument, member = node.get("argument"), node.get("field")
        if argument is None or member is None:
            return ""
        if "->" in node.source[argument.end : member.start]:
            return space_in(self.value_of(argument))
        return self.place_of(argument)

    def _place_of_target(self, node: Node) -> str:
        argument = node.get("argument")
        if argument is None or node.text[0] != "*":
            return "private"
        return space_in(self.value_of(argument))

    def _place_of_choice(self, node: Node) -> str:
        yes, no = node.get("consequence"), node.get("alternative")
        if yes is None or no is None:
            return ""
        places = {self.place_of(yes), self.place_of(no)}
        return places.pop() if len(places) == 1 else "private"

    def _place_of_call(self, node: Node) -> str:
        kind = self.raw_type_of(node)
        return kind.space if isinstance(kind, Reference) else "private"

    # Types ----------------------------------------------------------------------------------------
    def _name(self, node: Node) -> CType:
        symbol = self._types.names.symbols.get(node)
        return _OF_CUDA.get(node.text, _NOT_KNOWN) if symbol is None else self._look(symbol)

    def _literal(self, node: Node) -> CType:
        value = literal(node.text)
        return _NOT_KNOWN if value is None else value.type

    def _changed(self, node: Node) -> CType:
        target = node.get("left") or node.get("argument")
        return _NOT_KNOWN if target is None else self.type_of(target)

    def _compound(self, node: Node) -> CType:
        kind = node.get("type")
        return _NOT_KNOWN if kind is None else self._types.described(kind)

    def _binary(self, node: Node) -> CType:
        left, right = node.get("left"), node.get("right")
        if left is None or right is None:
            return _NOT_KNOWN
        operator = node.source[left.end : right.start].strip()
        if operator in _COMPARISONS:
            return BOOL
        first, second = self.value_of(left), self.value_of(right)
        pointers = isinstance(first, Pointer), isinstance(second, Pointer)
        if pointers == (True, True):
            return LONG
        if any(pointers):
            return first if pointers[0] else second
        if isinstance(first, Scalar) and isinstance(second, Scalar):
            return promoted(first) if operator in ("<<", ">>") else common_type(first, second)
        return _NOT_KNOWN

    def _unary(self, node: Node) -> CType:
        argument = node.get("argument")
        if argument is None:
            return _NOT_KNOWN
        kind = self.value_of(argument)
        if node.text[0] == "!":
            return BOOL
        return promoted(kind) if isinstance(kind, Scalar) else _NOT_KNOWN

    def _pointer(self, node: Node) -> CType:
        argument = node.get("argument")
        if argument is None:
            return _NOT_KNOWN
        if node.text.startswith("&"):
            return Pointer(self.type_of(argument), space=self.place_of(argument))
        kind = self.value_of(argument)
        return kind.to if isinstance(kind, Pointer) else _NOT_KNOWN

    def _conditional(self, node: Node) -> CType:
        yes, no = node.get("consequence"), node.get("alternative")
        if yes is None or no is None:
            return _NOT_KNOWN
        first, second = self.value_of(yes), self.value_of(no)
        if isinstance(first, Scalar) and isinstance(second, Scalar):
            return common_type(first, second) if first != second else first
        if isinstance(first, Pointer) and isinstance(second, Pointer):
            return first if first.space else second
        return first if isinstance(first, Pointer | Struct) else second

    def _subscript(self, node: Node) -> CType:
        argument = node.get("argument")
        kind = _NOT_KNOWN if argument is None else self.type_of(argument)
        if isinstance(kind, Pointer):
            return kind.to
        return kind.of if isinstance(kind, Array) else _NOT_KNOWN

    def _field(self, node: Node) -> CType:
        argument, member = node.get("argument"), node.get("field")
        if argument is None or member is None:
            return _NOT_KNOWN
        kind = self.value_of(argument)
        if isinstance(kind, Pointer):
            kind = kind.to
        if isinstance(kind, Struct):
            for found in kind.fields:
                if found.name == member.text:
                    return found.type
        return _NOT_KNOWN

    def _cast(self, kind: Node | None, operand: Node | None) -> CType:
        if kind is None or operand is None:
            return _NOT_KNOWN
        target = self._types.described(kind)
        return spaced(target, space_in(self.value_of(operand))) if is_indirect(target) else target

    def _of_builtin(self, name: str, given: list[Node]) -> CType | None:
        """Return what a function of CUDA gives, for those that much is computed with."""
        if name.startswith("__shfl") and len(given) > 1:
            return self.type_of(given[1])
        if name == "__ldg" and given:
            kind = self.value_of(given[0])
            return kind.to if isinstance(kind, Pointer) else None
        if name in ("min", "max", "fmin", "fmax", "pow") and len(given) == 2:
            first, second = (self.type_of(argument) for argument in given)
            if isinstance(first, Scalar) and isinstance(second, Scalar):
                return common_type(first, second)
            return None
        return FLOAT if name in _SINGLE else None

    def _call(self, node: Node) -> CType:
        function, arguments = node.get("function"), node.get("arguments")
        if function is None or arguments is None:
            return _NOT_KNOWN
        given = arguments.children
        if function.kind == "template_function":
            name, listed = function.get("name"), function.get("arguments")
            if name is not None and listed is not None and name.text in CASTS and given:
                return self._cast(listed.children[0], given[0])
        if function.kind == "primitive_type":
            return self._types.described(function)
        name = function.get("name") if function.kind == "template_function" else function
        symbol = self._types.names.symbols.get(name) if name is not None else None
        if symbol is not None:
            if symbol.kind in (Kind.TYPE, Kind.TYPE_PARAM):
                return self._types.of(symbol)
            assert name is not None
            return self._called(node, name) if symbol.kind is Kind.FUNCTION else _NOT_KNOWN
        if name is not None and (kind := self._of_builtin(name.text, given)) is not None:
            return kind
        if name is not None and name.text.startswith("make_"):
            return VECTORS.get(name.text.removeprefix("make_"), _NOT_KNOWN)
        if function.kind == "identifier":
            return VECTORS.get(function.text, _NOT_KNOWN)
        return _NOT_KNOWN
