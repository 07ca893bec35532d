"""Parameters of functions in C++ for OpenCL, where a pointer's address space is part of what it
points to: an array's parameter would be private, and a template's `T` would be `__local int`.

Rules: edits only. A reference to a constant becomes a value where nobody can tell.
"""

from __future__ import annotations

from typing import Final

from gon_server.cuda_c.declarators import inner, layers, name_node
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.symbols import Function, Kind, Names, Symbol
from gon_server.cuda_c.tree import Node

# A type without the address space that a template has found it in.
BARE_TEXT: Final = "".join((
    "template <class T> struct gon_bare_of { typedef T type; };\n",
    *(
        f"template <class T> struct gon_bare_of<{space} T> {{ typedef T type; }};\n"
        for space in ("__global", "__local", "__private", "__generic")
    ),
    "template <class T> using gon_bare = typename gon_bare_of<T>::type;\n",
))  # fmt: skip
_REFERRING: Final = frozenset({"reference_declarator", "pointer_declarator", "array_declarator"})


def settle_parameters(names: Names, edits: Edits) -> bool:
    """Edit the parameters of all functions but kernels; return whether BARE_TEXT is needed."""
    found = False
    for function in names.functions:
        if not function.is_kernel:
            found = _Parameters(names, edits, function).settle() or found
    return found


class _Parameters:
    """Edits one function."""

    def __init__(self, names: Names, edits: Edits, function: Function) -> None:
        self._names = names
        self._edits = edits
        self._function = function

    def settle(self) -> bool:
        bare: set[Symbol] = set()
        for param in self._function.params:
            declarator, kind = param.get("declarator"), param.get("type")
            if declarator is None or kind is None:
                continue
            symbol = self._names.symbols.get(kind)
            own = symbol is not None and symbol.kind is Kind.TYPE_PARAM
            self._array(declarator)
            if own and self._points(declarator):
                self._edits.insert(kind.start, "__generic ")
            elif own and symbol is not None and declarator.kind == "reference_declarator":
                if self._is_value(param):
                    self._edits.replace(declarator.start, declarator.start + 1, " ")
                else:
                    bare.add(symbol)
        return self._strip(bare)

    def _array(self, declarator: Node) -> None:
        """Write `T x[2][3]` as `T (*x)[3]`, which points to anywhere."""
        found = layers(declarator)
        if len(found) < 2 or found[-2].kind != "array_declarator":
            return
        name, first = found[-1], found[-2]
        more = len(found) > 2 and found[-3].kind == "array_declarator"
        self._edits.insert(name.start, "(*" if more else "*")
        self._edits.replace(name.end, first.end, ")" if more else "")

    def _points(self, declarator: Node) -> bool:
        """Return whether a declarator is a pointer to, or an array of, just its type."""
        below = inner(declarator)
        return (
            declarator.kind in ("pointer_declarator", "array_declarator")
            and below is not None
            and below is name_node(declarator)
        )

    def _is_value(self, param: Node) -> bool:
        """Return whether a reference may be a value as well: it is to a constant, nothing is
        written through other parameters, and nobody asks for its address.
        """
        body = self._function.body
        if body is None or not _is_const(param):
            return False
        for other in self._function.params:
            declarator = other.get("declarator")
            if declarator is None or (declarator.kind in _REFERRING and not _is_const(other)):
                return False
        return not any(n.kind == "pointer_expression" and n.text[0] == "&" for n in body.walk())

    def _strip(self, bare: set[Symbol]) -> bool:
        """Take the address space from some type parameters wherever they are no parameter's."""
        if not bare:
            return False
        listed = self._function.declarator.get("parameters")
        for node in self._function.node.walk():
            inside = listed is not None and listed.start <= node.start < listed.end
            if not inside and self._names.symbols.get(node) in bare:
                self._edits.insert(node.start, "gon_bare<")
                self._edits.insert(node.end, ">")
        return True


def _is_const(param: Node) -> bool:
    return any(c.kind == "type_qualifier" and c.text == "const" for c in param.children)
