"""Parameters of kernels: what OpenCL takes as such, and the user's own made of it.

A pointer is global; a structure comes as raw bytes, since a compiler may refuse one that holds a
bool or has member functions; a number comes under its plain name. A size that differs from what
the translation thinks does not compile, so that no argument is ever read askew.

Rules: edits of one kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gon_server.cuda_c.declarators import name_node
from gon_server.cuda_c.edits import Edit, Edits
from gon_server.cuda_c.layout import Pointer, Scalar, Struct, align_of, size_of
from gon_server.cuda_c.signatures import type_of_param
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.spell import scalar_name, size_check
from gon_server.cuda_c.symbols import Function
from gon_server.cuda_c.tree import Node
from gon_server.cuda_c.type_reader import Types

_C_WORDS: Final = frozenset(
    {"const", "unsigned", "signed", "char", "short", "int", "long", "float", "double"}
)
_RAW: Final = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong", 16: "ulong2"}


class KernelParams:
    """Edits the parameters of a program's kernels; `raw` are the types of bytes they need."""

    def __init__(self, edits: Edits, renamed: Mapping[str, str], lines: Lines) -> None:
        self._edits = edits
        self._renamed = renamed
        self._lines = lines
        self.raw: set[tuple[str, str, int]] = set()

    def edit(self, function: Function, types: Types, more: list[Edit]) -> list[str]:
        """Edit a kernel's own parameters; return what must stand first in its body.

        Raises Unsupported.
        """
        first: list[str] = []
        for node in function.params:
            kind = type_of_param(node, types)
            declarator = node.get("declarator")
            name = name_node(declarator) if declarator is not None else None
            if name is None or declarator is None:
                what = f"kernel {function.name}: a parameter without a name"
                raise self._lines.unsupported(node.row, what)
            if isinstance(kind, Pointer):
                more.append(Edit(node.start, -2, node.start, "global "))
            given = self._renamed.get(name.text, name.text)
            source = self._edits.apply(node.start, name.start, [e for e in more if e.number == -1])
            if isinstance(kind, Struct):
                raw = self._raw(node, given, kind)
                more.append(Edit(node.start, -2, node.end, f"{raw} gon_p_{given}"))
                first.append(f" {source}{given} = *({_bare(source)} *)&gon_p_{given};")
                first.append(size_check(given, kind))
            elif isinstance(kind, Scalar) and not _is_plain(source, kind):
                word = "uchar" if kind.kind == "b" else scalar_name(kind)
                more.append(Edit(node.start, -2, node.end, f"{word} gon_p_{given}"))
                first.append(f" {source}{given} = ({_bare(source)})gon_p_{given};")
                first.append(size_check(given, kind))
            elif node.get("default_value") is not None:
                more.append(Edit(declarator.end, -1, node.end, ""))
        return first

    def _raw(self, node: Node, given: str, kind: Struct) -> str:
        word = _RAW.get(align_of(kind))
        if word is None:
            what = f"parameter {given}: aligned at more than {max(_RAW)} bytes"
            raise self._lines.unsupported(node.row, what)
        count = size_of(kind) // align_of(kind)
        raw = f"gon_raw_{word}_{count}"
        self.raw.add((raw, word, count))
        return raw


def _is_plain(source: str, kind: Scalar) -> bool:
    """Return whether a value's type is spelled in C's own words, which any kernel takes."""
    words = source.split()
    return kind.kind != "b" and all(word in _C_WORDS for word in words)


def _bare(text: str) -> str:
    return " ".join(word for word in text.split() if word not in ("const", "volatile"))
