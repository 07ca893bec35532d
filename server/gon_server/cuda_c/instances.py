"""Instances of kernel templates: which a program asks for, and what their parameters stand for.

A name expression is read as C++ reads it: as an explicit instantiation at the end of the source.

Rules: pure; the number of instances is bounded by NAMES_MAX.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gon.errors import InvalidArgument, LimitExceeded
from gon.limits import NAMES_MAX
from gon_server.cuda_c.constants import Value
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.layout import CType, is_known
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Function, Kind, Names, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Bound, Types

_EXPRESSION: Final = re.compile(
    r"&?\s*(?P<name>[A-Za-z_][\w:]*)\s*(?P<list><[\w\s,:<>*+\-/()]*>)?", re.ASCII
)


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A kernel to emit: under which name it is asked for, and its template's bindings."""

    name: str
    function: Function
    bound: dict[Symbol, Bound]


def appended(names: Sequence[str]) -> str:
    """Return lines that make a source instantiate the name expressions.

    Raises InvalidArgument for what is no such expression, LimitExceeded.
    """
    if len(names) > NAMES_MAX:
        raise LimitExceeded(f"{len(names)} name expressions; at most {NAMES_MAX}")
    lines: list[str] = []
    for name in names:
        found = _EXPRESSION.fullmatch(name.strip())
        if found is None or len(name) > 512:
            raise InvalidArgument(f"name expression {name[:80]!r} is not understood")
        if found["list"] is not None:
            lines.append(f"template void {found['name']}{found['list']}();\n")
    return "".join(lines)


class Instances:
    """Finds the instances of a program's kernels."""

    def __init__(self, names: Names, types: Types, lines: Lines, edits: Edits) -> None:
        self._names = names
        self._types = types
        self._lines = lines
        self._edits = edits

    def all(self, asked: Sequence[str]) -> list[Instance]:
        """Return every kernel that is no template, and the instances of those that are.

        Raises InvalidArgument for a name that is no kernel's.
        """
        found: dict[str, Instance] = {}
        for kernel in self._names.kernels:
            if kernel.template is None:
                if kernel.name in found:
                    raise self._lines.wrong(kernel.node.row, f"kernel {kernel.name} is there twice")
                found[kernel.name] = Instance(kernel.name, kernel, {})
        expressions = [n for n in asked if "<" in n]
        plain = [n for n in asked if "<" not in n]
        nodes = self._names.instantiated
        own = nodes[: len(nodes) - len(expressions)]
        for node in own:
            made = self._instance(node, "")
            if made is not None:
                found.setdefault(made.name, made)
        for name, node in zip(expressions, nodes[len(own) :], strict=True):
            made = self._instance(node, name)
            if made is None:
                raise InvalidArgument(f"name expression {name!r}: there is no such kernel template")
            found[name] = made
        for name in plain:
            if name.strip().lstrip("&").split("::")[-1] not in found:
                raise InvalidArgument(f"name expression {name!r}: there is no such kernel")
        return list(found.values())

    def _instance(self, node: Node, asked: str) -> Instance | None:
        used = next((n for n in node.walk() if n.kind == "template_function"), None)
        name = used.get("name") if used is not None else None
        listed = used.get("arguments") if used is not None else None
        if name is None or listed is None:
            return None
        kernels = [k for k in self._names.kernels if k.name == name.text and k.template]
        if not kernels:
            return None
        if len(kernels) > 1:
            raise self._lines.unsupported(
                kernels[1].node.row, f"kernel template {name.text} is overloaded"
            )
        bound = self._bind(kernels[0], listed.children, asked or node.text)
        spelled = ", ".join(bound[symbol].text for symbol in bound)
        return Instance(asked or f"{name.text}<{spelled}>", kernels[0], bound)

    def _bind(self, kernel: Function, given: list[Node], asked: str) -> dict[Symbol, Bound]:
        assert kernel.template is not None
        listed = kernel.template.get("parameters")
        params = [self._symbol_of(p) for p in (listed.children if listed is not None else [])]
        if len(given) > len(params):
            raise InvalidArgument(
                f"{asked}: {kernel.name} has {len(params)} template parameters, "
                f"{len(given)} are given"
            )
        bound: dict[Symbol, Bound] = {}
        for index, symbol in enumerate(params):
            argument: Node | None
            if index < len(given):
                argument = given[index]
            else:
                argument = symbol.decl.get("default_type") or symbol.decl.get("default_value")
            if argument is None:
                raise InvalidArgument(f"{asked}: template parameter {symbol.name} is not given")
            bound[symbol] = self._bound(symbol, argument, self._types.under(bound), asked)
        return bound

    def _symbol_of(self, param: Node) -> Symbol:
        for node in param.walk():
            symbol = self._names.symbols.get(node)
            if symbol is not None and symbol.decl is param:
                return symbol
        raise self._lines.unsupported(param.row, "a template parameter without a name")

    def _bound(self, symbol: Symbol, node: Node, types: Types, asked: str) -> Bound:
        if symbol.kind is Kind.TYPE_PARAM:
            kind: CType = types.described(node)
            if not is_known(kind):
                raise InvalidArgument(f"{asked}: type {node.text!r} is not known here")
            code = self._edits.apply(node.start, node.end)
            return Bound(" ".join(node.text.split()), code, type=kind)
        if node.kind == "type_descriptor":  # a constant's name looks like a type's
            node = node.children[0]
        value = types.constants.value(node)
        found = self._names.symbols.get(node)
        if value is None and found is not None:
            value = types.constants.of_symbol(found)
        if value is None:
            raise InvalidArgument(f"{asked}: {node.text!r} is no constant known here")
        text = _text_of(value)
        return Bound(text.strip("()"), text, value=value)


def _text_of(value: Value) -> str:
    if value.type.kind == "b":
        return "true" if value.number else "false"
    if value.type.kind in "iu":
        suffix = ("u" if value.type.kind == "u" else "") + ("L" if value.type.size == 8 else "")
        text = f"{int(value.number)}{suffix}"
        return f"({text})" if value.number < 0 else text
    return f"{value.number!r}{'f' if value.type.size == 4 else ''}"
