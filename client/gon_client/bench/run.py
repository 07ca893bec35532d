"""A run: takes the places in turns, round by round, and makes rows of what they give.

Rules: every workload is warmed up once at each place before its first counted round; rounds
alternate A B C, A B C, … so that a disturbance of the machine meets all places alike; places so far
or slow that their time is mostly waiting take part in the first few rounds only; the samples of all
rounds are one set, and the spread between the rounds' medians goes into the row. Must not know:
processes, devices, the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gon.errors import Unsupported
from gon_client.bench.catalogue import GROUPS, Workload
from gon_client.bench.distance import is_slow
from gon_client.bench.messages import Play
from gon_client.bench.places import Place
from gon_client.bench.record import Record, size_text, summarise


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a run measures: rounds at near and at slow places, warm-up rounds before them, one
    `divisor`th of the samples, launches that one sample of a launch rate posts, and whether hosts
    get rest.
    """

    rounds: int
    slow_rounds: int
    divisor: int
    launches: int
    warm_ups: int = 1
    rests: bool = True

    def rounds_at(self, where: str) -> int:
        """Return how many rounds are played at a place, warm-ups included."""
        return self.warm_ups + (self.slow_rounds if is_slow(where) else self.rounds)


FULL = Effort(rounds=7, slow_rounds=3, divisor=1, launches=10_000)
QUICK = Effort(rounds=3, slow_rounds=2, divisor=4, launches=2_000)
# Everything once: shows that it runs, not how fast.
SMOKE = Effort(rounds=1, slow_rounds=1, divisor=1_000_000, launches=20, warm_ups=0, rests=False)


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
            parts = [
                (row, place)
                for row in rows
                for place in places
                if size in row.sizes and row.plays_at(place.where)
            ]
            if parts:
                made.append(Turn(group, size, tuple(parts)))
    return made


def play(
    turn: Turn,
    placement: str,
    effort: Effort,
    step: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Record]:
    """Play a turn's warm-up and rounds; `step` is called after each part of each round, `tell` with
    what is left out, since a place has not what it takes, and why.
    """
    kept: list[list[list[float]]] = [[] for _ in turn.parts]
    missing: set[tuple[str, str]] = set()
    for number in range(effort.warm_ups + max(effort.rounds, effort.slow_rounds)):
        for (workload, place), rounds in zip(turn.parts, kept, strict=True):
            if number >= effort.rounds_at(place.where):
                continue
            samples = workload.samples_of(turn.size_bytes, place.where, effort.divisor)
            first = workload.first_of(samples)
            asked = Play(
                *(workload.id, turn.size_bytes, first + samples, effort.launches, effort.rests)
            )
            if (workload.id, place.where) not in missing:
                try:
                    values = place.play(asked)
                except Unsupported as error:
                    missing.add((workload.id, place.where))
                    tell(f"without {workload.id} at {place.where}: {error.message}")
                else:
                    if number >= effort.warm_ups:
                        rounds.append(values[first:])
            step()
    return [
        summarise(row.id, place.where, placement, turn.size_bytes, row.unit, rounds)
        for (row, place), rounds in zip(turn.parts, kept, strict=True)
        if (row.id, place.where) not in missing
    ]


def steps(turn: Turn, effort: Effort) -> int:
    """Return how often `play` calls `step`."""
    return sum(effort.rounds_at(place.where) for _row, place in turn.parts)
