"""The line of a lease's held ops: each comes after those before it that it is ordered with.

    alone    a key that an op has for itself while it is held: its stream, an event that it makes
             another point, what it makes and what it forgets
    shared   a key that others may use meanwhile, but none may have alone: what it works on

So the order is that of streams and events, and of the lives of handles, and no other. An op is in
line until it has been run, a wait until it has begun: it stands for what was queued before it.

Rules: pure. Whoever puts ops in line sees that there are not too many. Must not know: devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gon.device import Pending
from gon.errors import GonError
from gon.wire.ops import AnyOp
from gon_server.footprint import Key, Noun

# What stands among the streams in line for something that is none: an op that others than those of
# its stream, and frees, may come behind; and one without a stream.
WIDE: Final = -1
SOME: Final = -2


# Bytes that came beside an op.
Payload: TypeAlias = bytes | bytearray


@dataclass(frozen=True, slots=True)
class Order:
    """What an op is ordered by. A `barrier` comes after all that is in line, and all after it; what
    comes `last` after all that is in line."""

    alone: frozenset[Key] = frozenset()
    shared: frozenset[Key] = frozenset()
    barrier: bool = False
    last: bool = False
    # Whether only what the native way looks at itself may come behind it.
    wide: bool = False


@dataclass(eq=False, slots=True)
class Held:
    """An op that is held, and its number."""

    op: AnyOp
    number: int
    order: Order
    # Bytes that came beside it, and what is kept of bytes for it.
    data: Payload | None = None
    size_bytes: int = 0
    # Whether it is a function for the engines' thread, and is there by now.
    aside: bool = False
    called: bool = False
    # The wait for all streams that it is a part of: which one, and for which stream.
    whole: Whole | None = None
    place: int = 0
    stream: int = 0
    # What it waits for, and since when, once it has begun.
    pending: Pending | None = None
    since_s: float = 0.0
    after: set[Held] = field(default_factory=set["Held"])
    behind: list[Held] = field(default_factory=list["Held"])

    def is_over(self) -> bool:
        """Return whether what it waits for is over."""
        return self.pending is not None and self.pending.done()


@dataclass(eq=False, slots=True)
class Whole:
    """A wait for all streams: its number, how many of them are not over yet, and since when; what
    the device said of each.
    """

    number: int
    left: int
    since_s: float
    errors: list[GonError | None]


class Line:
    """Held ops, in the order that they came."""

    def __init__(self) -> None:
        self._ops: dict[Held, None] = {}
        # Who had a key alone last, and who shares it since.
        self._alone: dict[Key, Held] = {}
        self._shared: dict[Key, dict[Held, None]] = {}
        self._barrier: Held | None = None
        # Those of the ops in line, WIDE and SOME among them.
        self.streams: set[int] = set()
        self._counts: Counter[int] = Counter()

    def __repr__(self) -> str:
        return f"Line({len(self._ops)} ops)"

    def __len__(self) -> int:
        return len(self._ops)

    def __contains__(self, held: object) -> bool:
        return held in self._ops

    def has_alone(self, key: Key) -> bool:
        """Return whether an op in line has the key alone."""
        return key in self._alone

    def shares(self, key: Key) -> bool:
        """Return whether an op in line shares the key."""
        return key in self._shared

    def before(self, order: Order) -> set[Held]:
        """Return what an op of this order comes after."""
        if order.barrier or order.last:
            return set(self._ops)
        found = {self._alone[key] for key in order.alone | order.shared if key in self._alone}
        for key in order.alone:
            found.update(self._shared.get(key, ()))
        if self._barrier is not None:
            found.add(self._barrier)
        return found

    def add(self, held: Held, after: Iterable[Held] = ()) -> None:
        """Put an op in line, behind those it comes after."""
        order = held.order
        held.after.update(after)
        for each in held.after:
            each.behind.append(held)
        self._ops[held] = None
        for key in order.alone:
            self._alone[key] = held
            self._shared.pop(key, None)
        for key in order.shared:
            self._shared.setdefault(key, {})[held] = None
        if order.barrier:
            self._barrier = held
        self._count(order, 1)

    def remove(self, held: Held) -> list[Held]:
        """Take an op out; return those that come after nothing any more."""
        del self._ops[held]
        order = held.order
        for key in order.alone:
            if self._alone.get(key) is held:
                del self._alone[key]
        for key in order.shared:
            sharing = self._shared.get(key)
            if sharing is not None:
                sharing.pop(held, None)
                if not sharing:
                    del self._shared[key]
        if self._barrier is held:
            self._barrier = None
        self._count(order, -1)
        for each in held.behind:
            each.after.discard(held)
        return [each for each in held.behind if not each.after]

    def _count(self, order: Order, by: int) -> None:
        """Note which streams there are in line."""
        streams = [handle for noun, handle in order.alone if noun is Noun.STREAM]
        if order.wide or order.barrier:
            streams.append(WIDE)
        elif not streams:
            streams.append(SOME)
        for stream in streams:
            self._counts[stream] += by
            if self._counts[stream]:
                self.streams.add(stream)
            else:
                del self._counts[stream]
                self.streams.discard(stream)
