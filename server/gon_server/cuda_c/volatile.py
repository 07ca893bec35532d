"""Refuses the one use of `volatile` that is right on a GPU only: threads of a warp that read each
other's writes without a barrier, trusting to run in step. CUDA has not allowed it since Volta; here
it would give other results.

Taken is a volatile variable that is not written and then used again before the next barrier or
fence, in the order of the text, loops being run twice.

Rules: pure; errs on the side of refusing.
"""

from __future__ import annotations

from typing import Final

from gon_server.cuda_c.declarators import header_words
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Names, Symbol
from gon_server.cuda_c.tree import Node

_FENCES: Final = ("__syncthreads", "__syncwarp", "__threadfence")
_HIDING: Final = ("type_descriptor", "field_declaration", "type_definition", "alias_declaration")
_HIDDEN: Final = (
    "volatile: taken for variables and parameters only, not in casts, members, template arguments "
    "and names of types; threads of a warp do not run in step here: use __syncwarp or atomics"
)
# A loop is gone through twice, also within another.
_LOOPS_MAX: Final = 6
_LOOPS: Final = frozenset({"for_statement", "while_statement", "do_statement"})
_WRITES: Final = frozenset({"assignment_expression", "update_expression"})
_REASON: Final = (
    "volatile: {name} is written and used again without a barrier: threads of a warp do not run in "
    "step here (nor on GPUs since Volta); use __syncwarp, __syncthreads or atomics"
)
_SPIN: Final = "volatile: a loop that waits for another thread's write to {name} may never end here"


def check_volatile(root: Node, names: Names, lines: Lines) -> None:
    """Raise Unsupported for a function that trusts its warp to run in step, and for `volatile`
    where it is not followed: in a cast, a template's argument, a member, the name of a type.
    """
    for node in root.walk():
        if node.kind == "type_qualifier" and node.text == "volatile" and node.inside(*_HIDING):
            around = node.inside(*_HIDING, "parameter_list", "compound_statement")
            if around is not None and around.kind in _HIDING:
                raise lines.unsupported(node.row, _HIDDEN)
    found = {s for s in names.declared if "volatile" in header_words(s.decl)}
    if not found:
        return
    for function in names.functions:
        if function.body is not None:
            _Order(names, lines, found).visit(function.body)


class _Order:
    """Goes through a function in the order it runs; `written` is what no barrier has followed."""

    def __init__(self, names: Names, lines: Lines, watched: set[Symbol]) -> None:
        self._names = names
        self._lines = lines
        self._watched = watched
        self._written: dict[Symbol, str] = {}
        self._loops = 0

    def visit(self, node: Node) -> None:
        if node.kind in _LOOPS:
            self._loops += 1
            if self._loops > _LOOPS_MAX:
                what = f"volatile in a function with loops nested more than {_LOOPS_MAX} deep"
                raise self._lines.unsupported(node.row, what)
            self._check_spin(node)
            for _turn in range(2):
                self._parts(node)
            self._loops -= 1
        elif node.kind == "if_statement":
            self._either(node)
        elif node.kind in _WRITES:
            self._write(node)
        elif node.kind == "identifier":
            self._read(node)
        else:
            self._parts(node)
            if node.kind == "call_expression" and self._is_fence(node):
                self._written.clear()

    def _parts(self, node: Node) -> None:
        for child in node.children:
            self.visit(child)

    def _either(self, node: Node) -> None:
        condition, yes, no = (node.get(f) for f in ("condition", "consequence", "alternative"))
        if condition is not None:
            self.visit(condition)
        before = dict(self._written)
        if yes is not None:
            self.visit(yes)
        after, self._written = self._written, before
        if no is not None:
            self.visit(no)
        self._written |= after

    def _write(self, node: Node) -> None:
        left = node.get("left") or node.get("argument")
        right = node.get("right")
        if right is not None:
            self.visit(right)
        if left is None:
            return
        target = left
        while target.kind in ("subscript_expression", "pointer_expression", "field_expression"):
            below = target.get("argument")
            if below is None:
                break
            target = below
        for part in left.walk():
            if part.kind == "identifier" and part is not target:
                self._read(part)
        symbol = self._names.symbols.get(target)
        if symbol in self._watched:
            self._use(symbol, target)
            self._written[symbol] = left.text

    def _read(self, node: Node) -> None:
        symbol = self._names.symbols.get(node)
        if symbol in self._watched:
            self._use(symbol, node)

    def _use(self, symbol: Symbol, node: Node) -> None:
        if symbol in self._written:
            raise self._lines.unsupported(node.row, _REASON.format(name=symbol.name))

    def _is_fence(self, call: Node) -> bool:
        function = call.get("function")
        if function is None:
            return False
        member = function.get("field")
        return function.text.startswith(_FENCES) or (member is not None and member.text == "sync")

    def _check_spin(self, loop: Node) -> None:
        condition, body = loop.get("condition"), loop.get("body")
        if condition is None or loop.kind == "for_statement":
            return
        if body is not None and any(
            self._is_fence(n) for n in body.walk() if n.kind == "call_expression"
        ):
            return
        for part in condition.walk():
            symbol = self._names.symbols.get(part)
            if symbol in self._watched:
                raise self._lines.unsupported(part.row, _SPIN.format(name=symbol.name))
