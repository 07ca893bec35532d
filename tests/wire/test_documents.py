"""docs/WIRE.md says what the table of ops says."""

from __future__ import annotations

from pathlib import Path

from gon.wire.frame import Kind
from gon.wire.ops import TABLE
from gon.wire.versions import STEPS, VERSION_MAX

DOCUMENT = (Path(__file__).parents[2] / "docs" / "WIRE.md").read_text()


def test_every_op_stands_in_the_document() -> None:
    for row in TABLE:
        fields = ", ".join(row.op.__struct_fields__)
        reply = row.reply or "–"
        assert f"| {row.number} | {row.name} | {fields} | {reply} | {row.since} |" in DOCUMENT
    table = DOCUMENT[DOCUMENT.index("| number | op |") :].partition("\n\n")[0]
    assert table.count("\n| ") == len(TABLE)


def test_the_document_names_the_ops_that_carry_contents() -> None:
    *some, last = (str(row.number) for row in TABLE if row.content)
    assert f"Ops that carry contents, {', '.join(some)} and {last}, are not remembered" in DOCUMENT


def test_every_version_stands_in_the_document() -> None:
    assert f"Version {VERSION_MAX} " in DOCUMENT
    for step in STEPS:
        assert f"| {step.version} | {step.date} | {step.brought} |" in DOCUMENT


def test_every_kind_of_frame_stands_in_the_document() -> None:
    for kind in Kind:
        assert f"{int(kind)} {kind.name}" in DOCUMENT
