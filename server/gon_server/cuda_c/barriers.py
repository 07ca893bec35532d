"""Refuses kernels that some threads of a block leave before the others wait for each other.

On a GPU `__syncthreads` waits for the threads that have not returned; an OpenCL barrier is passed
by all threads of a block or gives anything. So a `return` that a barrier may follow is taken only
if all threads of a block leave there together.

A value is the same in all threads if it is worked out from nothing but such values: a location that
all of them read is none that another of them writes before the next barrier, or the program would
race.

Rules: pure; what is not understood counts as different from thread to thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.builtin import Kind as Meaning
from gon_server.cuda_c.builtins import BUILTINS
from gon_server.cuda_c.declarators import header_words
from gon_server.cuda_c.hidden import key_of
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Function, Kind, Names, Symbol
from gon_server.cuda_c.tree import Node

_VOTES: Final = frozenset({"__syncthreads_count", "__syncthreads_and", "__syncthreads_or"})
_BARRIERS: Final = _VOTES | {"__syncthreads"}
# Whose members may be barriers; which, is not looked into for functions that kernels call.
_GROUPS: Final = frozenset({"cooperative_groups"})
_LOOPS: Final = frozenset({"for_statement", "while_statement", "do_statement", "for_range_loop"})
_BRANCHES: Final = _LOOPS | {"if_statement", "switch_statement", "lambda_expression"}
# Values seldom need more than three passes to be followed; what needs more is not understood.
PASSES_MAX: Final = 16
_NO_VALUE: Final = frozenset({"type_descriptor", "sizeof_expression", "alignof_expression"})
_LEAVES: Final = frozenset(
    {"number_literal", "char_literal", "string_literal", "true", "false", "null"}
)
_PLAIN: Final = frozenset(
    {
        "parenthesized_expression", "binary_expression", "unary_expression", "cast_expression",
        "conditional_expression", "subscript_expression", "subscript_argument_list",
        "pointer_expression", "argument_list", "condition_clause", "comma_expression",
    }
)  # fmt: skip
_FIXED: Final = frozenset(
    {Kind.VARIABLE, Kind.CONSTANT, Kind.SHARED, Kind.DYNAMIC, Kind.ENUMERATOR, Kind.VALUE_PARAM}
)


def check_barriers(names: Names, lines: Lines) -> None:
    """Raise Unsupported for a kernel that a thread may leave while others will wait for it."""
    waiting: _Waiting | None = None
    for kernel in names.kernels:
        assert kernel.body is not None
        leaving = [n for n in kernel.body.walk() if _leaves(n, kernel)]
        if not leaving:
            continue
        waiting = waiting or _Waiting(names)
        barriers = _Barriers(kernel, waiting)
        leaving = [node for node in leaving if barriers.may_follow(node)]
        same = _Same(names, kernel) if leaving else None
        for node in leaving:
            if same is not None and not same.reaches(node):
                raise lines.unsupported(
                    node.row,
                    f"return before a barrier: threads of kernel {kernel.name} that leave here are "
                    "waited for on this unit (a GPU waits for the others only); let them skip the "
                    "work instead",
                )


def _leaves(node: Node, kernel: Function) -> bool:
    if node.kind != "return_statement" or node.inside("lambda_expression") is not None:
        return False
    body = kernel.body
    return body is None or node.parent is not body or body.children[-1] is not node


def _around(node: Node, kinds: frozenset[str]) -> Iterator[Node]:
    """Yield what of some kinds is around a node, from the inside out."""
    outer = node.parent
    while outer is not None:
        if outer.kind in kinds:
            yield outer
        outer = outer.parent


class _Barriers:
    """Where a kernel waits: a barrier may follow what stands before the last, or in a loop around
    one.
    """

    def __init__(self, kernel: Function, waiting: _Waiting) -> None:
        assert kernel.body is not None
        found = [node for node in kernel.body.walk() if waiting.at(node)]
        self._last = max((node.start for node in found), default=0)
        self._loops = {loop for node in found for loop in _around(node, _LOOPS)}

    def may_follow(self, node: Node) -> bool:
        return node.start < self._last or any(loop in self._loops for loop in _around(node, _LOOPS))


class _Waiting:
    """Which calls wait for the whole block; `_keys` are the program's functions that do, as
    `key_of` names them.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._keys: set[str] = set()
        before = -1
        while before != len(self._keys):  # calls are followed at most NESTING_MAX deep: see Hidden
            before = len(self._keys)
            self._keys.update(key_of(f) for f in names.functions if self._waits(f))

    def _waits(self, function: Function) -> bool:
        if function.body is None:
            return False
        called = {key for key, _call in function.calls}
        return (
            not (_BARRIERS | _GROUPS).isdisjoint(function.builtins)
            or not called.isdisjoint(self._keys)
            or ".sync" in called
        )

    def at(self, node: Node) -> bool:
        called = node.get("function") if node.kind == "call_expression" else None
        if called is None:
            return False
        if called.kind == "field_expression":
            member = called.get("field")
            return member is not None and f".{member.text}" in self._keys | {".sync"}
        leaf = [n for n in called.walk() if n.kind == "identifier"]
        return any(
            self._names.builtins.get(n) in _BARRIERS or n.text in self._keys | {"sync"}
            for n in leaf
        )


