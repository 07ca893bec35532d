"""Address spaces for OpenCL C 1.2, which has no pointers to just anywhere: where each pointer of a
program points to, found by following values from the kernels down.

A function that is called with pointers to different spaces becomes several clones, each with its
own. A variable that would have to point to two spaces is refused, naming it.

Rules: pure; flows are followed until nothing changes, at most PASSES_MAX times; clones are bounded
by CLONES_MAX.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gon.errors import LimitExceeded
from gon.limits import CLONES_MAX
from gon_server.cuda_c.builtins import BUILTINS
from gon_server.cuda_c.declarators import declarators_of, layers, name_node
from gon_server.cuda_c.expressions import (
    Called,
    Expressions,
    is_indirect,
    space_in,
    spaced,
)
from gon_server.cuda_c.layout import VOID, Array, CType, Pointer, Reference, Struct, Unknown
from gon_server.cuda_c.signatures import type_of_param
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Function, Kind, Names, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types

# Assignments seldom need more than two passes to be followed; each adds at least one variable.
PASSES_MAX: Final = 8
_PLACES: Final = frozenset({"identifier", "subscript_expression", "field_expression"})


def is_place(node: Node) -> bool:
    """Return whether an expression names something that has an address."""
    while node.kind == "parenthesized_expression":
        node = node.children[0]
    return (
        node.kind in _PLACES
        or node.kind == "assignment_expression"
        or (node.kind == "pointer_expression" and node.text[0] == "*")
    )


@dataclass(eq=False, slots=True)
class Clone:
    """A function with its pointers' spaces: those of its parameters, and of what it returns.

    `variables` are the types of its parameters and locals, `calls` which clone each call means.
    """

    function: Function
    spaces: tuple[str, ...]
    types: Types
    variables: dict[Symbol, CType] = field(default_factory=dict[Symbol, CType])
    calls: dict[Node, Clone] = field(default_factory=dict["Node", "Clone"])
    returns: CType = VOID
    expressions: Expressions = field(init=False)


class Spaces:
    """Finds the clones of a program's functions."""

    def __init__(self, names: Names, types: Types, lines: Lines) -> None:
        self._names = names
        self._types = types
        self._lines = lines
        self.clones: dict[tuple[Function, tuple[str, ...]], Clone] = {}

    def kernel(self, function: Function, types: Types) -> Clone:
        """Return a kernel's clone: its pointers are global."""
        spaces = tuple(
            "global" if is_indirect(type_of_param(node, types)) else "" for node in function.params
        )
        return self._analysed(function, spaces, types)

    def of(self, function: Function) -> list[Clone]:
        """Return the clones of a function that is no kernel."""
        return [clone for (found, _spaces), clone in self.clones.items() if found is function]

    def _clone(self, function: Function, spaces: tuple[str, ...]) -> Clone:
        key = (function, spaces)
        if key not in self.clones:
            if len(self.clones) >= CLONES_MAX:
                raise LimitExceeded(f"functions in more than {CLONES_MAX} address space variants")
            self.clones[key] = self._analysed(function, spaces, self._types)
        return self.clones[key]

    def _analysed(self, function: Function, spaces: tuple[str, ...], types: Types) -> Clone:
        clone = Clone(function, spaces, types)
        declared = types.declared(function.node, function.node.get("declarator"))
        clone.returns = declared
        for node, space in zip(function.params, spaces, strict=True):
            declarator = node.get("declarator")
            name = name_node(declarator) if declarator is not None else None
            symbol = self._names.symbols.get(name) if name is not None else None
            if symbol is not None:
                kind = type_of_param(node, types)
                self._check_depth(kind, symbol.node)
                clone.variables[symbol] = spaced(kind, space)
        called: Called = lambda call, _name: self._result(clone, call)  # noqa: E731
        clone.expressions = Expressions(types, lambda s: self._look(clone, s), called)
        body = function.body
        if body is None:
            return clone
        for last in (False, True):
            for _pass in range(PASSES_MAX):
                before = dict(clone.variables), clone.returns, len(clone.calls)
                self._follow(clone, body, last=last)
                if before == (clone.variables, clone.returns, len(clone.calls)):
                    break
        return clone

    def _look(self, clone: Clone, symbol: Symbol) -> CType:
        return clone.variables.get(symbol) or clone.types.of(symbol)

    def _result(self, clone: Clone, call: Node) -> CType:
        found = clone.calls.get(call)
        if found is not None:
            return found.returns
        functions = self._candidates(clone, call)
        if len(functions) == 1:
            node = functions[0].node
            return self._types.declared(node, node.get("declarator"))
        return Unknown("")

    def _check_depth(self, kind: CType, node: Node) -> None:
        inner = kind.to if isinstance(kind, Pointer | Reference) else kind
        if inner is not kind and is_indirect(inner):
            raise self._lines.unsupported(
                node.row, f"{node.text}: a pointer to pointers has no address space that is known"
            )

    # What a function does -------------------------------------------------------------------------
    def _follow(self, clone: Clone, body: Node, *, last: bool) -> None:
        for node in body.walk():
            match node.kind:
                case "declaration":
                    for declarator in declarators_of(node):
                        self._declared(clone, node, declarator)
                case "assignment_expression":
                    self._assigned(clone, node)
                case "call_expression":
                    self._call(clone, node, last=last)
                case "return_statement" if node.children and is_indirect(clone.returns):
                    self._returned(clone, node.children[0])
                case _:
                    pass

    def _merge(self, clone: Clone, symbol: Symbol, space: str, node: Node) -> None:
        kind = clone.variables[symbol]
        known = space_in(kind)
        if not space or known == space:
            return
        if known:
            raise self._lines.unsupported(
                node.row,
                f"pointer {symbol.name} points to {known} and to {space} memory: its address space "
                "is ambiguous, and the unit's compiler takes OpenCL C 1.2 only",
            )
        clone.variables[symbol] = spaced(kind, space)

    def _declared(self, clone: Clone, node: Node, declarator: Node) -> None:
        name = name_node(declarator)
        symbol = self._names.symbols.get(name) if name is not None else None
        if symbol is None or symbol.kind is not Kind.LOCAL:
            return
        value = next((v for part in layers(declarator) if (v := part.get("value"))), None)
        if symbol not in clone.variables:
            kind = clone.types.of(symbol)
            self._check_depth(kind, symbol.node)
            clone.variables[symbol] = kind
        kind = clone.variables[symbol]
        if _is_auto(node) and value is not None:
            found = clone.expressions.value_of(value)
            if isinstance(kind, Reference):
                found = Reference(clone.expressions.type_of(value))
                self._set(clone, symbol, spaced(found, clone.expressions.place_of(value)))
            elif isinstance(found, Pointer):
                self._set(clone, symbol, found)
            return
        if value is None or not is_indirect(kind):
            return
        if isinstance(kind, Reference):
            if is_place(value):
                self._merge(clone, symbol, clone.expressions.place_of(value), node)
            else:
                clone.variables[symbol] = kind.to  # a value of its own
            return
        values = value.children if value.kind in ("initializer_list", "argument_list") else [value]
        for given in values:
            self._merge(clone, symbol, space_in(clone.expressions.value_of(given)), node)

    def _set(self, clone: Clone, symbol: Symbol, kind: CType) -> None:
        if space_in(clone.variables[symbol]) != space_in(kind) or not is_indirect(
            clone.variables[symbol]
        ):
            clone.variables[symbol] = kind

    def _assigned(self, clone: Clone, node: Node) -> None:
        left, right = node.get("left"), node.get("right")
        if left is None or right is None:
            return
        if not isinstance(clone.expressions.value_of(left), Pointer):
            return
        if node.source[left.end : right.start].strip() != "=":
            return
        space = space_in(clone.expressions.value_of(right))
        target = left
        while target.kind in ("parenthesized_expression", "subscript_expression"):
            target = target.get("argument") or target.children[0]
        symbol = self._names.symbols.get(target)
        if symbol is None or symbol not in clone.variables:
            raise self._lines.unsupported(
                node.row, f"{left.text} = …: a pointer is kept where its address space is not known"
            )
        self._merge(clone, symbol, space, node)

    def _returned(self, clone: Clone, value: Node) -> None:
        if isinstance(clone.returns, Reference):
            space = clone.expressions.place_of(value)
        else:
            space = space_in(clone.expressions.value_of(value))
        known = space_in(clone.returns)
        if space and known and space != known:
            raise self._lines.unsupported(
                value.row, f"{clone.function.name} returns pointers to {known} and {space} memory"
            )
        if space:
            clone.returns = spaced(clone.returns, space)

    # Calls ----------------------------------------------------------------------------------------
    def _candidates(self, clone: Clone, call: Node) -> list[Function]:
        function, arguments = call.get("function"), call.get("arguments")
        if function is None or arguments is None:
            return []
        name = function.get("name") if function.kind == "template_function" else function
        symbol = None if name is None else self._names.symbols.get(name)
        if symbol is None or symbol.kind is not Kind.FUNCTION:
            return []
        given = arguments.children
        found: list[Function] = []
        for candidate in self._names.named(symbol.name):
            least = sum(p.kind == "parameter_declaration" for p in candidate.params)
            if candidate.body is None or not least <= len(given) <= len(candidate.params):
                continue
            if candidate.template is not None:
                raise self._lines.unsupported(
                    call.row, f"{symbol.name}: templates of functions need C++ for OpenCL"
                )
            if self._fits(clone, candidate, given):
                found.append(candidate)
        return found

    def _fits(self, clone: Clone, candidate: Function, given: list[Node]) -> bool:
        """Return whether pointers are where the candidate takes pointers."""
        for param, argument in zip(candidate.params, given, strict=False):
            wanted = type_of_param(param, self._types)
            kind = clone.expressions.value_of(argument)
            if isinstance(wanted, Reference) or isinstance(kind, Unknown):
                continue
            if isinstance(wanted, Pointer) and argument.kind in ("null", "number_literal"):
                continue
            if isinstance(wanted, Pointer) != isinstance(kind, Pointer):
                return False
            if wanted != kind and Struct in (type(wanted), type(kind)):
                return False
            if (
                isinstance(wanted, Pointer)
                and isinstance(kind, Pointer)
                and wanted.to != kind.to
                and VOID not in (wanted.to, kind.to)
                and not isinstance(kind.to, Unknown | Array)
            ):
                return False
        return True

    def _call(self, clone: Clone, call: Node, *, last: bool) -> None:
        if call in clone.calls:
            return
        arguments = call.get("arguments")
        candidates = self._candidates(clone, call)
        if arguments is None or not candidates:
            self._check_known(call)
            return
        for candidate in candidates:
            spaces: list[str] = []
            for index, param in enumerate(candidate.params):
                wanted = type_of_param(param, self._types)
                if not is_indirect(wanted):
                    spaces.append("")
                elif index >= len(arguments.children):
                    spaces.append("private")
                else:
                    space = self._passed(clone, wanted, arguments.children[index])
                    if not space and not last:
                        return
                    spaces.append(space or "private")
            made = self._clone(candidate, tuple(spaces))
            clone.calls[call] = made

    def _check_known(self, call: Node) -> None:
        function = call.get("function")
        symbol = self._names.symbols.get(function) if function is not None else None
        if symbol is not None and symbol.kind is Kind.FUNCTION and symbol.name not in BUILTINS:
            raise self._lines.wrong(call.row, f"no function {symbol.name} takes these arguments")

    def _passed(self, clone: Clone, wanted: CType, argument: Node) -> str:
        if isinstance(wanted, Reference):
            return clone.expressions.place_of(argument) if is_place(argument) else "private"
        return space_in(clone.expressions.value_of(argument))


def _is_auto(node: Node) -> bool:
    return any(child.kind == "placeholder_type_specifier" for child in node.children)
