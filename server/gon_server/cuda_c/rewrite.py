"""Rewrites a program's text, name by name and word by word, into the language of the unit.

What is the same in both languages stands here; parameters, kernels and clones are `kernels`'.

Rules: edits only, never a new text from a tree, so that what is compiled is what the user wrote.
"""

from __future__ import annotations

import re
from typing import Final

from gon_server.cuda_c.builtins import BUILTINS, missing
from gon_server.cuda_c.builtins_printf import opencl_format
from gon_server.cuda_c.edits import Edits
from gon_server.cuda_c.opencl_names import is_reserved
from gon_server.cuda_c.refuse import CASTS
from gon_server.cuda_c.source import Lines
from gon_server.cuda_c.symbols import Kind, Names
from gon_server.cuda_c.target import Dialect, Target
from gon_server.cuda_c.tree import Node

_NAME_KINDS: Final = frozenset(
    {
        "identifier",
        "type_identifier",
        "field_identifier",
        "namespace_identifier",
        "statement_identifier",
    }
)
_TAKES_STRING: Final = frozenset(
    {
        "argument_list",
        "linkage_specification",
        "static_assert_declaration",
        "initializer_list",
        "subscript_expression",
        "sizeof_expression",
        "attribute",
    }
)
_QUALIFIER: Final = re.compile(
    r"\b(?:__global__|__device__|__host__|__forceinline__|__noinline__|__constant__)\b"
)


