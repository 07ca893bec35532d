"""What a run of the demo has found: times, traffic and comparisons, as frozen values.

Must not know: devices, pictures, tables; it is there without the extra `gon[demo]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Stage(Enum):
    """What is run and measured as one; the value is what a reader is shown."""

    BLUR = "Gaussian blur"
    SOBEL = "Sobel edges"
    EQUALISE = "equalised histogram"
    NEIGHBOURS = "digits by neighbours"
    TOGETHER = "all four together"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: the largest difference of any element, and what it may be."""

    name: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        # A NaN passes nothing.
        return self.difference <= self.tolerance


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one run of a stage put on the network; all zero for a device in this process."""

    ops: int
    round_trips: int
    bytes_up: int
    bytes_down: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One stage at one place: medians over the rounds, and the worst of each comparison."""

    stage: Stage
    where: str
    median_ms: float
    traffic: Traffic
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class Score:
    """How the digits came out at one place: of `asked`, how many were classified right by the
    device and by scikit-learn, and about how many both say the same.
    """

    where: str
    asked: int
    right: int
    right_by_reference: int
    agreed: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a run has found."""

    measurements: tuple[Measurement, ...]
    scores: tuple[Score, ...]
    files: tuple[Path, ...]
    rounds: int

    @property
    def passed(self) -> bool:
        """Whether every comparison of every round kept to its tolerance."""
        return bool(self.measurements) and all(row.passed for row in self.measurements)
