"""All cases of the collection, and what a source needs to be compiled for all of them."""

from __future__ import annotations

from tests.kernels import (
    cases_basics,
    cases_dense,
    cases_grids,
    cases_images,
    cases_language,
    cases_learning,
    cases_numbers,
    cases_random,
    cases_sorting,
    cases_sparse,
    cases_variables,
    cases_warps,
)
from tests.kernels.case import Case, Source

CASES: tuple[Case, ...] = (
    *cases_basics.CASES,
    *cases_dense.CASES,
    *cases_grids.CASES,
    *cases_images.CASES,
    *cases_sorting.CASES,
    *cases_sparse.CASES,
    *cases_learning.CASES,
    *cases_random.CASES,
    *cases_numbers.CASES,
    *cases_language.CASES,
    *cases_variables.CASES,
    *cases_warps.CASES,
)

SOURCES: tuple[Source, ...] = tuple(dict.fromkeys(case.source for case in CASES))


def names_of(source: Source) -> tuple[str, ...]:
    """Return the name expressions that the cases of a source ask for."""
    kernels = (kernel for case in CASES if case.source == source for kernel in case.kernels)
    return tuple(dict.fromkeys(kernel for kernel in kernels if "<" in kernel))


def kernels_of(source: Source) -> set[str]:
    """Return every kernel of a source that a case launches."""
    return {kernel for case in CASES if case.source == source for kernel in case.kernels}


def table() -> list[str]:
    """Return the table of README.md: a row for each case."""
    rows = ["| source | kernels | subject | needs |", "|---|---|---|---|"]
    for case in CASES:
        kernels = ", ".join(f"`{kernel}`" for kernel in case.kernels)
        needs = ", ".join(sorted(feature.value for feature in case.source.needs))
        rows.append(f"| {case.source.file} | {kernels} | {case.subject} | {needs} |")
    return rows
