"""docs/CONTRACT.md names what holds each of its sentences, and that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gon.testing.devices import CHECKS

ROOT = Path(__file__).parents[2]
SENTENCES = re.split(
    r"^(?=\d+\. )|^##", (ROOT / "docs/CONTRACT.md").read_text(), flags=re.MULTILINE
)
NUMBERED = [sentence for sentence in SENTENCES if re.match(r"\d+\. ", sentence)]
TEST = re.compile(r"`(tests/[\w/.]+)(?:::(\w+))?`")
CHECK = re.compile(r"`check_device: (\w+)`")


def test_sentences_are_numbered_in_order() -> None:
    assert [int(each.partition(".")[0]) for each in NUMBERED] == [*range(1, len(NUMBERED) + 1)]
    assert NUMBERED


@pytest.mark.parametrize("sentence", NUMBERED, ids=lambda each: each.partition(".")[0])
def test_a_sentence_names_what_holds_it(sentence: str) -> None:
    tests, checks = TEST.findall(sentence), CHECK.findall(sentence)
    assert tests or checks
    assert set(checks) <= {check.name for check in CHECKS}
    for path, name in tests:
        assert (ROOT / path).exists(), path
        if name:
            assert f"def {name}(" in (ROOT / path).read_text(), name
