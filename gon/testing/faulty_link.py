"""A link that breaks where it is told to: for tests of what survives a lost connection.

    link = FaultyLink(link, Cut(Direction.OUT, bytes_through=5000, delivers=True))
    link = FaultyLink(link, Cut.seeded(number, bytes_max=1 << 20))

Rules: the same cut on the same traffic breaks at the same place. A cut closes the link below, so
that both ends see LinkLost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from gon.errors import LinkLost
from gon.transport.base import Bytes, Link, LinkStatistics, Loan, Sides


class Direction(Enum):
    """Which way the traffic goes that a cut counts, seen from the faulty end."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a link breaks: as soon as more than `bytes_through` heads' and payloads' bytes passed.

    Going out, the frame that passes the limit is lost; with `delivers` it arrives, and only its
    sender does not know. Coming in, a head that passes the limit is lost, a payload from the limit
    on.
    """

    direction: Direction
    bytes_through: int
    delivers: bool = False

    @classmethod
    def seeded(cls, seed: int, bytes_max: int) -> Cut:
        """Return a cut within `bytes_max`, as `seed` will have it; small seeds differ well."""
        chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        direction = chance.choice((Direction.IN, Direction.OUT))
        # As likely in the first hundred bytes as in the last half: faults like beginnings.
        size = round((bytes_max + 1) ** chance.random()) - 1
        return cls(direction, size, chance.random() < 0.5)


class FaultyLink:
    """A link over another that breaks at `cut`. See gon.transport.base.Link."""

    # All frames are counted here.
    lane = None

    def __init__(self, link: Link, cut: Cut) -> None:
        self._link = link
        self._cut = cut
        self._passed = 0
        self.is_cut = False

    @property
    def name(self) -> str:
        return f"faulty+{self._link.name}"

    @property
    def sides(self) -> Sides | None:
        return self._link.sides

    @property
    def loan(self) -> Loan | None:
        return self._link.loan

    def __repr__(self) -> str:
        return f"FaultyLink({self._link!r}, {self._cut}, {self._passed} bytes through)"

    def statistics(self) -> LinkStatistics:
        return self._link.statistics()

    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        size = len(head) + sum(memoryview(payload).nbytes for payload in payloads)
        passes = self._passes(Direction.OUT, size)
        if passes or self._cut.delivers:
            self._link.send(head, payloads, while_blocked)
        if not passes:
            raise self._break()

    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        head = self._link.receive(timeout_s)
        if head is not None and not self._passes(Direction.IN, len(head)):
            raise self._break()
        return head

    def receive_into(self, target: memoryview) -> None:
        left = self._cut.bytes_through - self._passed
        if self._passes(Direction.IN, target.nbytes):
            self._link.receive_into(target)
            return
        whole = memoryview(bytearray(target.nbytes))
        self._link.receive_into(whole)
        target[:left] = whole[:left]
        raise self._break()

    def close(self) -> None:
        self._link.close()

    def _passes(self, direction: Direction, size: int) -> bool:
        """Count `size` bytes; return whether they get through."""
        if direction is not self._cut.direction or self.is_cut:
            return True
        if self._passed + size > self._cut.bytes_through:
            return False
        self._passed += size
        return True

    def _break(self) -> LinkLost:
        self.is_cut = True
        self._link.close()
        return LinkLost(f"cut after {self._passed} bytes {self._cut.direction.value} ({self.name})")
