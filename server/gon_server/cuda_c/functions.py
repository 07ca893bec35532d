"""Functions for C++ for OpenCL: parameters that are handed down, kernels, and their instances.

Pointers need no address space there, and templates of functions are the compiler's; only kernels
are instantiated here, because OpenCL has no kernel templates.

Rules: edits of functions only; what is inside expressions is `rewrite`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gon_server.cuda_c.builtins import BUILTINS, hidden_bytes, needs_warps
from gon_server.cuda_c.declarators import layers
from gon_server.cuda_c.edits import Edit, Edits
from gon_server.cuda_c.hidden import Hidden, Need, Placed, replaced
from gon_server.cuda_c.instances import Instance
from gon_server.cuda_c.kernel_params import KernelParams
from gon_server.cuda_c.layout import Pointer
from gon_server.cuda_c.rewrite import Rewriter
from gon_server.cuda_c.signatures import max_block_of, params_of
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.spell import (
    PARAMS,
    counts_text,
    hoisted_name,
    shape_of,
    size_check,
    spell,
)
from gon_server.cuda_c.symbols import Function, Kind, Names, Symbol
from gon_server.cuda_c.target import Hidden as HiddenParam
from gon_server.cuda_c.target import HiddenKind, KernelTranslation, Target
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Bound, Types
from gon_server.cuda_c.variables import Variables

WARP_SIZE: Final = 32
# What of cooperative groups has to do with the block alone; all else of them with its warps.
_GROUPS: Final = frozenset({"cooperative_groups"})
_BLOCK_GROUPS: Final = frozenset(
    {"this_thread_block", "thread_block", "thread_group", "sync", "thread_rank", "group_size"}
)


class Functions:
    """Edits every function of a program, and emits its kernels."""

    def __init__(
        self,
        rewriter: Rewriter,
        target: Target,
        names: Names,
        types: Types,
        hidden: Hidden,
        variables: Variables,
        lines: Lines,
    ) -> None:
        self._renamed = rewriter.renamed
        self._edits: Edits = rewriter.edits
        self._target = target
        self._names = names
        self._types = types
        self._hidden = hidden
        self._variables = variables
        self._lines = lines
        self._numbers: dict[Placed, int] = {}
        self.symbols: set[str] = set()
        self._params = KernelParams(self._edits, self._renamed, lines)
        self.raw = self._params.raw

    # Shared memory --------------------------------------------------------------------------------
    def _hoisted(self, place: Placed) -> str:
        number = self._numbers.setdefault(place, len(self._numbers))
        return hoisted_name(place.symbol, number)

    def _shared_type(self, place: Placed) -> tuple[str, tuple[str, ...]]:
        """Return the element's type and the counts of shared memory, for use outside of where it is
        declared. Raises Unsupported.
        """
        symbol = place.symbol
        if place.given:
            return self._shared_of_template(place)
        element, counts = shape_of(self._types.of(symbol))
        text = spell(element, self._renamed)
        if text is None or not all(counts):
            raise self._lines.unsupported(
                symbol.node.row,
                f"shared {symbol.name}: its type or size is not known outside of this function",
            )
        return text, tuple(str(count) for count in counts)

    def _shared_of_template(self, place: Placed) -> tuple[str, tuple[str, ...]]:
        symbol, owner = place.symbol, place.symbol.owner
        kind = symbol.decl.get("type")
        if kind is None or kind.get("body") is not None or owner is None:
            raise self._lines.unsupported(symbol.node.row, f"shared {symbol.name}: unnamed type")
        params = self._names.template_params(owner)
        values = dict(zip(params, place.given, strict=True))
        counts: list[str] = []
        for layer in layers(symbol.declarator):
            size = layer.get("size")
            if layer.kind == "array_declarator" and size is not None:
                counts.insert(0, self._with_values(size, values))
            elif layer.kind not in ("array_declarator", "identifier", "parenthesized_declarator"):
                raise self._lines.unsupported(symbol.node.row, "pointers in shared memory")
        return self._with_values(kind, values), tuple(counts)

    def _with_values(self, node: Node, values: dict[Symbol, str]) -> str:
        """Return a text with a template's parameters replaced; its other names must be known
        everywhere.
        """
        more: list[Edit] = []
        for part in node.walk():
            symbol = self._names.symbols.get(part)
            if symbol is None:
                continue
            if symbol in values:
                more.append(Edit(part.start, -1, part.end, values[symbol]))
            elif symbol.owner is not None:
                value = self._types.constants.of_symbol(symbol)
                if value is None:
                    raise self._lines.unsupported(
                        part.row, f"{symbol.name} is not known outside of this function"
                    )
                more.append(Edit(part.start, -1, part.end, str(value.number)))
        return self._edits.apply(node.start, node.end, more)

    def _alignment(self, symbol: Symbol) -> str:
        parts = [c for c in symbol.decl.children if c.kind == "attribute_specifier"]
        return "".join(f" {part.text}" for part in parts)

    def _parameter(self, need: Need) -> str:
        if isinstance(need, HiddenKind):
            return "".join(PARAMS[need])
        text, counts = self._shared_type(need)
        if counts:
            return f"local {text} (&{self._hoisted(need)}){counts_text(counts)}"
        return f"local {text} &{self._hoisted(need)}"

    def _argument(self, need: Need) -> str:
        return PARAMS[need][1] if isinstance(need, HiddenKind) else self._hoisted(need)

    def _alias(self, symbol: Symbol, bound: Mapping[Symbol, Bound]) -> str:
        """Return the declaration by which a function knows a variable that is handed down; `bound`
        are the bindings of a kernel template.
        """
        if symbol.kind is Kind.DYNAMIC:
            element, _counts = shape_of(self._types.of(symbol))
            text = self._with_values(self._type_node(symbol), _codes(bound))
            if isinstance(element, Pointer):
                raise self._lines.unsupported(symbol.node.row, "pointers in shared memory")
            return f"local {text} *{self._own(symbol)} = (local {text} *)gon_shared;"
        if symbol.kind is Kind.VARIABLE:
            variable = self._variables.by_symbol[symbol]
            text = self._type_text(symbol)
            const = "const " if self._is_const(symbol) else ""
            element, numbers = shape_of(variable.type)
            shape, check = counts_text(numbers), size_check(text, element)
            where = f"(gon_globals + {variable.offset})"
            name = self._own(symbol)
            if shape:
                kind = f"global {const}{text} (&{name}){shape}"
                return f"{kind} = *(global {const}{text} (*){shape}){where};{check}"
            return f"global {const}{text} &{name} = *(global {const}{text} *){where};{check}"
        place = self._hidden.own_place(symbol)
        text, counts = self._shared_type(self._placed(place, bound))
        target = (
            f"(&{self._own(symbol)}){counts_text(counts)}" if counts else f"&{self._own(symbol)}"
        )
        return f"local {text} {target} = {self._hoisted(place)};"

    def _own(self, symbol: Symbol) -> str:
        return self._renamed.get(symbol.name, symbol.name)

    def _is_const(self, symbol: Symbol) -> bool:
        return any(c.kind == "type_qualifier" and c.text == "const" for c in symbol.decl.children)

    def _placed(self, place: Placed, bound: Mapping[Symbol, Bound]) -> Placed:
        """Return shared memory as an instance of a kernel template has it."""
        values = {symbol.name: code for symbol, code in _codes(bound).items()}
        return Placed(place.symbol, tuple(replaced(text, values) for text in place.given))

    def _type_node(self, symbol: Symbol) -> Node:
        kind = symbol.decl.get("type")
        if kind is None:
            raise self._lines.unsupported(symbol.node.row, f"{symbol.name} has no type")
        return kind

    def _type_text(self, symbol: Symbol) -> str:
        kind = self._type_node(symbol)
        if kind.get("body") is not None:
            name = kind.get("name")
            if name is None:
                raise self._lines.unsupported(symbol.node.row, f"{symbol.name}: unnamed structure")
            return self._renamed.get(name.text, name.text)
        return self._edits.apply(kind.start, kind.end)

    # Every function -------------------------------------------------------------------------------
    def edit(self) -> None:
        """Make the edits of all functions, calls and shared memory but those of one instance."""
        for function in self._names.functions:
            needs = self._hidden.of(function).needs
            if not function.is_kernel and needs:
                self._hand_down(function, needs)
            self._edit_calls(function)
            if function.body is not None:
                self._edit_body(function)
        for symbol in self._names.variables:
            self._remove(symbol)

    def _hand_down(self, function: Function, needs: tuple[Need, ...]) -> None:
        parameters = function.declarator.get("parameters")
        assert parameters is not None
        text = ", ".join(self._parameter(need) for need in needs)
        if function.params:
            self._edits.insert(parameters.start + 1, f"{text}, ")
        else:
            self._edits.put(parameters, f"({text})")

    def _edit_calls(self, function: Function) -> None:
        for key, call in function.calls:
            needs = self._hidden.lifted(key, call)
            arguments = call.get("arguments")
            if not needs or arguments is None:
                continue
            text = ", ".join(self._argument(need) for need in needs)
            comma = ", " if arguments.children else ""
            self._edits.insert(arguments.start + 1, text + comma)

    def _edit_body(self, function: Function) -> None:
        body = function.body
        assert body is not None
        types = self._types
        aliases = [self._alias(symbol, {}) for symbol in function.uses if symbol.owner is None]
        if aliases:
            self._edits.insert(body.start + 1, " " + " ".join(aliases))
        done: set[Node] = set()
        for symbol in function.shared:
            if symbol.decl in done:
                continue
            done.add(symbol.decl)
            if isinstance(shape_of(types.of(symbol))[0], Pointer):
                raise self._lines.unsupported(symbol.node.row, "pointers in shared memory")
            if symbol.kind is Kind.SHARED and function.is_kernel and symbol.top:
                word = next(c for c in symbol.decl.children if c.text == "__shared__")
                self._edits.put(word, "local")
                for part in symbol.decl.children:
                    if part.kind == "storage_class_specifier":
                        self._edits.blank(part.start, part.end)
            elif function.template is None or not function.is_kernel:
                same = [s for s in function.shared if s.decl is symbol.decl]
                self._edits.put(symbol.decl, " ".join(self._alias(s, {}) for s in same))

    def _remove(self, symbol: Symbol) -> None:
        kind = symbol.decl.get("type")
        if kind is not None and kind.get("body") is not None:  # struct S { … } variable;
            self._edits.blank(symbol.decl.start, kind.start)
            self._edits.blank(kind.end, symbol.decl.end - 1)
        else:
            self._edits.blank(symbol.decl.start, symbol.decl.end)

    # Kernels --------------------------------------------------------------------------------------
    def hoist(self, place: Placed, bound: Mapping[Symbol, Bound]) -> str:
        """Return the declaration in a kernel of shared memory that a function below it declares."""
        kind, counts = self._shared_type(self._placed(place, bound))
        shape, align = counts_text(counts), self._alignment(place.symbol)
        return f" local {kind} {self._hoisted(place)}{shape}{align};"

    def kernel(self, instance: Instance, more: list[Edit]) -> tuple[str, KernelTranslation]:
        """Return an instance's text, with `more` edits, and what is told of it."""
        function = instance.function
        types = self._types.under(instance.bound) if instance.bound else self._types
        reach = self._hidden.of(function)
        symbol = self._symbol_for(instance)
        self._bind(function, instance.bound, more)
        kinds = [need for need in reach.needs if isinstance(need, HiddenKind)]
        top = self._params.edit(function, types, more)
        places = [need for need in reach.needs if isinstance(need, Placed)]
        top.extend(self.hoist(place, instance.bound) for place in places)
        self._add_params(function, kinds, more)
        assert function.body is not None
        if top:
            more.append(Edit(function.body.start + 1, -1, function.body.start + 1, "".join(top)))
        for shared in function.shared if function.template is not None else ():
            if not (shared.kind is Kind.SHARED and shared.top):
                self._alias_once(function, shared, instance.bound, more)
        more.append(Edit(function.name_node.start, -1, function.name_node.end, symbol))
        used = reach.builtins & BUILTINS.keys()
        warps = bool(reach.groups - _BLOCK_GROUPS) or needs_warps(used - _GROUPS, self._target)
        head = f"__attribute__((intel_reqd_sub_group_size({WARP_SIZE}))) " if warps else ""
        more.append(_edit(function.node.start, f"{head}kernel "))
        text = self._edits.apply(function.node.start, function.node.end, more)
        room = {HiddenKind.WARPS: hidden_bytes(used, self._target)}
        translation = KernelTranslation(
            name=instance.name,
            symbol=symbol,
            params=params_of(function, types, self._lines),
            hidden=tuple(HiddenParam(kind, room.get(kind, 0)) for kind in kinds),
            max_block=max_block_of(function, types),
            warps=warps,
        )
        return text, translation

    def _add_params(self, function: Function, kinds: list[HiddenKind], more: list[Edit]) -> None:
        parameters = function.declarator.get("parameters")
        assert parameters is not None
        if not kinds:
            return
        text = ", ".join("".join(PARAMS[kind]) for kind in kinds)
        if function.params:
            more.append(_edit(parameters.end - 1, f", {text}"))
        else:
            more.append(Edit(parameters.start, -1, parameters.end, f"({text})"))

    def _alias_once(
        self,
        function: Function,
        shared: Symbol,
        bound: Mapping[Symbol, Bound],
        more: list[Edit],
    ) -> None:
        same = [s for s in function.shared if s.decl is shared.decl]
        if same[0] is shared:
            text = " ".join(self._alias(s, bound) for s in same)
            more.append(Edit(shared.decl.start, -1, shared.decl.end, text))

    def _symbol_for(self, instance: Instance) -> str:
        plain = re.sub(r"\W+", "_", instance.name.replace("*", "_p"))
        symbol = self._renamed.get(plain, plain)
        if instance.function.name in BUILTINS:
            symbol = f"gon_k_{symbol}"
        while symbol in self.symbols or (instance.bound and self._names.named(symbol)):
            symbol += "_"
        self.symbols.add(symbol)
        return symbol

    def _bind(self, function: Function, bound: Mapping[Symbol, Bound], more: list[Edit]) -> None:
        if not bound:
            return
        for node in function.node.walk():
            symbol = self._names.symbols.get(node)
            if symbol is not None and symbol in bound:
                more.append(Edit(node.start, -1, node.end, bound[symbol].code))


def _edit(place: int, text: str) -> Edit:
    return Edit(place, -1, place, text)


def _codes(bound: Mapping[Symbol, Bound]) -> dict[Symbol, str]:
    return {symbol: found.code for symbol, found in bound.items()}
