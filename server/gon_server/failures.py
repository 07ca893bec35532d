"""The book of what failed in one lease: which handles are poisoned, and what no wait has told yet.

What touches something poisoned is skipped, and passes the oldest failure on to what it should have
changed. A wait that reports one clears its stream or event; a buffer stays poisoned until all of it
is overwritten, or it is freed.

Rules: only handles that were created carry poison, so it is bounded as they are; what would poison
another one poisons the default stream. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from gon.limits import POISONED_MAX
from gon.model import DEFAULT_STREAM
from gon.wire.batch import Failure
from gon_server.footprint import Footprint, Key, Noun
from gon_server.overwriting import Overwriting

DEFAULT: Final[Key] = (Noun.STREAM, DEFAULT_STREAM)
# What a wait reports on is usable again; buffers and kernels are not.
_WAITED_FOR: Final = (Noun.STREAM, Noun.EVENT)


@dataclass(slots=True)
class _Untold:
    """A failure, and which ops no wait behind them has told of it: the first one, the last one."""

    failure: Failure
    first: int
    last: int

    def told(self, by: int) -> bool:
        """Hear that a wait of this number tells of it; return whether there is no more to tell:
        what is behind that wait may have been skipped before it was over.
        """
        self.first = self.last
        return self.last < by


class Failures:
    """`poison` says by what each handle is poisoned, `live` which handles there are."""

    def __init__(self) -> None:
        self.live: set[Key] = {DEFAULT}
        self.poison: dict[Key, Failure] = {}
        # What no wait has told, by number.
        self._unreported: dict[int, _Untold] = {}
        # Which wait told of a failure last: what is skipped late, and was before that, is told.
        self._tellers: dict[int, int] = {}
        self.overwriting = Overwriting()

    def __repr__(self) -> str:
        return f"Failures({len(self.poison)} handles poisoned)"

    def of(self, touched: Footprint) -> Failure | None:
        """Return the oldest failure among what an op reads."""
        poison = self.poison
        failures = [poison[key] for key in touched.reads if key in poison]
        return min(failures, key=_number_of, default=None)

    def add(self, touched: Footprint, failure: Failure) -> None:
        """Let an op have failed that nobody waits for."""
        self._note(failure, failure.number)
        self._spread(touched, failure)

    def skip(self, touched: Footprint, failure: Failure, number: int) -> None:
        """Pass a failure on to what a skipped op, which has this number, should have changed;
        nobody was told of that.
        """
        if number > self._tellers.get(failure.number, 0):
            self._note(failure, number)
        self._spread(touched, failure)

    def _note(self, failure: Failure, number: int) -> None:
        """Note that no wait has told of a failure behind the op of this number."""
        untold = self._unreported.get(failure.number)
        if untold is not None:
            untold.first, untold.last = min(untold.first, number), max(untold.last, number)
        elif len(self._unreported) < POISONED_MAX:
            self._unreported[failure.number] = _Untold(failure, number, number)

    def _spread(self, touched: Footprint, failure: Failure) -> None:
        """Poison what an op should have changed; the first failure of a handle stays."""
        for key in touched.writes:
            known = key in self.live or key in touched.makes
            known = known and len(self.poison) < POISONED_MAX
            self.poison.setdefault(key if known else DEFAULT, failure)
            if key[0] is Noun.BUFFER:
                self.overwriting.begin_again(key[1])

    def clean(self, touched: Footprint) -> None:
        """Hear that an op has overwritten what it cleans."""
        for key in touched.cleans:
            self.poison.pop(key, None)

    def forget(self, touched: Footprint) -> bool:
        """Forget what goes; return whether making it had failed, so that it was never there."""
        poisoned = [self.poison.pop(key, None) for key in touched.forgets]
        return any(poisoned) and self.live.isdisjoint(touched.forgets)

    def told(self, touched: Footprint, failure: Failure, number: int) -> None:
        """Hear that a wait, which has this number, tells of a failure: its stream or event is
        usable again.
        """
        for key in touched.reads:
            if key[0] in _WAITED_FOR:
                self.poison.pop(key, None)
        self._told([failure.number], number)

    def tell_all(self, before: int) -> Failure | None:
        """Return the first failure of ops before this number that no wait has told, if there is
        one. All of them count as told: streams and events that ops before it failed are usable,
        whichever wait told of that.
        """
        told = [each for each in self._unreported.values() if each.first < before]
        first = min((each.failure for each in told), key=_number_of, default=None)
        self._told([each.failure.number for each in told], before)
        for key, failure in [*self.poison.items()]:
            if key[0] in _WAITED_FOR and failure.number < before:
                del self.poison[key]
        return first

    def _told(self, failures: Iterable[int], by: int) -> None:
        for number in failures:
            if len(self._tellers) >= POISONED_MAX:
                self._tellers.clear()
            self._tellers[number] = max(by, self._tellers.get(number, 0))
            untold = self._unreported.get(number)
            if untold is not None and untold.told(by):
                del self._unreported[number]


_number_of: Callable[[Failure], int] = attrgetter("number")
