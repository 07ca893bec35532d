"""Changes to a text by place, applied to any part of it: what is not changed stays as the user
wrote it, line by line.

Rules: pure. Changes never overlap; several insertions at one place come out in the order they were
made. A change that swallows line ends gives them back, so that lines keep their numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from gon_server.cuda_c.tree import Node


class Edit(NamedTuple):
    """Replace [start, end) by `text`; `number` orders edits at one place."""

    start: int
    number: int
    end: int
    text: str


def _rank(edit: Edit) -> tuple[int, bool, int, int]:
    """Order edits: at one place insertions first, then what replaces most."""
    return edit.start, edit.end > edit.start, -edit.end, edit.number


class Edits:
    """The changes to one text."""

    def __init__(self, source: str) -> None:
        self.source: Final = source
        self._edits: list[Edit] = []
        self._starts: list[int] = []

    def replace(self, start: int, end: int, text: str) -> None:
        lost = self.source.count("\n", start, end) - text.count("\n")
        self._edits.append(Edit(start, len(self._edits), end, text + "\n" * max(lost, 0)))
        self._starts.clear()

    def insert(self, place: int, text: str) -> None:
        self.replace(place, place, text)

    def directive(self, place: int, text: str) -> None:
        """Insert a line before all else at a place where a line begins."""
        self._edits.append(Edit(place, -(1 << 62), place, text))
        self._starts.clear()

    def put(self, node: Node, text: str) -> None:
        """Replace a node's text."""
        self.replace(node.start, node.end, text)

    def override(self, node: Node, text: str) -> None:
        """Replace a node's text, whatever else it is replaced by."""
        self._edits.append(Edit(node.start, -1, node.end, text))
        self._starts.clear()

    def blank(self, start: int, end: int) -> None:
        self.replace(start, end, "")

    def apply(self, start: int, end: int, more: Sequence[Edit] = ()) -> str:
        """Return the part [start, end) of the text with its changes, and with `more`."""
        if len(self._starts) != len(self._edits):
            self._edits.sort(key=_rank)
            self._starts = [edit.start for edit in self._edits]
        first = bisect_left(self._starts, start)
        chosen: Sequence[Edit] = self._edits[first : bisect_left(self._starts, end, first)]
        if more:
            within = [edit for edit in more if start <= edit.start < end]
            chosen = sorted([*chosen, *within], key=_rank)
        out: list[str] = []
        at = start
        for edit in chosen:
            if edit.start < at:  # inside of what was replaced as a whole
                continue
            out.append(self.source[at : edit.start])
            out.append(edit.text)
            at = edit.end
        out.append(self.source[at:end])
        return "".join(out)
