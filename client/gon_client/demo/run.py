"""A run of the demo: every stage at every place, alternating, checked each time; then the pictures.

Rules: places take turns within a round (A B A B …) and each round begins with another, so that what
disturbs the machine, be it the place before, disturbs all alike; the first rounds only warm up;
only the stage itself is timed, never its comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, median_low

import numpy as np

from gon.clock import Clock
from gon_client.demo.album import save_digits, save_pictures
from gon_client.demo.arrays import Bytes
from gon_client.demo.checks import References, references
from gon_client.demo.packages import Digits, load_digits, load_photograph
from gon_client.demo.places import Place, Say, open_places
from gon_client.demo.record import Check, Measurement, Report, Score, Stage, Traffic
from gon_client.demo.workbench import Workbench

_WARM_UP_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for: an empty `host` starts a gond, no `links` means the usual ones."""

    host: str
    links: tuple[str, ...]
    repeat: int
    out: Path
    photograph: Path | None


class Player:
    """One place's turns: runs stages there and keeps what each run took, moved and differed by."""

    def __init__(self, place: Place, photograph: Bytes, digits: Digits) -> None:
        self.place = place
        self.workbench = Workbench(place.device, photograph, digits)
        self._times_s: dict[Stage, list[float]] = {stage: [] for stage in Stage}
        self._traffic: dict[Stage, list[Traffic]] = {stage: [] for stage in Stage}
        self._checks: dict[Stage, list[Check]] = {stage: [] for stage in Stage}

    def __repr__(self) -> str:
        return f"Player({self.place.where}, {self.workbench!r})"

    def play(self, stage: Stage, clock: Clock, right: References, *, timed: bool) -> None:
        """Run a stage once and compare its results; keep time and traffic if `timed`."""
        self.workbench.clear()
        before = self.place.device.counts()
        start_s = clock.now_s()
        self.workbench.run(stage)
        took_s = clock.now_s() - start_s
        after = self.place.device.counts()
        self._checks[stage] += right.checks(self.workbench.results(stage))
        if timed:
            self._times_s[stage].append(took_s)
            self._traffic[stage].append(
                Traffic(
                    after.ops - before.ops,
                    after.round_trips - before.round_trips,
                    after.bytes_sent - before.bytes_sent,
                    after.bytes_received - before.bytes_received,
                )
            )

    def measurement(self, stage: Stage) -> Measurement:
        """Return what all runs of a stage come to."""
        worst: dict[str, Check] = {}
        for check in self._checks[stage]:
            if check.name not in worst or not check.difference <= worst[check.name].difference:
                worst[check.name] = check
        return Measurement(
            stage,
            self.place.where,
            median(self._times_s[stage]) * 1000,
            _typical(self._traffic[stage]),
            tuple(worst.values()),
        )


def run(plan: Plan, say: Say, clock: Clock) -> Report:
    """Do the main job at every place, compare, write the pictures, and return what was found.

    Raises HostUnreachable, LeaseRefused, Unsupported (a package ships no input), InvalidArgument.
    """
    photograph, digits = load_photograph(plan.photograph), load_digits()
    say(f"computing the references for {photograph.shape[1]} × {photograph.shape[0]} pixels …")
    right = references(photograph, digits)
    with open_places(plan.host, plan.links, say) as places:
        players = [Player(place, photograph, digits) for place in places]
        say(f"{plan.repeat} rounds of {len(Stage)} stages at {len(players)} places …")
        for number in range(_WARM_UP_ROUNDS + plan.repeat):
            first = number % len(players)
            for stage in Stage:
                for player in (*players[first:], *players[:first]):
                    player.play(stage, clock, right, timed=number >= _WARM_UP_ROUNDS)
        return Report(
            tuple(player.measurement(stage) for stage in Stage for player in players),
            tuple(_score(player, right, digits) for player in players),
            _save(plan.out, players, photograph, digits),
            plan.repeat,
        )


def _typical(runs: Sequence[Traffic]) -> Traffic:
    """Return the medians; runs differ by an acknowledgement at most."""
    return Traffic(
        median_low(each.ops for each in runs),
        median_low(each.round_trips for each in runs),
        median_low(each.bytes_up for each in runs),
        median_low(each.bytes_down for each in runs),
    )


def _score(player: Player, right: References, digits: Digits) -> Score:
    classes = player.workbench.results(Stage.NEIGHBOURS).classes
    assert classes is not None, "the stage's results hold the classes"
    return Score(
        player.place.where,
        len(classes),
        int(np.sum(classes == digits.answers)),
        int(np.sum(right.classes == digits.answers)),
        int(np.sum(classes == right.classes)),
    )


def _save(
    out: Path, players: Sequence[Player], photograph: Bytes, digits: Digits
) -> tuple[Path, ...]:
    """Write what a remote device has computed; the last stage of a round has computed all."""
    shown = next(player for player in players if player.place.is_remote)
    results = shown.workbench.results(Stage.TOGETHER)
    assert results.blurred is not None, "all stages together blur too"
    assert results.edges is not None, "all stages together find edges too"
    assert results.equalised is not None, "all stages together equalise too"
    assert results.classes is not None, "all stages together classify too"
    return (
        *save_pictures(out, photograph, results.blurred, results.edges, results.equalised),
        save_digits(out, digits, results.classes),
    )
