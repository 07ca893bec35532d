"""What the demo compares with: that a wrong result is found, said, and ends in the exit status, and
that its references are those of plain SciPy and scikit-learn.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn.neighbors import KNeighborsClassifier  # pyright: ignore[reportMissingTypeStubs]

import gon
from gon_client.commands.demo import EXIT_DIFFERS, exit_status, show
from gon_client.demo import checks, packages
from gon_client.demo.record import Check, Measurement, Report, Score, Stage, Traffic
from gon_client.demo.workbench import Results

NOTHING = Traffic(0, 0, 0, 0)


class Predicts(Protocol):
    def predict(self, queries: packages.Bytes) -> packages.Bytes: ...


@pytest.fixture(scope="module")
def right() -> checks.References:
    return checks.references(packages.load_photograph()[:40, :50], packages.load_digits())


def only(right: checks.References, results: Results) -> Check:
    (check,) = right.checks(results)
    return check


def test_rounded_references_pass(right: checks.References) -> None:
    blurred, edges = (np.rint(real).astype(np.uint8) for real in (right.blurred, right.edges))
    assert only(right, Results(blurred=blurred)).passed
    assert only(right, Results(edges=edges)).passed
    assert only(right, Results(equalised=right.equalised)).passed
    assert only(right, Results(classes=right.classes)).passed
    assert only(right, Results(distances=right.distances.astype(np.int32))).passed


def test_one_wrong_element_is_found(right: checks.References) -> None:
    blurred = np.rint(right.blurred).astype(np.uint8)
    blurred[3, 4, 1] ^= 2
    check = only(right, Results(blurred=blurred))
    assert not check.passed
    assert 1.5 <= check.difference <= 2.5
    classes = right.classes.copy()
    classes[0] = (classes[0] + 1) % 10
    assert not only(right, Results(classes=classes)).passed


def test_another_shape_and_no_number_pass_nothing(right: checks.References) -> None:
    assert not only(right, Results(equalised=right.equalised[1:])).passed
    assert not Check("x", float("nan"), 1.0).passed


def report(*differences: float) -> Report:
    rows = [
        Measurement(Stage.BLUR, "tcp", 1.0, NOTHING, (Check("blur", difference, 0.5),))
        for difference in differences
    ]
    return Report(tuple(rows), (Score("tcp", 4, 3, 3, 4),), (Path("a.png"),), 1)


@pytest.mark.parametrize(
    ("found", "status", "says"),
    [
        (report(0.5, 0.1), 0, "agrees with its reference"),
        (report(0.5, 0.6), EXIT_DIFFERS, "differs from its reference"),
        (report(float("nan")), EXIT_DIFFERS, "differs from its reference"),
        (report(), EXIT_DIFFERS, "differs from its reference"),
    ],
    ids=["passed", "one failed", "no number", "nothing compared"],
)
def test_exit_status(found: Report, status: int, says: str) -> None:
    text = io.StringIO()
    show(found, Console(file=text, width=160))
    assert exit_status(found) == status
    assert says in text.getvalue()


def test_classes_are_those_of_the_plain_classifier_but_for_equally_near_samples() -> None:
    digits = packages.load_digits()
    distances = packages.sklearn_distances(digits.queries, digits.samples)
    classes = packages.sklearn_classes(distances, digits.labels, 5)
    plain = KNeighborsClassifier(5, algorithm="brute")
    plain.fit(digits.samples, digits.labels)  # pyright: ignore[reportUnknownMemberType]
    predicted = cast("Predicts", plain).predict(digits.queries)
    nearest = np.sort(distances, axis=1)
    clear = nearest[:, 4] < nearest[:, 5]
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(classes[clear], predicted[clear])


def test_the_photograph_is_the_package_own_or_a_file(tmp_path: Path) -> None:
    assert packages.load_photograph().shape == (512, 512, 3)
    Image.new("L", (5, 3), 7).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(
        packages.load_photograph(tmp_path / "grey.png"), np.full((3, 5, 3), 7)
    )
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(gon.InvalidArgument, match=r"text\.png cannot be read as a picture"):
        packages.load_photograph(tmp_path / "text.png")


def test_a_package_without_its_photograph_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PHOTOGRAPH", "none.png")
    with pytest.raises(gon.Unsupported, match=r"does not ship data/none\.png"):
        packages.load_photograph()