class Rewriter:
    """Makes the edits that every part of a program needs, once."""

    def __init__(self, names: Names, target: Target, lines: Lines, edits: Edits) -> None:
        self.names = names
        self.edits = edits
        self._target = target
        self._lines = lines
        self.renamed = self._renames()
        self._members = {s.name for s in names.declared if s.kind is Kind.MEMBER}

    def _renames(self) -> dict[str, str]:
        """Return the program's names that must be others, and what they are then."""
        clashing = {s.name for s in self.names.declared if is_reserved(s.name)}
        clashing |= {label for label in self.names.labels if is_reserved(label)}
        clashing |= {f.name for f in self.names.functions if is_reserved(f.name)}
        clashing |= {
            s.name
            for s in self.names.declared
            if s.owner is None and s.name in BUILTINS and s.kind in (Kind.CONSTANT, Kind.TYPE)
        }
        taken = {symbol.name for symbol in self.names.declared}
        taken.update(function.name for function in self.names.functions)
        heads = {name: "u" if name[:4].lower() == "gon_" else "" for name in clashing}
        suffix = "_"
        while any(heads[name] + name + suffix in taken for name in clashing):
            suffix += "_"
        return {name: heads[name] + name + suffix for name in clashing}

    def run(self, root: Node) -> None:
        """Edit the whole program. Raises Unsupported for what the unit has not."""
        for node in root.walk():
            match node.kind:
                case kind if kind in _NAME_KINDS:
                    self._name(node)
                case "sized_type_specifier":
                    if "long" in node.text:
                        self.edits.put(node, re.sub(r"\blong\s+long\b", "long", node.text))
                case "primitive_type":
                    if node.text == "double":
                        self._needs_fp64(node)
                case "number_literal":
                    self._number(node)
                case "type_qualifier" if node.text in ("__restrict__", "__restrict"):
                    self.edits.put(node, "__restrict")
                case "launch_bounds" | "linkage_specification":
                    self._linkage(node)
                case "string_literal":
                    self._string(node)
                case "null" if node.text == "NULL":
                    self.edits.put(node, "0L")  # of a pointer's size
                case "call_expression":
                    self._call(node)
                case "cast_expression":
                    self._cast(node)
                case "function_definition" | "declaration" | "field_declaration":
                    self._words(node)
                case _:
                    pass

    # Names and numbers ----------------------------------------------------------------------------
    def _name(self, node: Node) -> None:
        builtin = self.names.builtins.get(node)
        symbol = self.names.symbols.get(node)
        if builtin is not None:
            reason = missing(builtin, self._target)
            if reason:
                raise self._lines.unsupported(node.row, f"{builtin}: {reason}")
            start = node.start
            outer = node.parent
            while outer is not None and outer.kind in ("template_function", "template_type"):
                outer = outer.parent
            if outer is not None and outer.kind == "qualified_identifier":
                scope = outer.get("scope")
                if scope is not node and (scope is None or scope.text == "std"):
                    start = outer.start
            self.edits.replace(start, node.end, f"gon_{builtin}")
            return
        name = node.text
        if symbol is not None and symbol.kind is Kind.FUNCTION and name in BUILTINS:
            self.edits.put(node, f"gon_{name}")
        elif name not in self.renamed or (
            node.kind == "field_identifier" and name not in self._members
        ):
            return
        elif node.inside("attribute_specifier", "attribute") is None:
            self.edits.put(node, self.renamed[name])

    def _number(self, node: Node) -> None:
        text = node.text.lower()
        if text[:2] not in ("0x", "0b") and text[-1] != "f" and ("." in text or "e" in text):
            self._needs_fp64(node)
        if "ll" in text:
            self.edits.put(node, re.sub("(?i)ll", "L", node.text))

    def _string(self, node: Node) -> None:
        """A string lies in constant memory, where a pointer to anywhere does not reach."""
        place = node.parent
        while place is not None and place.kind in (
            "concatenated_string",
            "parenthesized_expression",
        ):
            place = place.parent
        plain = place is not None and place.kind in _TAKES_STRING
        if place is not None and place.kind == "init_declarator":
            declared = place.get("declarator")
            plain = declared is not None and declared.kind == "array_declarator"
        if not plain and self._target.dialect is Dialect.CPP:
            raise self._lines.unsupported(
                node.row, "a string that is no format of printf and no content of an array"
            )

    def _needs_fp64(self, node: Node) -> None:
        if not self._target.fp64:
            what = f"{node.text}: the unit has no double precision"
            raise self._lines.unsupported(node.row, what)

    # Words ----------------------------------------------------------------------------------------
    def _words(self, node: Node) -> None:
        """Take away what only CUDA says before a declaration."""
        declarator = node.get("declarator")
        end = declarator.start if declarator is not None else node.end
        body = node.get("body")
        end = min(end, body.start) if body is not None else end
        for found in _QUALIFIER.finditer(node.source, node.start, end):
            self.edits.blank(found.start(), found.end())

    def _linkage(self, node: Node) -> None:
        body = node.get("body")
        if node.kind == "launch_bounds":
            self.edits.blank(node.start, node.end)
        if body is None:
            return
        self.edits.blank(node.start, body.start)
        if body.kind == "declaration_list":
            self.edits.blank(body.start, body.start + 1)
            self.edits.blank(body.end - 1, body.end)

    # Calls ----------------------------------------------------------------------------------------
    def _call(self, node: Node) -> None:
        function, arguments = node.get("function"), node.get("arguments")
        if function is None or arguments is None:
            return
        if function.kind == "template_function":
            name, listed = function.get("name"), function.get("arguments")
            if name is not None and listed is not None and name.text in CASTS:
                reference = self._reference(listed.children[0] if listed.children else None)
                before, after = ("(*(", ")&") if reference else ("((", ")")
                self.edits.replace(function.start, listed.start + 1, before)
                self.edits.replace(listed.end - 1, listed.end, after)
                self.edits.insert(arguments.end, ")")
        elif self.names.builtins.get(function) == "printf":
            self._printf(node, arguments)

    def _reference(self, kind: Node | None) -> bool:
        """Make a cast's type that is a reference a pointer; return whether it was one."""
        declarator = kind.get("declarator") if kind is not None else None
        if declarator is None or declarator.kind != "abstract_reference_declarator":
            return False
        self.edits.replace(declarator.start, declarator.start + 1, "*")
        return True

    def _cast(self, node: Node) -> None:
        """`(T &)x` is `*(T *)&x`: compilers fail on the former."""
        value = node.get("value")
        if value is not None and self._reference(node.get("type")):
            if (
                value.kind == "assignment_expression"
            ):  # the parser takes (T &)x = y for (T &)(x = y)
                raise self._lines.unsupported(node.row, "an assignment to a cast reference")
            self.edits.insert(node.start, "(*")
            self.edits.insert(value.start, "&(")
            self.edits.insert(value.end, "))")

    def _printf(self, node: Node, arguments: Node) -> None:
        first = arguments.children[0] if arguments.children else None
        if first is None or first.kind not in ("string_literal", "concatenated_string"):
            raise self._lines.unsupported(node.row, "printf whose format is not written out")
        for part in first.walk():
            if part.kind != "string_literal":
                continue
            inside = part.text[1:-1]
            try:
                self.edits.put(part, f'"{opencl_format(inside)}"')
            except ValueError as error:
                raise self._lines.unsupported(part.row, f"printf: {error}") from error
