"""GoN's rows beside those of other programs that do the same job, and whether the two may be
compared.

Rules: pure. A rival's row stands beside GoN's over tcp, of the same workload, size, placement and
distance (`rpyc+1.35ms` beside `tcp+1.35ms`); it is starred, with the reason, where it is not the
same work, machine or number of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gon_client.bench.catalogue import BINDING, ENQUEUES, HOST, LIBRARY, NATIVE, PLACES, PLAIN
from gon_client.bench.distance import is_far
from gon_client.bench.record import Record

OURS = "tcp"
_NOT_RIVALS = frozenset((*PLACES, PLAIN, NATIVE, BINDING, ENQUEUES, LIBRARY, HOST))


@dataclass(frozen=True, slots=True)
class Rivalry:
    """A row of GoN's and the rivals' rows of the same key but for the place."""

    ours: Record
    theirs: tuple[Record, ...]

    def unlike(self, row: Record) -> str:
        """Why a rival's row is not like for like; "" if it is."""
        return row.unlike or difference(self.ours, row)

    def times_better(self, row: Record) -> float | None:
        """By how many times GoN is better; None where the two have nothing in common."""
        if row.unit != self.ours.unit or not row.p50 or not self.ours.p50:
            return None
        ratio = row.p50 / self.ours.p50
        return 1 / ratio if row.more_is_better else ratio


def difference(one: Record, other: Record) -> str:
    """Return in what two measurements of the same work are not like for like; "" if they are."""
    if one.unit != other.unit:
        return f"{one.unit} and {other.unit}"
    if one.placement != other.placement:
        return f"placements {one.placement} and {other.placement}"
    if one.machine != other.machine:
        return "other machine"
    if (one.n, one.rounds) != (other.n, other.rounds):
        return "other number of samples"
    return ""


def is_rival(row: Record) -> bool:
    """Whether a row is another program's: neither a place of GoN's nor a baseline."""
    return row.where not in _NOT_RIVALS and not is_far(row.where)


def _way(where: str) -> str:
    """Return what a place's name says of what lies on the way, "" for nothing."""
    return "".join(where.partition("+")[1:])


def rivalries(records: Sequence[Record], rivals: Sequence[Record]) -> list[Rivalry]:
    """Return GoN's rows that rivals have too, in their order."""
    found: list[Rivalry] = []
    for row in records:
        if row.where.partition("+")[0] != OURS:
            continue
        here = (row.id, row.placement, row.size_bytes)
        theirs = tuple(
            each
            for each in rivals
            if (each.id, each.placement, each.size_bytes) == here
            and is_rival(each)
            and _way(each.where) == _way(row.where)
        )
        if theirs:
            found.append(Rivalry(row, theirs))
    return found
