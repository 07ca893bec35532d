"""A run: takes the places in turns, round by round, and makes rows of what they give.

Rules: every workload is warmed up once at each place before its first counted round; rounds
alternate A B C, A B C, … so that a disturbance of the machine meets all places alike; the samples
of all rounds are one set, and the spread between the rounds' medians goes into the row. Must not
know: processes, devices, the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gon_client.bench.catalogue import GROUPS, LAUNCHES, LAUNCHES_QUICK, Workload
from gon_client.bench.places import Place
from gon_client.bench.record import Record, size_text, summarise

ROUNDS = 9
ROUNDS_QUICK = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a run measures."""

    rounds: int
    quick: bool

    @property
    def launches(self) -> int:
        """Launches that one sample of a launch rate posts."""
        return LAUNCHES_QUICK if self.quick else LAUNCHES


FULL = Effort(ROUNDS, quick=False)
QUICK = Effort(ROUNDS_QUICK, quick=True)


@dataclass(frozen=True, slots=True)
class Turn:
    """Workloads of one group at one size, each at each of its places: what is played in
    alternation.
    """

    group: str
    size_bytes: int
    parts: tuple[tuple[Workload, Place], ...]

    @property
    def says(self) -> str:
        """What a progress bar shows."""
        size = f" {size_text(self.size_bytes)}" if self.size_bytes else ""
        return f"{self.group}{size}"


def turns(workloads: Sequence[Workload], places: Sequence[Place]) -> list[Turn]:
    """Return what is to be played at the places there are."""
    made: list[Turn] = []
    for group in GROUPS:
        rows = [row for row in workloads if row.group == group]
        for size in rows[0].sizes if rows else ():
            parts = [(row, place) for row in rows for place in places if place.where in row.places]
            if parts:
                made.append(Turn(group, size, tuple(parts)))
    return made


def play(
    turn: Turn, placement: str, effort: Effort, step: Callable[[], None] = lambda: None
) -> list[Record]:
    """Play a turn's warm-up and rounds; `step` is called after each part of each round."""
    kept: list[list[list[float]]] = [[] for _ in turn.parts]
    for number in range(effort.rounds + 1):
        for (workload, place), rounds in zip(turn.parts, kept, strict=True):
            samples = workload.samples_of(turn.size_bytes, quick=effort.quick)
            values = place.play(workload.id, turn.size_bytes, samples, effort.launches)
            if number > 0:
                rounds.append(values)
            step()
    return [
        summarise(row.id, place.where, placement, turn.size_bytes, row.unit, rounds)
        for (row, place), rounds in zip(turn.parts, kept, strict=True)
    ]


def steps(turn: Turn, effort: Effort) -> int:
    """Return how often `play` calls `step`."""
    return len(turn.parts) * (effort.rounds + 1)
