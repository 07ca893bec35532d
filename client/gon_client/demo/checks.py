"""What the results must be, computed by SciPy and scikit-learn, and how far off they may be.

Tolerances: a byte holds a whole level, so a blurred or edge pixel may be half a level off the real
number, and a thousandth for the device's 32-bit arithmetic beside SciPy's 64-bit; everything else
is arithmetic in whole numbers and must be equal. Knows no device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gon_client.demo import packages
from gon_client.demo.arrays import Bytes, Reals
from gon_client.demo.digits import NEIGHBOURS
from gon_client.demo.packages import Digits
from gon_client.demo.pictures import SIGMA
from gon_client.demo.record import Check
from gon_client.demo.workbench import Results

ROUNDED_TOLERANCE = 0.501
EXACT = 0.0

Numbers: TypeAlias = NDArray[np.integer | np.floating]


@dataclass(frozen=True, slots=True)
class References:
    """The right answers; `blurred` and `edges` are real numbers before rounding to bytes."""

    blurred: Reals
    edges: Reals
    equalised: Bytes
    classes: Bytes
    distances: Reals

    def checks(self, results: Results) -> Iterator[Check]:
        """Compare each result that is there."""
        for name, got, right, tolerance in (
            ("blur", results.blurred, self.blurred, ROUNDED_TOLERANCE),
            ("edges", results.edges, self.edges, ROUNDED_TOLERANCE),
            ("equalised", results.equalised, self.equalised, EXACT),
            ("classes", results.classes, self.classes, EXACT),
            ("distances", results.distances, self.distances, EXACT),
        ):
            if got is not None:
                yield Check(name, difference(got, right), tolerance)


def difference(got: Numbers, right: Numbers) -> float:
    """Return the largest difference of any element; infinite if the shapes differ."""
    if got.shape != right.shape:
        return float("inf")
    return float(np.abs(got.astype(np.float64) - right.astype(np.float64)).max(initial=0.0))


def references(photograph: Bytes, digits: Digits) -> References:
    """Compute the right answers for one photograph and the digits."""
    grey = luminance(photograph)
    distances = packages.sklearn_distances(digits.queries, digits.samples)
    return References(
        packages.scipy_blur(photograph, SIGMA),
        edges(grey),
        equalised(grey),
        packages.sklearn_classes(distances, digits.labels, NEIGHBOURS),
        np.sort(distances, axis=1)[:, :NEIGHBOURS],
    )


def luminance(photograph: Bytes) -> Bytes:
    """Return the Rec. 709 luminance, in the whole numbers that the kernel uses."""
    weighted = photograph.astype(np.uint32) @ np.array([13933, 46871, 4732], np.uint32)
    return ((weighted + 32768) >> 16).astype(np.uint8)


def edges(grey: Bytes) -> Reals:
    """Return a quarter of the gradient's length, at most 255."""
    return np.minimum(packages.scipy_gradient(grey) / 4, 255)


def equalised(grey: Bytes) -> Bytes:
    """Return the picture with its levels spread by the cumulative histogram."""
    cumulative = np.cumsum(packages.scipy_histogram(grey))
    lowest = int(cumulative[cumulative > 0][0])
    span = grey.size - lowest
    if span == 0:
        return grey.copy()
    rank = np.maximum(cumulative - lowest, 0)
    return ((2 * 255 * rank + span) // (2 * span)).astype(np.uint8)[grey]
