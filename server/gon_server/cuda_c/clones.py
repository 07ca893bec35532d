"""Functions for OpenCL C 1.2: each clone with its pointers' address spaces spelled out, references
as pointers, and what is handed down as pointers.

Rules: edits of one clone; its spaces are `spaces`'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gon_server.cuda_c.declarators import declarators_of, function_layer, layers
from gon_server.cuda_c.edits import Edit
from gon_server.cuda_c.expressions import is_indirect, space_in
from gon_server.cuda_c.functions import Functions
from gon_server.cuda_c.hidden import Need, Placed
from gon_server.cuda_c.instances import Instance
from gon_server.cuda_c.layout import Pointer, Reference
from gon_server.cuda_c.refuse import CASTS
from gon_server.cuda_c.signatures import type_of_param
from gon_server.cuda_c.spaces import Clone, Spaces, is_place
from gon_server.cuda_c.spell import PARAMS, counts_text, shape_of, size_check, spell
from gon_server.cuda_c.symbols import Kind, Symbol
from gon_server.cuda_c.target import HiddenKind, KernelTranslation
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Bound

_HEAD: Final = "static inline __attribute__((overloadable)) "
_WORDS: Final = re.compile(r"\b(?:static|inline|constexpr)\b")


class CFunctions(Functions):
    """Edits every function of a program, and emits kernels and clones, in C."""

    spaces: Spaces

    # What is handed down --------------------------------------------------------------------------
    def _parameter(self, need: Need) -> str:
        if isinstance(need, HiddenKind):
            return "".join(PARAMS[need])
        text, counts = self._shared_type(need)
        return _pointer(f"local {text}", self._hoisted(need), counts)

    def _alias(self, symbol: Symbol, bound: Mapping[Symbol, Bound]) -> str:
        if symbol.kind is Kind.DYNAMIC:
            return super()._alias(symbol, bound)
        name = self._own(symbol)
        if symbol.kind is Kind.VARIABLE:
            variable = self._variables.by_symbol[symbol]
            element, shape = shape_of(variable.type)
            counts = tuple(str(count) for count in shape)
            check = size_check(self._type_text(symbol), element)
            const = "const " if self._is_const(symbol) else ""
            kind = f"global {const}{self._type_text(symbol)}"
            where = f"(gon_globals + {variable.offset})"
            return f"{_pointer(kind, name, counts)} = ({_pointer(kind, '', counts)}){where};{check}"
        place = self._hidden.own_place(symbol)
        text, counts = self._shared_type(self._placed(place, bound))
        return f"{_pointer(f'local {text}', name, counts)} = {self._hoisted(place)};"

    def hoist(self, place: Placed, bound: Mapping[Symbol, Bound]) -> str:
        kind, counts = self._shared_type(self._placed(place, bound))
        shape = counts_text(counts) if counts else "[1]"
        return f" local {kind} {self._hoisted(place)}{shape}{self._alignment(place.symbol)};"

    def edit_uses(self) -> None:
        """Write uses of single variables that are handed down as what their pointers point to."""
        for node, symbol in self._names.symbols.items():
            if node is symbol.node or symbol.kind not in (Kind.VARIABLE, Kind.SHARED):
                continue
            in_place = symbol.top and symbol.owner is not None and symbol.owner.is_kernel
            if not in_place and not shape_of(self._types.of(symbol))[1]:
                self._edits.override(node, f"(*{self._own(symbol)})")

    # Clones ---------------------------------------------------------------------------------------
    def analyse(self, instances: list[Instance]) -> dict[Instance, Clone]:
        """Follow all pointers of a program."""
        self.spaces = Spaces(self._names, self._types, self._lines)
        return {
            instance: self.spaces.kernel(
                instance.function,
                self._types.under(instance.bound) if instance.bound else self._types,
            )
            for instance in instances
        }

    def kernel_of(self, instance: Instance, clone: Clone) -> tuple[str, KernelTranslation]:
        """Return a kernel's text, and what is told of it."""
        more: list[Edit] = []
        self._in_body(clone, more)
        return self.kernel(instance, more)

    def clone(self, clone: Clone, node: Node) -> str:
        """Return a clone's text: its definition, or its declaration where `node` is one."""
        function = clone.function
        more = [Edit(node.start, -3, node.start, _HEAD)]
        declarator = node.get("declarator")
        assert declarator is not None
        words = _WORDS.finditer(node.source, node.start, declarator.start)
        more.extend(Edit(found.start(), -1, found.end(), "") for found in words)
        if is_indirect(clone.returns):
            space = space_in(clone.returns) or "private"
            more.append(Edit(node.start, -2, node.start, f"{space} "))
            self._stars(declarator, more)
        layer = function_layer(declarator)
        assert layer is not None
        parameters = layer.get("parameters")
        params = [
            p
            for p in (parameters.children if parameters is not None else ())
            if p.kind.endswith("parameter_declaration")
        ]
        for param, space in zip(params, clone.spaces, strict=False):
            if space:
                more.append(Edit(param.start, -2, param.start, f"{space} "))
            own = param.get("declarator")
            if own is not None:
                self._stars(own, more)
                if param.get("default_value") is not None:
                    more.append(Edit(own.end, -1, param.end, ""))
        if node is function.node:
            self._in_body(clone, more)
        return self._edits.apply(node.start, node.end, more)

    def _stars(self, declarator: Node, more: list[Edit]) -> None:
        for layer in layers(declarator):
            if layer.kind == "reference_declarator":
                more.append(Edit(layer.start, -1, layer.start + 1, "*"))
            elif layer.kind == "function_declarator":
                return

    def _in_body(self, clone: Clone, more: list[Edit]) -> None:
        body = clone.function.body
        assert body is not None
        for node in body.walk():
            match node.kind:
                case "declaration":
                    self._local(clone, node, more)
                case "cast_expression":
                    self._cast(clone, node.get("type"), node.get("value"), more)
                case "call_expression":
                    self._call(clone, node, more)
                case "identifier":
                    self._use(clone, node, more)
                case "return_statement" if node.children and isinstance(clone.returns, Reference):
                    _wrap(node.children[0], "&(", ")", more)
                case _:
                    pass

    def _use(self, clone: Clone, node: Node, more: list[Edit]) -> None:
        symbol = self._names.symbols.get(node)
        if symbol is None or node is symbol.node:
            return
        if isinstance(clone.variables.get(symbol), Reference):
            more.append(Edit(node.start, -1, node.end, f"(*{self._own(symbol)})"))

    def _local(self, clone: Clone, node: Node, more: list[Edit]) -> None:
        declarators = declarators_of(node)
        wanted: list[str] = []
        automatic = any(c.kind == "placeholder_type_specifier" for c in node.children)
        for declarator in declarators:
            symbol = self._names.symbols.get(layers(declarator)[-1])
            if symbol is None or symbol.kind is not Kind.LOCAL or symbol not in clone.variables:
                return
            kind = clone.variables[symbol]
            wanted.append((space_in(kind) or "private") if is_indirect(kind) else "")
            self._reference(clone, symbol, declarator, more, automatic=automatic)
        if automatic or not any(wanted):
            return
        if len(set(wanted)) == 1:
            more.append(Edit(node.start, -2, node.start, f"{wanted[0]} "))
            return
        if node.parent is not None and node.parent.kind not in (
            "compound_statement",
            "case_statement",
        ):
            raise self._lines.unsupported(
                node.row, "pointers to different address spaces declared together"
            )
        head = self._edits.apply(node.start, declarators[0].start).strip()
        if wanted[0]:
            more.append(Edit(node.start, -2, node.start, f"{wanted[0]} "))
        for before, declarator, space in zip(
            declarators, declarators[1:], wanted[1:], strict=False
        ):
            text = f"; {space} {head} " if space else f"; {head} "
            more.append(Edit(before.end, -1, declarator.start, text))

    def _reference(
        self, clone: Clone, symbol: Symbol, declarator: Node, more: list[Edit], *, automatic: bool
    ) -> None:
        """`T &r = x` is `T *r = &(x)`; of a value that lies nowhere, `T r = x`."""
        kind = clone.variables[symbol]
        referring = isinstance(kind, Reference)
        for layer in layers(declarator):
            if layer.kind == "reference_declarator":
                star = "*" if referring and not automatic else " "
                more.append(Edit(layer.start, -1, layer.start + 1, star))
            elif layer.kind == "pointer_declarator" and automatic:
                more.append(Edit(layer.start, -1, layer.start + 1, " "))
        value = next((v for part in layers(declarator) if (v := part.get("value"))), None)
        if referring and value is not None:
            _wrap(value, "&(", ")", more)

    def _cast(
        self, clone: Clone, kind: Node | None, operand: Node | None, more: list[Edit]
    ) -> None:
        if kind is None or operand is None:
            return
        target = clone.types.described(kind)
        if isinstance(target, Reference):
            raise self._lines.unsupported(kind.row, "a cast to a reference")
        if not isinstance(target, Pointer):
            return
        found = clone.expressions.value_of(operand)
        space = space_in(found)
        if not isinstance(found, Pointer) or not space:
            if operand.kind in ("number_literal", "null"):
                return
            raise self._lines.unsupported(
                kind.row, f"({kind.text}): where this pointer points to is not known"
            )
        more.append(Edit(kind.start, -2, kind.start, f"{space} "))

    def _call(self, clone: Clone, node: Node, more: list[Edit]) -> None:
        function, arguments = node.get("function"), node.get("arguments")
        if function is None or arguments is None:
            return
        if function.kind == "template_function":
            name, listed = function.get("name"), function.get("arguments")
            if name is not None and listed is not None and name.text in CASTS:
                self._cast(clone, listed.children[0], arguments.children[0], more)
            return
        called = clone.calls.get(node)
        if called is None:
            return
        if isinstance(called.returns, Reference):
            _wrap(node, "(*", ")", more)
        given = arguments.children
        for param, argument in zip(called.function.params, given, strict=False):
            if isinstance(type_of_param(param, self._types), Reference):
                self._refer(argument, param, more)
        missing = called.function.params[len(given) :]
        if missing:
            values = [self._default(param) for param in missing]
            comma = ", " if given or self._hidden.of(called.function).needs else ""
            more.append(Edit(arguments.end - 1, -1, arguments.end - 1, comma + ", ".join(values)))

    def _refer(self, argument: Node, param: Node, more: list[Edit]) -> None:
        if is_place(argument):
            _wrap(argument, "&(", ")", more)
            return
        kind = type_of_param(param, self._types)
        text = spell(kind.to, self._renamed) if isinstance(kind, Reference) else None
        if text is None:
            raise self._lines.unsupported(argument.row, f"a reference to {argument.text[:40]!r}")
        _wrap(argument, f"(private {text}[1]){{", "}", more)

    def _default(self, param: Node) -> str:
        value = param.get("default_value")
        assert value is not None
        return self._edits.apply(value.start, value.end)


def _pointer(kind: str, name: str, counts: tuple[str, ...]) -> str:
    """Return the declaration of a pointer to the first element of an array, or to one variable."""
    if len(counts) > 1:
        return f"{kind} (*{name}){counts_text(counts[1:])}"
    return f"{kind} *{name}"


def _wrap(node: Node, before: str, after: str, more: list[Edit]) -> None:
    more.append(Edit(node.start, -4, node.start, before))
    more.append(Edit(node.end, 1 << 40, node.end, after))
