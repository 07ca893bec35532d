"""What a program declares: symbols, functions, and who uses what.

Rules: values and look-ups only; found by `names`, read by everything after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gon_server.cuda_c.tree import Node


class Kind(Enum):
    """What a name stands for."""

    LOCAL = "a variable of a function"
    PARAM = "a parameter"
    FUNCTION = "a function"
    VARIABLE = "a variable of the module"
    CONSTANT = "a constant outside functions"
    SHARED = "an array or variable in shared memory"
    DYNAMIC = "the dynamic shared memory"
    TYPE = "a type"
    ENUMERATOR = "an enumerator"
    TYPE_PARAM = "a type parameter of a template"
    VALUE_PARAM = "a value parameter of a template"
    MEMBER = "a member of a structure"
    NAMESPACE = "a namespace"


@dataclass(eq=False, slots=True)
class Symbol:
    """A declared name: `node` is the name where it is declared, `decl` the whole declaration,
    `declarator` its part of it. `owner` is the function it is in, None outside of functions;
    `top` whether it is declared in the outermost block of that function.
    """

    name: str
    kind: Kind
    node: Node
    decl: Node
    declarator: Node
    owner: Function | None = None
    top: bool = False


@dataclass(eq=False, slots=True)
class Function:
    """A function with a body, or only declared (`body` is None).

    `calls` are the calls in it of functions of the program, by name; `uses` the variables outside
    of it, and shared ones inside, that it names; `builtins` the names of CUDA it uses, `groups`
    those of cooperative groups.
    """

    name: str
    node: Node
    declarator: Node
    name_node: Node
    params: tuple[Node, ...]
    body: Node | None
    is_kernel: bool
    template: Node | None
    struct: Node | None
    calls: list[tuple[str, Node]] = field(default_factory=list[tuple[str, Node]])
    uses: list[Symbol] = field(default_factory=list[Symbol])
    builtins: dict[str, Node] = field(default_factory=dict[str, Node])
    groups: set[str] = field(default_factory=set[str])
    shared: list[Symbol] = field(default_factory=list[Symbol])
    returns: list[Node] = field(default_factory=list[Node])

    def __repr__(self) -> str:
        return f"Function({self.name})"

    @property
    def is_operator(self) -> bool:
        """Return whether it is called without its name: operators, constructors, destructors."""
        if self.name.startswith(("operator", "~")):
            return True
        name = self.struct.get("name") if self.struct else None
        return name is not None and name.text == self.name


@dataclass(eq=False, slots=True)
class Names:
    """Every name of a program, resolved.

    `symbols` says for a name's node what it stands for, `builtins` which name of CUDA it is.
    """

    functions: list[Function] = field(default_factory=list[Function])
    symbols: dict[Node, Symbol] = field(default_factory=dict[Node, Symbol])
    builtins: dict[Node, str] = field(default_factory=dict[Node, str])
    variables: list[Symbol] = field(default_factory=list[Symbol])
    declared: list[Symbol] = field(default_factory=list[Symbol])
    instantiated: list[Node] = field(default_factory=list[Node])
    labels: set[str] = field(default_factory=set[str])

    def template_params(self, function: Function) -> list[Symbol]:
        """Return the parameters of a function's template; none for a plain function, or one of
        parameters without a name.
        """
        listed = function.template.get("parameters") if function.template is not None else None
        found: list[Symbol] = []
        for param in listed.children if listed is not None else ():
            for node in param.walk():
                symbol = self.symbols.get(node)
                if symbol is not None and symbol.decl is param:
                    found.append(symbol)
                    break
        return found

    def named(self, name: str) -> list[Function]:
        return [function for function in self.functions if function.name == name]

    @property
    def kernels(self) -> list[Function]:
        return [f for f in self.functions if f.is_kernel and f.body is not None]