class _Same:
    """Which values are the same in all threads of a block."""

    def __init__(self, names: Names, kernel: Function) -> None:
        self._names = names
        self._kernel = kernel
        self._different: set[Symbol] = set()
        assert kernel.body is not None
        body = [*kernel.body.walk()]
        self._settled = False
        for _pass in range(PASSES_MAX):
            before = len(self._different)
            for node in body:
                self._changes(node)
            if before == len(self._different):
                self._settled = True
                break

    def reaches(self, node: Node) -> bool:
        """Return whether all threads come to a statement, or none does."""
        return self._settled and self._together(node)

    def _together(self, node: Node) -> bool:
        for around in _around(node, _BRANCHES):
            condition = around.get("condition")
            if around.kind in ("for_range_loop", "lambda_expression") or (
                condition is not None and not self.value(condition)
            ):
                return False
        return True

    def _changes(self, node: Node) -> None:
        match node.kind:
            case "init_declarator":
                self._set(node.get("declarator"), node.get("value"), node)
            case "assignment_expression":
                self._set(node.get("left"), node.get("right"), node)
            case "update_expression":
                self._set(node.get("argument"), None, node)
            case "for_range_loop":
                self._mark(node.get("declarator"))
            case "pointer_expression" if node.text[0] == "&":
                self._mark(node.get("argument"))
            case "call_expression":
                arguments = node.get("arguments")
                own = self._calls_own(node)
                for argument in arguments.children if arguments is not None and own else []:
                    self._mark(argument)
            case _:
                pass

    def _set(self, target: Node | None, value: Node | None, node: Node) -> None:
        if (value is not None and not self.value(value)) or not self._together(node):
            self._mark(target)

    def _mark(self, target: Node | None) -> None:
        """Take a variable for different; of an element, all of the array."""
        if target is None:
            return
        for node in target.walk():
            symbol = self._names.symbols.get(node)
            if symbol is not None and symbol.kind in (Kind.LOCAL, Kind.PARAM):
                self._different.add(symbol)
                return

    def value(self, node: Node) -> bool:
        """Return whether an expression is worth the same in all threads."""
        if node.kind in _LEAVES or node.kind in _NO_VALUE:
            return True
        if node.kind == "identifier":
            return self._name(node)
        if node.kind == "field_expression":
            argument = node.get("argument")
            return argument is not None and self.value(argument)
        if node.kind == "call_expression":
            return self._call(node)
        return node.kind in _PLAIN and all(self.value(child) for child in node.children)

    def _name(self, node: Node) -> bool:
        symbol = self._names.symbols.get(node)
        if symbol is None:
            name = self._names.builtins.get(node, "")
            return name != "threadIdx" and name in BUILTINS
        if "volatile" in header_words(symbol.decl):
            return False
        if symbol.kind in (Kind.LOCAL, Kind.PARAM):
            return symbol not in self._different
        return symbol.kind in _FIXED

    def _call(self, node: Node) -> bool:
        called, arguments = node.get("function"), node.get("arguments")
        if called is None or arguments is None:
            return False
        name = self._names.builtins.get(called, "")
        if name in _VOTES:
            return True
        builtin = BUILTINS.get(name)
        if called.kind != "primitive_type" and (
            builtin is None
            or builtin.kind is not Meaning.FUNCTION
            or builtin.warps
            or name.startswith("atomic")
        ):
            return False
        return self.value(arguments)

    def _calls_own(self, node: Node) -> bool:
        called = node.get("function")
        return called is not None and any(
            (s := self._names.symbols.get(n)) is not None and s.kind is Kind.FUNCTION
            for n in called.walk()
        )
