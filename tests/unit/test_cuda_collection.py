"""The kernel collection itself: how large it is, what its README says, and that the ways in which
its cases compare find what is wrong.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.case import FOLDER
from tests.kernels.collection import CASES, SOURCES, kernels_of, table
from tests.kernels.philox import philox
from tests.kernels.trial import EPS, near, same, sum_error


def test_the_collection_is_large_and_its_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(len(kernels_of(source)) for source in SOURCES) >= 60


def test_every_source_has_cases() -> None:
    assert {path.name for path in FOLDER.glob("*.cu")} == {source.file for source in SOURCES}


def test_the_readme_lists_the_cases() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    assert text.endswith("\n".join(["", *table(), ""]))


def test_equal_means_equal() -> None:
    same([1, 2], np.array([1, 2]))
    with pytest.raises(AssertionError):
        same([1, 2], [1, 3])
    with pytest.raises(AssertionError):
        same([1.0, 1.0], [1.0])


def test_near_means_within_the_bound_and_infinite_where_the_reference_is() -> None:
    near([1.0, np.inf], [1.25, np.inf], atol=[0.25, 0])
    near([1.0], [1.25], rtol=0.2)
    for got in ([1.0, 2.0], [np.nan, np.inf], [1.25, -np.inf]):
        with pytest.raises(AssertionError):
            near(got, [1.25, np.inf], atol=0.2)
    with pytest.raises(AssertionError, match=r"at \(1, 0\) 4.0 is not 3.0"):
        near([[1.0], [4.0]], [[1.0], [3.0]], atol=0.5)
    with pytest.raises(AssertionError):
        near([1.0], [1.0, 1.0])


def test_the_bound_of_sums_holds_in_any_order_and_is_no_wide_gate() -> None:
    rng = np.random.default_rng(5)
    terms = rng.uniform(-1, 1, 1000).astype(np.float32)
    exact, bound = terms.sum(dtype=np.float64), sum_error(terms)
    for _ in range(5):
        total = np.float32(0)
        for term in rng.permutation(terms):
            total += term
        near(total, exact, atol=bound)
    assert bound < 1100 * 1000 * EPS


# The known answers of Random123's own tests (kat_vectors): counter, key, result.
ONES = 0xFFFFFFFF
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0,) * 6, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)
def test_philox_gives_the_known_answers(
    words: tuple[int, int, int, int, int, int], expected: tuple[int, ...]
) -> None:
    same(philox(*words), [expected])
