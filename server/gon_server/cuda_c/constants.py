"""Values the compiler knows: sizes of arrays, enumerators, first contents of module variables.

Integers carry their C type, so that promotion, wrap-around and division are C's.

Rules: pure. What is not understood is None, never a guess.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gon.errors import LimitExceeded
from gon.limits import MADE_OF_MAX
from gon_server.cuda_c.conditions import BINARY, ConditionError, integer_of
from gon_server.cuda_c.layout import (
    BOOL,
    CHAR,
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    UINT,
    ULONG,
    Scalar,
    size_of,
)
from gon_server.cuda_c.symbols import Kind, Symbol
from gon_server.cuda_c.tree import Node

if TYPE_CHECKING:
    from gon_server.cuda_c.type_reader import Types

_COMPARISONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})


class NoConstantError(Exception):
    """A value that C does not define."""


@dataclass(frozen=True, slots=True)
class Value:
    """A constant and its type."""

    number: int | float
    type: Scalar


def converted(number: float, kind: Scalar) -> int | float:
    """Return a number as C converts it to a type. Raises NoConstantError where C says nothing."""
    match kind.kind:
        case "f":
            code = {2: "<e", 4: "<f", 8: "<d"}[kind.size]
            try:
                return float(struct.unpack(code, struct.pack(code, float(number)))[0])
            except OverflowError:
                return float("inf") if number > 0 else float("-inf")
        case "b":
            return int(bool(number))
        case _:
            bits = kind.size * 8
            if isinstance(number, float) and not abs(number) < 2**64:  # undefined in C
                raise NoConstantError
            whole = int(number) % (1 << bits)
            return whole - (1 << bits) if kind.kind == "i" and whole >> (bits - 1) else whole


def bytes_of(value: Value, kind: Scalar) -> bytes:
    """Return how a value lies in memory as a type."""
    number = converted(value.number, kind)
    if kind.kind == "f":
        return struct.pack({2: "<e", 4: "<f", 8: "<d"}[kind.size], number)
    return int(number).to_bytes(kind.size, "little", signed=number < 0)


def promoted(kind: Scalar) -> Scalar:
    return INT if kind.kind in "iub" and kind.size < 4 else kind


def common_type(left: Scalar, right: Scalar) -> Scalar:
    left, right = promoted(left), promoted(right)
    if "f" in (left.kind, right.kind):
        floats = [kind for kind in (left, right) if kind.kind == "f"]
        return max(floats, key=lambda kind: kind.size)
    if left.size != right.size:
        return left if left.size > right.size else right
    return left if left.kind == "u" else right


def literal(text: str) -> Value | None:
    """Return the value of a number as it is written."""
    plain = text.replace("'", "") if text[0] != "'" else text
    if plain[0] == "'":
        code = integer_of(plain)
        return None if code is None else Value(code, CHAR)
    hexadecimal = plain[:2].lower() == "0x"
    if (not hexadecimal and any(mark in plain.lower() for mark in ".e")) or (
        hexadecimal and any(mark in plain.lower() for mark in ".p")
    ):  # fmt: skip
        return _floating(plain, hexadecimal=hexadecimal)
    number = integer_of(plain)
    if number is None:
        return None
    suffix = plain[len(plain.rstrip("uUlL")) :].lower()
    unsigned, long = "u" in suffix, "l" in suffix
    kinds = ([UINT] if unsigned else [INT]) if not long else []
    if not unsigned and plain[0] == "0" and not long:
        kinds.append(UINT)
    kinds.extend([ULONG] if unsigned else [LONG, ULONG])
    for kind in kinds:
        if converted(number, kind) == number:
            return Value(number, kind)
    return None


def _floating(text: str, *, hexadecimal: bool) -> Value | None:
    single = text[-1] in "fF" and (not hexadecimal or "p" in text.lower())
    digits = text[:-1] if single else text
    try:
        number = float.fromhex(digits) if hexadecimal else float(digits)
    except (ValueError, OverflowError):
        return None
    kind = FLOAT if single else DOUBLE
    return Value(converted(number, kind), kind)


class Evaluator:
    """Evaluates constant expressions of one program, under the bindings of a template."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._known: dict[Symbol, Value | None] = {}
        self._enums: dict[Node, dict[Node, int]] = {}
        self._depth = 0

    def whole(self, node: Node | None) -> int | None:
        """Return the value of a constant integer."""
        value = None if node is None else self.value(node)
        return int(value.number) if value is not None and value.type.kind != "f" else None

    def value(self, node: Node) -> Value | None:
        """Return what an expression is worth, None where it is no constant that is known."""
        try:
            return self._value(node)
        except NoConstantError:
            return None

    def _value(self, node: Node) -> Value | None:
        match node.kind:
            case "number_literal" | "char_literal":
                return literal(node.text)
            case "true" | "false":
                return Value(int(node.kind == "true"), BOOL)
            case "parenthesized_expression":
                return self.value(node.children[0]) if node.children else None
            case "binary_expression":
                return self._binary(node)
            case "unary_expression":
                return self._unary(node)
            case "conditional_expression":
                return self._conditional(node)
            case "cast_expression":
                return self._cast(node.get("type"), node.get("value"))
            case "call_expression":
                return self._call(node)
            case "sizeof_expression":
                return self._size(node)
            case "identifier":
                return self._named(node)
            case _:
                return None

    def _binary(self, node: Node) -> Value | None:
        left, right = node.get("left"), node.get("right")
        if left is None or right is None:
            return None
        operator = node.source[left.end : right.start].strip()
        first, second = self.value(left), self.value(right)
        if first is None or second is None or operator not in BINARY:
            return None
        common = common_type(first.type, second.type)
        if operator in ("<<", ">>"):
            common = promoted(first.type)
        a, b = converted(first.number, common), converted(second.number, common)
        if operator in ("<<", ">>"):
            b = second.number
        try:
            if common.kind == "f":
                if operator == "/" and b:
                    return Value(converted(a / b, common), common)
                if operator in "%&|^" or operator in ("<<", ">>", "/"):
                    return None
                result: int | float = BINARY[operator](a, b)  # type: ignore[arg-type]
            else:
                result = BINARY[operator](int(a), int(b))
        except ConditionError:
            return None
        kind = BOOL if operator in _COMPARISONS else common
        return Value(converted(result, kind), kind)

    def _unary(self, node: Node) -> Value | None:
        argument = node.get("argument")
        value = None if argument is None else self.value(argument)
        if value is None or argument is None:
            return None
        kind = promoted(value.type)
        match node.source[node.start : argument.start].strip():
            case "-":
                return Value(converted(-value.number, kind), kind)
            case "+":
                return Value(value.number, kind)
            case "~" if kind.kind != "f":
                return Value(converted(~int(value.number), kind), kind)
            case "!":
                return Value(int(not value.number), BOOL)
            case _:
                return None

    def _conditional(self, node: Node) -> Value | None:
        condition, yes, no = (node.get(f) for f in ("condition", "consequence", "alternative"))
        if condition is None or yes is None or no is None:
            return None
        chosen, first, second = self.value(condition), self.value(yes), self.value(no)
        if chosen is None or first is None or second is None:
            return None
        kind = common_type(first.type, second.type)
        return Value(converted((first if chosen.number else second).number, kind), kind)

    def _cast(self, kind: Node | None, operand: Node | None) -> Value | None:
        value = None if operand is None else self.value(operand)
        target = None if kind is None else self._types.described(kind)
        if value is None or not isinstance(target, Scalar) or target.kind == "v":
            return None
        return Value(converted(value.number, target), target)

    def _call(self, node: Node) -> Value | None:
        function, arguments = node.get("function"), node.get("arguments")
        if function is None or arguments is None or len(arguments.children) != 1:
            return None
        if function.kind == "template_function":
            listed = function.get("arguments")
            name = function.get("name")
            if listed is None or name is None or name.text != "static_cast":
                return None
            return self._cast(listed.children[0], arguments.children[0])
        return self._cast(function, arguments.children[0])

    def _size(self, node: Node) -> Value | None:
        kind = node.get("type")
        inside = node.get("value")
        while inside is not None and inside.kind == "parenthesized_expression":
            inside = inside.children[0]
        size = 0
        if kind is not None:
            size = size_of(self._types.described(kind))
        elif inside is not None and inside.kind == "identifier":
            symbol = self._types.names.symbols.get(inside)
            if symbol is None or symbol.kind in (Kind.TYPE, Kind.TYPE_PARAM):
                size = size_of(self._types.described(inside))
            else:
                size = size_of(self._types.of(symbol))
        return Value(size, ULONG) if size else None

    def _named(self, node: Node) -> Value | None:
        symbol = self._types.names.symbols.get(node)
        return None if symbol is None else self.of_symbol(symbol)

    def of_symbol(self, symbol: Symbol) -> Value | None:
        """Return the value of a named constant."""
        if symbol.kind is Kind.VALUE_PARAM:
            return self._types.bound_value(symbol)
        if symbol not in self._known:
            if self._depth > MADE_OF_MAX:
                what = f"constants are made of each other more than {MADE_OF_MAX} deep"
                raise LimitExceeded(what)
            self._known[symbol] = None  # what is made of itself is no constant
            self._depth += 1
            enumerator = symbol.kind is Kind.ENUMERATOR
            try:
                found = self._enumerator(symbol) if enumerator else self._constant(symbol)
            except NoConstantError:
                found = None
            self._known[symbol] = found
            self._depth -= 1
        return self._known[symbol]

    def _constant(self, symbol: Symbol) -> Value | None:
        if symbol.kind not in (Kind.CONSTANT, Kind.LOCAL, Kind.MEMBER):
            return None
        header = set(symbol.decl.source[symbol.decl.start : symbol.declarator.start].split())
        if not {"const", "constexpr"} & header:
            return None
        if symbol.kind is Kind.MEMBER and "static" not in header:
            return None
        kind = self._types.of(symbol)
        initial = symbol.declarator.get("value") or (
            symbol.decl.get("default_value") if symbol.kind is Kind.MEMBER else None
        )
        if not isinstance(kind, Scalar) or initial is None:
            return None
        if initial.kind in ("initializer_list", "argument_list"):
            if len(initial.children) != 1:
                return None
            initial = initial.children[0]
        value = self.value(initial)
        return None if value is None else Value(converted(value.number, kind), kind)

    def _enumerator(self, symbol: Symbol) -> Value | None:
        listed = symbol.decl.parent
        if listed is None:
            return None
        if listed not in self._enums:
            self._enums[listed] = known = {}
            number = -1
            for entry in listed.children:
                given = entry.get("value")
                whole = number + 1 if given is None else self.whole(given)
                if whole is None:
                    break
                known[entry] = number = whole
        found = self._enums[listed].get(symbol.decl)
        return None if found is None else _enumerated(found)


def _enumerated(number: int) -> Value:
    """Return an enumerator's value: an int if it is one, else the next type that holds it."""
    for kind in (INT, UINT, LONG):
        if converted(number, kind) == number:
            return Value(number, kind)
    return Value(number, ULONG)
