"""Finds what every name of a program stands for, and refuses what the translation does not take.

Rules: pure; one walk. A name that is neither the program's nor known of CUDA is refused here, so
that none can become a name of OpenCL by accident. What is valid CUDA and not taken is Unsupported,
what no CUDA compiler takes is CompileError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gon_server.cuda_c.declarators import function_layer, name_node
from gon_server.cuda_c.names_functions import FUNCTIONS
from gon_server.cuda_c.names_types import TYPES
from gon_server.cuda_c.names_uses import USES
from gon_server.cuda_c.names_variables import VARIABLES
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Kind, Names, Symbol
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.walk import Visitor, Walk

_VISITORS: Final[Mapping[str, Visitor]] = {**FUNCTIONS, **VARIABLES, **TYPES, **USES}
_OUTER: Final = frozenset(
    {"template_declaration", "linkage_specification", "declaration_list", "namespace_definition"}
)


def resolve(root: Node, lines: Lines) -> Names:
    """Resolve a whole program. Raises CompileError, Unsupported."""
    walk = Walk(lines, _VISITORS)
    _announce(walk, root)
    walk.visit(root)
    _check_defined(walk)
    return walk.names


def _check_defined(walk: Walk) -> None:
    """Raise CompileError for a function that is called and has no body anywhere."""
    defined = {f.name for f in walk.names.functions if f.body is not None}
    called = {key for f in walk.names.functions for key, _call in f.calls}
    for function in walk.names.functions:
        if function.name in called - defined:
            raise walk.lines.wrong(function.node.row, f"{function.name} is nowhere defined")


def _announce(walk: Walk, node: Node) -> None:
    """Declare every function outside of structures, so that its calls are found to be such."""
    for child in node.children:
        if child.kind in ("function_definition", "declaration"):
            declarator = child.get("declarator")
            layer = function_layer(declarator) if declarator is not None else None
            name = name_node(layer) if layer is not None else None
            if name is not None and name.kind == "identifier":
                known = Symbol(name.text, Kind.FUNCTION, name, child, child)
                walk.scopes[0].setdefault(name.text, known)
        elif child.kind in _OUTER:
            _announce(walk, child)
