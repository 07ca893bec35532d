"""What functions need besides their own parameters: module variables, shared memory, room for
warps. OpenCL has these in kernels only, so they are handed down from there, call by call.

Functions of one name need the same, so that every call hands over the same whichever overload it
means.

Rules: pure. Recursion is refused here; so the calls below a kernel are finite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from gon.limits import NESTING_MAX
from gon_server.cuda_c.builtins import BUILTINS
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Function, Kind, Names, Symbol
from gon_server.cuda_c.target import HiddenKind
from gon_server.cuda_c.tree import Node


@dataclass(frozen=True, slots=True)
class Placed:
    """Shared memory that a function declares: one for each instance of a function template, whose
    arguments are `given` as the function at hand spells them.
    """

    symbol: Symbol
    given: tuple[str, ...] = ()


# What is handed down: one of the kinds, or shared memory that a function declares.
Need: TypeAlias = HiddenKind | Placed
# Returns what the parameters of a callee's template are in a call, by their names.
Bind: TypeAlias = Callable[[Function, Node], Mapping[str, str]]

_NAME: Final = re.compile(r"[A-Za-z_]\w*")
ORDER: Final = (HiddenKind.SHARED, HiddenKind.GLOBALS, HiddenKind.WARPS)


def key_of(function: Function) -> str:
    """Return the name its calls have; a leading dot is a member function's."""
    return f".{function.name}" if function.struct is not None else function.name


@dataclass(frozen=True, slots=True)
class Reach:
    """What a function needs, in the order it is handed over, every built-in it may come to, and of
    these the members of cooperative groups.
    """

    needs: tuple[Need, ...]
    builtins: frozenset[str]
    groups: frozenset[str]


class Hidden:
    """Works out the reach of every function of a program."""

    def __init__(
        self, names: Names, lines: Lines, bind: Bind, needs_warps: Callable[[str], bool]
    ) -> None:
        self._names = names
        self._lines = lines
        self._bind = bind
        self._needs_warps = needs_warps
        self._by_key: dict[str, list[Function]] = {}
        for function in names.functions:
            self._by_key.setdefault(key_of(function), []).append(function)
        self._reach: dict[str, Reach] = {}
        self._open: list[str] = []
        for function in names.functions:
            reach = self.of(function)
            if reach.needs and function.is_operator and not function.is_kernel:
                raise lines.unsupported(
                    function.node.row,
                    f"{function.name} uses module variables or shared memory: not possible in "
                    "operators and constructors",
                )

    def of(self, function: Function) -> Reach:
        return self.of_key(key_of(function))

    def of_key(self, key: str) -> Reach:
        """Return the reach of the functions that calls of this key may mean."""
        if key in self._reach:
            return self._reach[key]
        functions = self._by_key.get(key, [])
        if key in self._open:
            row = functions[0].node.row
            circle = " → ".join([*self._open[self._open.index(key) :], key])
            raise self._lines.unsupported(row, f"recursion ({circle.replace('.', '')})")
        if len(self._open) >= NESTING_MAX:
            raise self._lines.unsupported(
                functions[0].node.row if functions else 0,
                f"functions call each other more than {NESTING_MAX} deep",
            )
        self._open.append(key)
        needs: set[Need] = set()
        builtins: set[str] = set()
        groups: set[str] = set()
        for function in functions:
            needs.update(self._own(function))
            builtins.update(function.builtins)
            groups.update(function.groups)
            for called, call in function.calls:
                if called in BUILTINS and called in self._open:
                    continue  # an overload of CUDA's own, not of this one
                below = self.of_key(called)
                needs.update(self.lifted(called, call))
                builtins.update(below.builtins)
                groups.update(below.groups)
        self._open.pop()
        self._reach[key] = Reach(in_order(needs), frozenset(builtins), frozenset(groups))
        return self._reach[key]

    def lifted(self, key: str, call: Node) -> tuple[Need, ...]:
        """Return what a call hands over, as the caller spells it."""
        needs = self.of_key(key).needs
        if not any(isinstance(need, Placed) and need.given for need in needs):
            return needs
        functions = self._by_key.get(key, [])
        if len({id(function.template) for function in functions if function.body}) != 1:
            raise self._lines.unsupported(
                call.row, f"{key}: overloads of a template that declares shared memory"
            )
        values = self._bind(functions[0], call)
        return tuple(
            Placed(need.symbol, tuple(replaced(text, values) for text in need.given))
            if isinstance(need, Placed)
            else need
            for need in needs
        )

    def own_place(self, symbol: Symbol) -> Placed:
        """Return shared memory as the function that declares it knows it."""
        owner = symbol.owner
        params = () if owner is None else self._names.template_params(owner)
        return Placed(symbol, tuple(param.name for param in params))

    def _own(self, function: Function) -> Iterable[Need]:
        for symbol in function.uses:
            if symbol.kind is Kind.VARIABLE:
                yield HiddenKind.GLOBALS
            elif symbol.kind is Kind.DYNAMIC:
                yield HiddenKind.SHARED
            elif not (function.is_kernel and symbol.top):
                yield self.own_place(symbol)
        if any(self._needs_warps(name) for name in function.builtins):
            yield HiddenKind.WARPS


def in_order(needs: set[Need]) -> tuple[Need, ...]:
    """Return needs in the order in which they are handed over."""
    kinds = {need for need in needs if isinstance(need, HiddenKind)}
    places = [need for need in needs if isinstance(need, Placed)]
    return (
        *(kind for kind in ORDER if kind in kinds),
        *sorted(places, key=_rank),
    )


def _rank(place: Placed) -> tuple[int, tuple[str, ...]]:
    return place.symbol.node.start, place.given


def replaced(text: str, values: Mapping[str, str]) -> str:
    """Return a text with names replaced by what they stand for."""
    return _NAME.sub(lambda found: values.get(found[0], found[0]), text)
