"""docs/WIRE.md says what the table of ops says."""

from __future__ import annotations

from pathlib import Path

from gon.wire.frame import Kind
from gon.wire.ops import TABLE

DOCUMENT = (Path(__file__).parents[2] / "docs" / "WIRE.md").read_text()


def test_every_op_stands_in_the_document() -> None:
    for row in TABLE:
        fields = ", ".join(row.op.__struct_fields__)
        reply = row.reply or "–"
        assert f"| {row.number} | {row.name} | {fields} | {reply} | {row.since} |" in DOCUMENT
    assert DOCUMENT.count("\n| ", DOCUMENT.index("| number | op |")) == len(TABLE)


def test_every_kind_of_frame_stands_in_the_document() -> None:
    for kind in Kind:
        assert f"{int(kind)} {kind.name}" in DOCUMENT
