"""One measured row: how samples become one, how rows are kept in a file.

Rules: pure. `p99` is always the bad side: the value that 99 of 100 samples are at least as good as,
so a low one for a rate. `low` and `high` are the least and greatest median of a round: the spread
between rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gon.errors import InvalidArgument
from gon.limits import GIB, KIB, MIB

# Units in which more is better; of all others less is.
RATES = frozenset({"GB/s", "launches/s"})


# Of which percentiles a row tells the values: enough to draw how its samples are spread.
QUANTILES = (0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What one workload gave at one place: a row of the table and of the JSON file.

    `quantiles` are the values at QUANTILES; `machine` is what it was measured on; `unlike` says in
    what a rival's row is not the same work, "" where it is. Files of older versions lack these.
    """

    id: str
    where: str
    placement: str
    size_bytes: int
    p50: float
    p99: float
    unit: str
    n: int
    rounds: int
    low: float
    high: float
    quantiles: tuple[float, ...] = ()
    machine: str = ""
    unlike: str = ""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells it from all other rows of a run."""
        return (self.id, self.where, self.placement, self.size_bytes)

    @property
    def more_is_better(self) -> bool:
        return self.unit in RATES


def size_text(size_bytes: int) -> str:
    """Return a size as people say it."""
    for unit, size in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size_bytes >= size and size_bytes % size == 0:
            return f"{size_bytes // size} {unit}"
    return f"{size_bytes} B"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of 100 values are at most, linear between two; values ≥ 1 in
    number.
    """
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    return percentile(values, 50)


def summarise(
    id: str,  # noqa: A002 - the row's own word
    where: str,
    placement: str,
    size_bytes: int,
    unit: str,
    rounds: Sequence[Sequence[float]],
) -> Record:
    """Return the row of the samples of one or more rounds, each of one or more samples."""
    samples = [value for one in rounds for value in one]
    medians = [median(one) for one in rounds]
    return Record(
        id=id,
        where=where,
        placement=placement,
        size_bytes=size_bytes,
        p50=percentile(samples, 50),
        p99=percentile(samples, 1 if unit in RATES else 99),
        unit=unit,
        n=len(samples),
        rounds=len(rounds),
        low=min(medians),
        high=max(medians),
        quantiles=tuple(percentile(samples, percent) for percent in QUANTILES),
    )


def save(records: Sequence[Record], path: Path) -> None:
    """Write the rows as a JSON list. Raises OSError."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2) + b"\n")


def load(path: Path) -> list[Record]:
    """Read rows written by `save`. Raises OSError, InvalidArgument for a file that is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Record])
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"{path} is no list of benchmark rows: {error}") from None
