"""Indices of arrays as signed numbers: `x[blockIdx.x * blockDim.x + threadIdx.x]` is unsigned in
CUDA C, and unsigned numbers may wrap around, so that a compiler for CPUs does not see that
neighbours in a warp read neighbours in memory. Measured: a tiled matrix product is nine times as
fast.

Each unsigned term of a sum is turned into an `int`. The sum is the same modulo 2**32, so the index
is the same for every array of less than 2**31 elements; larger ones are refused at the launch. But
signed sums must not overflow on the way, as those of a ring's ever growing counters do: a sum is
only touched if its terms are made of the thread's own indices, signed numbers and strides.

Rules: edits only. Sums with terms of 64 bits are left alone, as are terms whose type is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.constants import literal
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.expressions import Expressions
from gon_server.cuda_c.layout import Array, CType, Pointer, Scalar, Unknown
from gon_server.cuda_c.symbols import Kind, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types

_OF_THREADS: Final = frozenset({"threadIdx", "blockIdx", "blockDim", "gridDim"})
_LESSENING: Final = frozenset({"%", ">>", "/", "&"})
_GROWING: Final = frozenset({"+", "-", "*", "<<"})
_SHRINKING: Final = frozenset({">>=", "/=", "%=", "&="})
_ADDING: Final = frozenset({"=", "+=", "-="})
# Variables that a variable is made of are followed so far.
_DEPTH_MAX: Final = 16


def sign_indices(root: Node, types: Types, edits: Edits) -> bool:
    """Edit every index that is an unsigned sum; return whether there was any."""

    def called(_call: Node, name: Node) -> CType:
        return Unknown(name.text)

    expressions = Expressions(types, types.of, called)
    small = _Small(root, types, expressions)
    changed = False
    for node in root.walk():
        if node.kind != "subscript_expression":
            continue
        argument, listed = node.get("argument"), node.get("indices")
        if argument is None or listed is None or len(listed.children) != 1:
            continue
        if isinstance(expressions.type_of(argument), Pointer | Array):
            changed = _sign(listed.children[0], expressions, small, edits) or changed
    return changed


def _sign(index: Node, expressions: Expressions, small: _Small, edits: Edits) -> bool:
    terms = _terms(index)
    kinds = [expressions.type_of(term) for term in terms]
    whole = all(
        isinstance(kind, Scalar) and kind.kind in "iub" and kind.size <= 4 for kind in kinds
    )
    chosen = [
        term
        for term, kind in zip(terms, kinds, strict=True)
        if _is_thread_index(term)
        or (whole and isinstance(kind, Scalar) and kind.kind == "u" and kind.size == 4)
    ]
    large = [term for term in chosen if not small.term(term)]
    if len(terms) > 1 and large and not (len(large) == 1 and _only_adds(index, terms, large[0])):
        return False
    for term in chosen:
        edits.insert(term.start, "(int)(")
        edits.insert(term.end, ")")
    return bool(chosen)


def _only_adds(index: Node, terms: list[Node], large: Node) -> bool:
    """Return whether nothing but small numbers that are not negative are added to one term: where
    the signed sum overflows, so is the index larger than any array has elements.
    """
    return all(
        term is large or term.kind == "number_literal" or _is_thread_index(term) for term in terms
    ) and not any("-" in node.source[a.end : b.start] for node, a, b in _sums(index))


def _sums(node: Node) -> Iterator[tuple[Node, Node, Node]]:
    """Yield each sum or difference that an index is made of, with its operands."""
    waiting = [node]
    while waiting:
        term = waiting.pop()
        left, right = term.get("left"), term.get("right")
        if term.kind == "parenthesized_expression":
            waiting.append(term.children[0])
        elif (
            term.kind == "binary_expression"
            and left is not None
            and right is not None
            and term.source[left.end : right.start].strip() in "+-"
        ):
            yield term, left, right
            waiting.extend((left, right))


def _terms(node: Node) -> list[Node]:
    """Return the terms of a sum, through brackets."""
    waiting, found = [node], list[Node]()
    while waiting:
        term = waiting.pop()
        left, right = term.get("left"), term.get("right")
        if term.kind == "parenthesized_expression":
            waiting.append(term.children[0])
        elif term.kind == "binary_expression" and left is not None and right is not None:
            if term.source[left.end : right.start].strip() in "+-":
                waiting.extend((left, right))
            else:
                found.append(term)
        else:
            found.append(term)
    return found


def _is_thread_index(node: Node) -> bool:
    argument = node.get("argument")
    return node.kind == "field_expression" and argument is not None and argument.text == "threadIdx"


class _Small:
    """Which terms stand for numbers far from the ends of their range, wrapped or not."""

    def __init__(self, root: Node, types: Types, expressions: Expressions) -> None:
        self._symbols = types.names.symbols
        self._expressions = expressions
        self._known: dict[Symbol, bool] = {}
        self._open: list[Symbol] = []
        self._set: dict[Symbol, list[tuple[str, Node]]] = {}
        for node in root.walk():
            if node.kind == "init_declarator":
                target, value, sign = node.get("declarator"), node.get("value"), "="
            elif node.kind == "assignment_expression":
                target, value = node.get("left"), node.get("right")
                between = (target.end, value.start) if target and value else (0, 0)
                sign = node.source[slice(*between)].strip()
            else:
                continue
            symbol = self._symbols.get(target) if target is not None else None
            if symbol is not None and value is not None:
                self._set.setdefault(symbol, []).append((sign, value))

    def term(self, node: Node, *, factor: bool = False) -> bool:
        """Return whether a term is small; a `factor` may be any variable, as strides are."""
        match node.kind:
            case "parenthesized_expression":
                return self.term(node.children[0], factor=factor)
            case "number_literal":
                value = literal(node.text)
                return value is not None and value.number < 1 << 31
            case "binary_expression":
                left, right = node.get("left"), node.get("right")
                if left is None or right is None:
                    return False
                sign = node.source[left.end : right.start].strip()
                factor = sign == "*" or (factor and sign in "+-")
                return sign in _LESSENING or (
                    sign in _GROWING
                    and self.term(left, factor=factor)
                    and self.term(right, factor=factor)
                )
            case "field_expression":
                argument = node.get("argument")
                return argument is not None and argument.text in _OF_THREADS
            case _:
                kind = self._expressions.type_of(node)
                if isinstance(kind, Scalar) and (kind.kind in "ib" or kind.size < 4):
                    return True
                symbol = self._symbols.get(node)
                return (
                    symbol is not None
                    and symbol not in self._open
                    and (factor or self._variable(symbol))
                )

    def _variable(self, symbol: Symbol) -> bool:
        if symbol not in self._known:
            if symbol.kind is not Kind.LOCAL or len(self._open) >= _DEPTH_MAX:
                return False
            self._open.append(symbol)  # what is made of itself may be anything
            self._known[symbol] = all(
                sign in _SHRINKING or (sign in _ADDING and self.term(value))
                for sign, value in self._set.get(symbol, [])
            )
            self._open.pop()
        return self._known[symbol]
