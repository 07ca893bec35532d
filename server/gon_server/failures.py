"""The book of what failed in one lease: which handles are poisoned, and what no wait has told yet.

What touches something poisoned is skipped, and passes the oldest failure on to what it should have
changed. A wait that reports one clears its stream or event; a buffer stays poisoned until all of it
is overwritten, or it is freed.

Rules: only handles that were created carry poison, so it is bounded as they are; what would poison
another one poisons the default stream. Pure.
"""

from __future__ import annotations

from typing import Final

from gon.limits import POISONED_MAX
from gon.model import DEFAULT_STREAM
from gon.wire.batch import Failure
from gon_server.footprint import Footprint, Key, Noun
from gon_server.overwriting import Overwriting

DEFAULT: Final[Key] = (Noun.STREAM, DEFAULT_STREAM)
# What a wait reports on is usable again; buffers and kernels are not.
_WAITED_FOR: Final = (Noun.STREAM, Noun.EVENT)
# What stands for the stream of what failed none.
NO_STREAM: Final = -1


class Failures:
    """`poison` says by what each handle is poisoned, `live` which handles there are."""

    def __init__(self) -> None:
        self.live: set[Key] = {DEFAULT}
        self.poison: dict[Key, Failure] = {}
        # What no wait has told, by number, and the streams that it failed.
        self._unreported: dict[int, tuple[Failure, set[Key]]] = {}
        self.overwriting = Overwriting()

    def __repr__(self) -> str:
        return f"Failures({len(self.poison)} handles poisoned)"

    def of(self, touched: Footprint) -> Failure | None:
        """Return the oldest failure among what an op reads."""
        poison = self.poison
        failures = [poison[key] for key in touched.reads if key in poison]
        return min(failures, key=lambda failure: failure.number) if failures else None

    def add(self, touched: Footprint, failure: Failure) -> None:
        """Let an op have failed that nobody waits for."""
        if len(self._unreported) < POISONED_MAX:
            self._unreported[failure.number] = failure, set()
        self._spread(touched, failure)

    def skip(self, touched: Footprint, failure: Failure) -> None:
        """Pass a failure on to what a skipped op should have changed; nobody was told of that."""
        self._unreported.setdefault(failure.number, (failure, set()))
        self._spread(touched, failure)

    def _spread(self, touched: Footprint, failure: Failure) -> None:
        """Poison what an op should have changed; the first failure of a handle stays."""
        _, streams = self._unreported.get(failure.number, (failure, set[Key]()))
        for key in touched.writes:
            known = key in self.live or key in touched.makes
            known = known and len(self.poison) < POISONED_MAX
            spoilt = key if known else DEFAULT
            self.poison.setdefault(spoilt, failure)
            if spoilt[0] is Noun.STREAM:
                streams.add(spoilt)
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

    def told(self, touched: Footprint, failure: Failure) -> None:
        """Hear that a wait tells of a failure: its stream or event is usable again."""
        for key in touched.reads:
            if key[0] in _WAITED_FOR:
                self.poison.pop(key, None)
        self._unreported.pop(failure.number, None)

    def tell_all(
        self, before: int, stream: int | None = None, *, tells: bool = False
    ) -> Failure | None:
        """Return the first failure of ops before this number that no wait has told, if there is
        one: of all of them, or of those that failed one stream, or NO_STREAM. They count as told;
        whatever failed a stream before is over with that, and if the wait `tells` of others'.
        """
        key = None if stream is None else (Noun.STREAM, stream)
        told = sorted(
            number
            for number, (_, streams) in self._unreported.items()
            if number < before
            and (key is None or key in streams or (stream == NO_STREAM and not streams))
        )
        if not (told or tells):
            return None
        failures = [self._unreported.pop(number)[0] for number in told]
        for each, failure in [*self.poison.items()]:
            is_its = key in (None, each) or (each[0] is Noun.EVENT and failure.number in told)
            if is_its and each[0] in _WAITED_FOR and failure.number < before:
                del self.poison[each]
        return failures[0] if failures else None
