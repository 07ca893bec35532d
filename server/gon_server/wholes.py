"""Waits for all streams that are held: a part for each stream, in the order of that stream.

What comes behind such a wait, on streams whose part is over, goes on; unless the wait tells of a
failure: then streams are usable again behind it, and it is over before anything behind it is run.

Must not know: devices, the line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gon.errors import GonError
from gon.wire import ops
from gon.wire.batch import Failure, Reply
from gon_server.footprint import Noun
from gon_server.line import Held, Order, Whole
from gon_server.reaching import name_of
from gon_server.running import Runs


class Wholes:
    """Those of one lease that are not over."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._open: list[Whole] = []

    def __repr__(self) -> str:
        return f"Wholes({len(self._open)} not over)"

    def __bool__(self) -> bool:
        return bool(self._open)

    def parts(self, op: ops.SyncAll, number: int, streams: list[int], now_s: float) -> list[Held]:
        """Return the parts of a wait that begins to be held."""
        whole = Whole(number, len(streams), now_s, [None] * len(streams))
        self._open.append(whole)
        return [
            Held(
                op, number, Order(alone=frozenset({(Noun.STREAM, stream)})),
                whole=whole, place=place, stream=stream,
            )
            for place, stream in enumerate(streams)
        ]  # fmt: skip

    def told_before(self, held: Iterable[Held], number: float = math.inf) -> Held | None:
        """Return what of those that wait is to end before an op of this number is run, because a
        wait for all streams tells of a failure.
        """
        if not self._open or not self._runs.poison:
            return None
        first_failed = min(failure.number for failure in self._runs.poison.values())
        for whole in self._open:
            if first_failed < whole.number < number:
                return min(
                    (each for each in held if each.number <= whole.number and _may_matter(each)),
                    key=lambda each: each.number,
                )
        return None

    def part_over(self, held: Held, error: GonError | None) -> Reply | None:
        """Note what a part has met; return the answer with the last one."""
        whole, op, number = held.whole, held.op, held.number
        assert whole is not None, "it is a part"
        assert isinstance(op, ops.SyncAll), "nothing else has parts"
        whole.errors[held.place] = error
        whole.left -= 1
        if whole.left:
            return None
        self._open.remove(whole)
        failed = next((each for each in whole.errors if each is not None), None)
        if failed is not None:
            return self._runs.fail(op, Failure.of(failed, name_of(op), number))
        return Reply(op.reply, failure=self._runs.report_all(number))


def _may_matter(held: Held) -> bool:
    """Return whether a wait for all streams that is behind it may tell of it: not of a load that
    nothing comes behind, which answers for itself, once it is built.
    """
    return bool(held.behind) or not isinstance(held.op, ops.Load)
