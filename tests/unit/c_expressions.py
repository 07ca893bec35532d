"""Expressions of C: what they are spelled like, and what they are worth by the language's rules.

Values are computed as C says: promotion, the usual conversions, wrapping of unsigned numbers,
truncating division, one rounding an operation. What C leaves undefined (overflow of signed numbers,
shifts too far, division by nothing, floats too large for a whole number) raises Undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from hypothesis import strategies as st

# A float is a Python float that a number of its type can be.
Value: TypeAlias = int | float
Row: TypeAlias = Mapping[str, Value]


class Undefined(ArithmeticError):
    """The language says nothing of what this is worth."""


@dataclass(frozen=True)
class Type:
    """An arithmetic type: its spelling in CUDA C, its width, and its rank for conversions."""

    name: str
    dtype: str
    rank: int

    @property
    def is_float(self) -> bool:
        return self.dtype[0] == "f"

    @property
    def is_signed(self) -> bool:
        return self.dtype[0] == "i"

    @property
    def bits(self) -> int:
        return 8 * int(self.dtype[1])


CHAR, UCHAR = Type("char", "i1", 0), Type("unsigned char", "u1", 0)
SHORT, USHORT = Type("short", "i2", 1), Type("unsigned short", "u2", 1)
INT, UINT = Type("int", "i4", 2), Type("unsigned int", "u4", 3)
LONG, ULONG = Type("long long", "i8", 4), Type("unsigned long long", "u8", 5)
FLOAT, DOUBLE = Type("float", "f4", 6), Type("double", "f8", 7)
TYPES = (CHAR, UCHAR, SHORT, USHORT, INT, UINT, LONG, ULONG, FLOAT, DOUBLE)
VARIABLES = {f"v{index}": type_ for index, type_ in enumerate(TYPES)}


def promoted(type_: Type) -> Type:
    """Numbers narrower than int are ints in every expression."""
    return INT if type_.rank < INT.rank else type_


def common(left: Type, right: Type) -> Type:
    """The usual arithmetic conversions, on a machine whose long long holds every unsigned int."""
    return max(promoted(left), promoted(right), key=lambda type_: type_.rank)


def convert(value: Value, source: Type, target: Type) -> Value:
    """Return the value as another type has it. Raises Undefined."""
    if target.is_float:
        # One rounding: a whole number never becomes a float by way of double.
        with np.errstate(over="ignore"):
            return float(np.array([value], source.dtype).astype(target.dtype)[0])
    if source.is_float:
        if not np.isfinite(value):
            raise Undefined
        whole = int(value)
        info = np.iinfo(target.dtype)
        if not info.min <= whole <= info.max:
            raise Undefined
        return whole
    low = -(1 << (target.bits - 1)) if target.is_signed else 0
    return (int(value) - low) % (1 << target.bits) + low


# Expressions --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Variable:
    name: str

    @property
    def type(self) -> Type:
        return VARIABLES[self.name]

    def spell(self) -> str:
        return self.name

    def evaluate(self, row: Row) -> Value:
        return row[self.name]


@dataclass(frozen=True)
class Literal:
    type: Type
    value: Value

    def spell(self) -> str:
        if self.type.is_float:
            return float(self.value).hex() + ("f" if self.type is FLOAT else "")
        suffix = {INT: "", UINT: "u", LONG: "ll", ULONG: "ull"}[self.type]
        return f"{self.value}{suffix}"

    def evaluate(self, row: Row) -> Value:
        return self.value


@dataclass(frozen=True)
class Cast:
    type: Type
    operand: Expression

    def spell(self) -> str:
        return f"({self.type.name})({self.operand.spell()})"

    def evaluate(self, row: Row) -> Value:
        return convert(self.operand.evaluate(row), self.operand.type, self.type)


@dataclass(frozen=True)
class Unary:
    sign: str
    operand: Expression

    @property
    def type(self) -> Type:
        return INT if self.sign == "!" else promoted(self.operand.type)

    def spell(self) -> str:
        return f"({self.sign}({self.operand.spell()}))"

    def evaluate(self, row: Row) -> Value:
        value = self.operand.evaluate(row)
        if self.sign == "!":
            return int(not value)
        value = convert(value, self.operand.type, self.type)
        if self.sign == "~":
            return _settle(~int(value), self.type)
        return _negative(value, self.type)


@dataclass(frozen=True)
class Binary:
    sign: str
    left: Expression
    right: Expression

    @property
    def type(self) -> Type:
        if self.sign in COMPARISONS or self.sign in ("&&", "||"):
            return INT
        if self.sign in ("<<", ">>"):
            return promoted(self.left.type)
        return common(self.left.type, self.right.type)

    def spell(self) -> str:
        return f"({self.left.spell()} {self.sign} {self.right.spell()})"

    def evaluate(self, row: Row) -> Value:
        left = self.left.evaluate(row)
        if self.sign in ("&&", "||"):
            if bool(left) == (self.sign == "||"):
                return int(bool(left))
            return int(bool(self.right.evaluate(row)))
        right = self.right.evaluate(row)
        if self.sign in ("<<", ">>"):
            value = int(convert(left, self.left.type, self.type))
            return _shifted(self.sign, value, int(right), self.type)
        both = common(self.left.type, self.right.type)
        left = convert(left, self.left.type, both)
        right = convert(right, self.right.type, both)
        if self.sign in COMPARISONS:
            return int(COMPARISONS[self.sign](left, right))
        return _combined(self.sign, left, right, both)


@dataclass(frozen=True)
class Choice:
    condition: Expression
    left: Expression
    right: Expression

    @property
    def type(self) -> Type:
        return common(self.left.type, self.right.type)

    def spell(self) -> str:
        return f"({self.condition.spell()} ? {self.left.spell()} : {self.right.spell()})"

    def evaluate(self, row: Row) -> Value:
        taken = self.left if self.condition.evaluate(row) else self.right
        return convert(taken.evaluate(row), taken.type, self.type)


Expression: TypeAlias = Variable | Literal | Cast | Unary | Binary | Choice
COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
WHOLE: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}
FLOATS: dict[str, Callable[[np.float64, np.float64], np.float64]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def _settle(value: int, type_: Type) -> int:
    """A number of unsigned type wraps; a signed one that does not fit is undefined."""
    info = np.iinfo(type_.dtype)
    if type_.is_signed and not info.min <= value <= info.max:
        raise Undefined
    return value % (1 << type_.bits) if not type_.is_signed else value


def _negative(value: Value, type_: Type) -> Value:
    return -float(value) if type_.is_float else _settle(-int(value), type_)


def _shifted(sign: str, value: int, by: int, type_: Type) -> int:
    if not 0 <= by < type_.bits or (sign == "<<" and value < 0):
        raise Undefined
    return value >> by if sign == ">>" else _settle(value << by, type_)


def _combined(sign: str, left: Value, right: Value, type_: Type) -> Value:
    if type_.is_float:
        # A double holds so much more than a float that rounding twice is rounding once.
        with np.errstate(all="ignore"):
            exact = FLOATS[sign](np.float64(left), np.float64(right))
        return convert(float(exact), DOUBLE, type_)
    a, b = int(left), int(right)
    if sign in ("/", "%"):
        if b == 0:
            raise Undefined
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        _settle(quotient, type_)  # the least number has no opposite
        return quotient if sign == "/" else a - quotient * b
    return _settle(WHOLE[sign](a, b), type_)


# Strategies ---------------------------------------------------------------------------------------
def _whole(expression: Expression) -> Expression:
    return Cast(INT, expression) if expression.type.is_float else expression


def _unary(sign: str, operand: Expression) -> Expression:
    return Unary(sign, _whole(operand) if sign == "~" else operand)


def _binary(sign: str, left: Expression, right: Expression) -> Expression:
    if sign in ("%", "&", "|", "^"):
        return Binary(sign, _whole(left), _whole(right))
    if sign in ("<<", ">>"):
        return Binary(sign, _whole(left), Binary("&", _whole(right), Literal(INT, 15)))
    return Binary(sign, left, right)


def _choice(condition: Expression, left: Expression, right: Expression) -> Expression:
    """OpenCL C takes no float for a condition here, C++ does: both take a comparison."""
    if condition.type.is_float:
        condition = Binary("!=", condition, Literal(INT, 0))
    return Choice(condition, left, right)


SIGNS = ["+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "&&", "||", *COMPARISONS]
_literals = st.one_of(
    st.builds(Literal, st.sampled_from([INT, UINT, LONG, ULONG]), st.integers(0, 2**31 - 1)),
    st.builds(Literal, st.sampled_from([INT, UINT]), st.integers(0, 40)),
    st.builds(Literal, st.just(FLOAT), st.floats(0, 1e6, width=32, allow_subnormal=False)),
    st.builds(Literal, st.just(DOUBLE), st.floats(0, 1e6, allow_subnormal=False)),
)
_leaves: st.SearchStrategy[Expression] = st.one_of(
    st.builds(Variable, st.sampled_from([*VARIABLES])), _literals
)
expressions: st.SearchStrategy[Expression] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(_binary, st.sampled_from(SIGNS), inner, inner),
        st.builds(_unary, st.sampled_from(["-", "~", "!"]), inner),
        st.builds(Cast, st.sampled_from(TYPES), inner),
        st.builds(_choice, inner, inner, inner),
    ),
    max_leaves=7,
)
