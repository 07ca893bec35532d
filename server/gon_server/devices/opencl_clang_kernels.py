"""The kernels of a program that is for clang: which are asked for, and the kernel that is put
around each.

A `__global__` function is an ordinary function there. The kernel around it has parameters of the
same types, by C++'s own deduction, and its template arguments say what a launch must know of them;
so its mangled name tells them, and needs no other way out of the compiler.

Rules: pure. The text of a program that comes into these lines has been through `guarded`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gon.errors import InvalidArgument
from gon_server.cuda_c.declarators import function_layer, header_words, layers, name_node
from gon_server.cuda_c.signatures import spelling
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.tree import Node
from gon_server.devices.opencl_clang_guard import guarded

# What the program and all that is made for it lies in.
NAMESPACE: Final = "gon_cuda"
_KERNEL: Final = re.compile(rf"_ZN\d+{NAMESPACE}\d+gon_kernel_(\d+)I(?:Lm\d+E|J|E)*?EEv")
_FACT: Final = re.compile(r"Lm(\d+)E")


@dataclass(frozen=True, slots=True)
class ClangKernel:
    """A kernel that is asked for: its name, the names and types of its parameters as they are
    spelled, how C++ refers to it, and an expression for the most threads of its blocks (0: any).
    """

    name: str
    params: tuple[tuple[str, str], ...]
    reference: str
    most: str


def asked_kernels(root: Node, names: tuple[str, ...], lines: Lines) -> tuple[ClangKernel, ...]:
    """Return each kernel that is no template, and each name expression.

    Raises Unsupported, InvalidArgument for a name that is no kernel's.
    """
    plain, templates = _kernels(root, lines)
    found: list[ClangKernel] = []
    for name, node in plain.items():
        bounds = node.child("launch_bounds")
        most = bounds.children[0].text if bounds is not None and bounds.children else "0"
        found.append(ClangKernel(name, _params(node, lines), _namespaces(node) + name, most))
    for asked in dict.fromkeys(names):
        path, opened, arguments = asked.strip().lstrip("& ").partition("<")
        name = path.strip().split("::")[-1]
        if opened and name in templates:
            node = templates[name]
            given, _words = guarded(arguments, lines)
            reference = f"{_namespaces(node)}{name}<{given}"
            found.append(ClangKernel(asked, _params(node, lines), reference, "0"))
        elif opened or name not in plain:
            raise InvalidArgument(f"name expression {asked!r}: there is no such kernel")
    return tuple(found)


def wrappers(kernels: tuple[ClangKernel, ...]) -> str:
    """Return the kernels that are put around those that are asked for."""
    out = ['#line 1 "kernels"\n']
    for number, kernel in enumerate(kernels):
        function, own = f"gon_function_{number}", f"gon_kernel_{number}"
        places = range(len(kernel.params))
        takes = ", ".join(f"gon_arg<{i}, {function}> gon_{i}" for i in places)
        passes = ", ".join(f"gon_{i}" for i in places)
        facts = [f"(ulong)({kernel.most})", *(f"gon_told<{i}, {function}>" for i in places)]
        out.append(
            f"using {function} = decltype(&{kernel.reference});\n"
            f"static_assert(gon_signature<{function}>::count == {len(places)});\n"
            f"template <ulong... gon_facts> GON_KERNEL void {own}({takes}) "
            f"{{ {kernel.reference}({passes}); }}\n"
            f"template GON_KERNEL void {own}<{', '.join(facts)}>({takes});\n"
        )
    return "".join(out)


def facts_of(symbol: str) -> tuple[int, list[int]] | None:
    """Return the number of the kernel that a mangled name is put around, and the facts in it; None
    for other names.
    """
    found = _KERNEL.match(symbol)
    if found is None:
        return None
    return int(found[1]), [int(fact) for fact in _FACT.findall(found[0])]


def _kernels(root: Node, lines: Lines) -> tuple[dict[str, Node], dict[str, Node]]:
    """Return the definitions of kernels by name: those of no templates, and those of templates."""
    plain: dict[str, Node] = {}
    templates: dict[str, Node] = {}
    for node in root.walk():
        if node.kind != "function_definition" or "__global__" not in header_words(node):
            continue
        _layer, name = _head(node, lines)
        if node.inside("struct_specifier", "class_specifier") is not None:
            raise lines.unsupported(node.row, f"kernel {name.text} is a member")
        if name.text in plain or name.text in templates:
            raise lines.unsupported(node.row, f"kernel {name.text} is overloaded")
        (plain if node.inside("template_declaration") is None else templates)[name.text] = node
    return plain, templates


def _head(node: Node, lines: Lines) -> tuple[Node, Node]:
    declarator = node.get("declarator")
    layer = function_layer(declarator) if declarator is not None else None
    name = name_node(layer) if layer is not None else None
    if layer is None or name is None or name.kind != "identifier":
        raise lines.unsupported(node.row, "this definition of a kernel is not understood")
    return layer, name


def _params(node: Node, lines: Lines) -> tuple[tuple[str, str], ...]:
    layer, kernel = _head(node, lines)
    listed = layer.get("parameters")
    nodes = listed.children if listed is not None else []
    if len(nodes) == 1 and nodes[0].text == "void":
        return ()
    found: list[tuple[str, str]] = []
    for each in nodes:
        declarator = each.get("declarator")
        name = name_node(declarator) if declarator is not None else None
        packed = declarator is not None and any(
            part.kind == "variadic_declarator" for part in layers(declarator)
        )
        if name is None or packed or not each.kind.endswith("parameter_declaration"):
            raise lines.unsupported(
                each.row, f"kernel {kernel.text}: {each.text!r} is no parameter with a name"
            )
        found.append((name.text, spelling(each, name, {}, {})))
    return tuple(found)


def _namespaces(node: Node) -> str:
    path: list[str] = []
    outer = node.inside("namespace_definition")
    while outer is not None:
        name = outer.get("name")
        path[:0] = [name.text] if name is not None else []
        outer = outer.inside("namespace_definition")
    return "".join(f"{name}::" for name in path)
