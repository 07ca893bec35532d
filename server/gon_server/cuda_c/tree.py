"""The syntax tree of a preprocessed source: a plain view of what tree-sitter found.

Rules: the only module that knows the parser. Only named nodes are kept; what stands between them is
in the text. A tree is refused as a whole if any of it was not understood, or is nested deeper than
NESTING_MAX, so that whoever walks it may recurse.
"""

from __future__ import annotations

import re
from typing import Final

import tree_sitter
import tree_sitter_cuda

from gon.limits import NESTING_MAX
from gon_server.cuda_c.source import Lines

_LANGUAGE: Final = tree_sitter.Language(tree_sitter_cuda.language())
# What the parser would take much memory to see.
_TEMPLATES: Final = re.compile(rf"(?:\b\w++\s*+<\s*+){{{NESTING_MAX}}}")


class Node:
    """A named node: its kind, its place in the text, and its parts.

    `field` is its role in its parent ("" for none), `row` its line, counted from 0. `order` is the
    whole tree in the order of the text, the same list for all: a node and all below it stand there
    from `at` to before `after`.
    """

    __slots__ = (
        "after",
        "at",
        "children",
        "end",
        "field",
        "kind",
        "order",
        "parent",
        "row",
        "source",
        "start",
    )

    def __init__(
        self,
        kind: str,
        field: str,
        start: int,
        end: int,
        row: int,
        source: str,
        order: list[Node],
    ) -> None:
        self.kind = kind
        self.field = field
        self.start = start
        self.end = end
        self.row = row
        self.source = source
        self.parent: Node | None = None
        self.children: list[Node] = []
        self.order = order
        self.at = len(order)
        self.after = self.at + 1
        order.append(self)

    def __repr__(self) -> str:
        return f"Node({self.kind} {self.text[:40]!r} at row {self.row})"

    @property
    def text(self) -> str:
        return self.source[self.start : self.end]

    def get(self, field: str) -> Node | None:
        """Return the first part with that role."""
        for child in self.children:
            if child.field == field:
                return child
        return None

    def all(self, field: str) -> list[Node]:
        return [child for child in self.children if child.field == field]

    def child(self, kind: str) -> Node | None:
        """Return the first part of that kind."""
        for child in self.children:
            if child.kind == kind:
                return child
        return None

    def walk(self) -> list[Node]:
        """Return this node and all below it, in the order of the text."""
        return self.order[self.at : self.after]

    def inside(self, *kinds: str) -> Node | None:
        """Return the nearest node around this one that is of one of the kinds."""
        node = self.parent
        while node is not None and node.kind not in kinds:
            node = node.parent
        return node


def parse(text: str, lines: Lines) -> Node:
    """Return the tree of a source, ASCII only. Raises CompileError naming the first line that no
    CUDA C begins so.
    """
    if found := _TEMPLATES.search(text):
        row = text.count("\n", 0, found.start())
        raise lines.unsupported(row, f"the source is nested more than {NESTING_MAX} deep")
    tree = tree_sitter.Parser(_LANGUAGE).parse(text.encode("ascii"))
    if tree.root_node.has_error:
        raise _syntax_error(tree.root_node, text, lines)
    top = _copy(tree, text, lines)
    for node in reversed(top.order):  # those below a node come after it, the last child last
        if node.children:
            node.after = node.children[-1].after
    return top


def _copy(tree: tree_sitter.Tree, text: str, lines: Lines) -> Node:
    cursor, order = tree.walk(), list[Node]()
    top = _node(tree.root_node, "", text, order)
    above: list[Node | None] = [top]  # None: an unnamed node, whose parts are left out
    while True:
        if above[-1] is not None and cursor.goto_first_child():
            if len(above) > NESTING_MAX:
                row = above[-1].row
                raise lines.unsupported(row, f"the source is nested more than {NESTING_MAX} deep")
        else:
            above.pop()
            while not cursor.goto_next_sibling():
                if not above or not cursor.goto_parent():
                    return top
                above.pop()
            if not above:
                return top
        parent = above[-1]
        found = cursor.node
        if parent is None or found is None or not found.is_named:
            above.append(None)
            continue
        node = _node(found, cursor.field_name or "", text, order)
        node.parent = parent
        parent.children.append(node)
        above.append(node)


def _node(found: tree_sitter.Node, field: str, text: str, order: list[Node]) -> Node:
    row = found.start_point.row
    return Node(found.type, field, found.start_byte, found.end_byte, row, text, order)


def _syntax_error(root: tree_sitter.Node, text: str, lines: Lines) -> Exception:
    cursor = root.walk()
    while True:  # down to the first node that is wrong
        node = cursor.node
        assert node is not None
        if node.is_missing or node.type == "ERROR" or not node.children:
            break
        child = next((c for c in node.children if c.has_error or c.is_missing), None)
        if child is None:
            break
        cursor = child.walk()
    row = node.start_point.row
    if node.is_missing:
        return lines.wrong(row, f"syntax error: {node.type!r} is missing")
    found = text[node.start_byte : node.end_byte].strip().split("\n")[0][:60]
    return lines.wrong(row, f"syntax error near {found!r}")
