"""Two sides of a session, of which one runs at a time: real loops, but no chance and no real time.

The client's and the worker's loops block in threads of their own. Here each call on a link is a
place where the other side may go on instead; who does is drawn from a seed, so one integer tells
everything that happens. Nobody waits in real time: when both sides wait, time goes on to the first
timeout, and if there is none, they are `Stuck`.

Rules: a side is one thread at a time; what the pump does, the client's thread waits for.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from gon.errors import LinkLost, LocalProtocolError, RemoteProtocolError
from gon.transport.base import Bytes, Heal, Link, LinkStatistics, Loan, PayloadsOf
from tests.inproc_worker import PATIENCE_S


class Side(Enum):
    """Who runs."""

    CLIENT = "client"
    WORKER = "worker"

    @property
    def other(self) -> Side:
        return Side.WORKER if self is Side.CLIENT else Side.CLIENT


class Stuck(AssertionError):
    """Both sides wait, and nothing will ever come."""


class _Wait(NamedTuple):
    until: Callable[[], bool]
    end_s: float | None
    what: str


class Baton:
    """What a side must have to run."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now_s = 0.0
        self.trace: list[str] = []
        self._changed = threading.Condition()
        self._holder = Side.CLIENT
        self._waits: dict[Side, _Wait] = {}
        self._present = {Side.CLIENT, Side.WORKER}
        self._stuck = ""

    def enter(self, side: Side) -> None:
        """Begin a side's thread: wait for its first turn."""
        self._await(side)

    def leave(self, side: Side) -> None:
        """End a side's thread."""
        with self._changed:
            self._present.discard(side)
            self._holder = side.other
            self._changed.notify_all()

    def step(self, side: Side, what: str) -> None:
        """Note what `side` is about to do; perhaps let the other side go on first."""
        self.trace.append(f"{side.value} {what}")
        if self.chance.random() < 0.5 and self._can_run(side.other):
            self._hand_over(side)

    def wait(
        self, side: Side, until: Callable[[], bool], what: str, timeout_s: float | None = None
    ) -> bool:
        """Let the other side run until `until` holds or the time is over; return whether it holds.

        Raises Stuck.
        """
        end_s = None if timeout_s is None else self.now_s + timeout_s
        self._waits[side] = _Wait(until, end_s, what)
        try:
            while not until():
                if end_s is not None and self.now_s >= end_s:
                    return False
                if self._can_run(side.other):
                    self._hand_over(side)
                else:
                    self._let_time_pass()
        finally:
            del self._waits[side]
        return True

    def _can_run(self, side: Side) -> bool:
        if side not in self._present:
            return False
        wait = self._waits.get(side)
        return wait is None or wait.until() or (wait.end_s is not None and wait.end_s <= self.now_s)

    def _let_time_pass(self) -> None:
        ends_s = [wait.end_s for wait in self._waits.values() if wait.end_s is not None]
        if ends_s:
            self.now_s = max(self.now_s, min(ends_s))
            return
        waits = {side.value: wait.what for side, wait in self._waits.items()}
        with self._changed:
            self._stuck = f"both sides wait: {waits}"
            self._changed.notify_all()
        raise Stuck(self._stuck)

    def _hand_over(self, side: Side) -> None:
        with self._changed:
            self._holder = side.other
            self._changed.notify_all()
        self._await(side)

    def _await(self, side: Side) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._holder is side or self._stuck, PATIENCE_S)
            if self._stuck:
                raise Stuck(self._stuck)
            assert self._holder is side, f"the {side.other.value} does not come to a link"


class LockstepClock:
    """The simulation's time, for the client: sleeping lets the worker run."""

    def __init__(self, baton: Baton) -> None:
        self._baton = baton

    def now_s(self) -> float:
        return self._baton.now_s

    def sleep_s(self, duration_s: float, /) -> None:
        self._baton.wait(Side.CLIENT, lambda: False, "asleep", duration_s)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return self._baton.wait(Side.CLIENT, event.is_set, "for an event", timeout_s)


class _Frame(NamedTuple):
    head: bytes
    payloads: tuple[bytes, ...]
    # How many side links they went over.
    over: int


class LockstepSides:
    """Side links of a `LockstepLink`, of which there is but their number; see
    gon.transport.base.Sides. Whoever receives a payload sees that both ends agree on it.
    """

    # None of them breaks by itself.
    mends = heals = sends_here = False
    bytes_again = 0

    def __init__(self) -> None:
        self.count = self.coming = self.there = 0

    def agree(self, *, mends: bool, heal: Heal) -> None: ...

    def look(self) -> None: ...

    def say(self, word: Bytes) -> bool:
        raise AssertionError("none breaks")

    def broken(self) -> list[int]:
        return []

    def break_off(self, number: int) -> None:
        raise AssertionError("none breaks")

    def mend(self, payloads_of: PayloadsOf) -> None:
        raise AssertionError("none breaks")

    def add(self, link: Link) -> None:
        del link
        self.there += 1

    def send_over(self, count: int) -> None:
        assert count <= self.there
        self.count = count
        self.there = max(self.count, self.coming)

    def receive_over(self, count: int) -> None:
        assert count <= self.there
        self.coming = count
        self.there = max(self.count, self.coming)


class LockstepLink:
    """One end of a pair; see gon.transport.base.Link. It holds `room` frames each way.

    What was on its way when an end is closed arrives or not. With `silent` the worker hears nothing
    when the client's end is closed, as if its host had vanished: only another link tells it.
    """

    lane = None

    def __init__(self, baton: Baton, side: Side, room: int) -> None:
        self.sides = LockstepSides()
        self.loan: Loan | None = None
        self._over_now = 0
        self._baton = baton
        self._side = side
        self._room = room
        self._peer = self
        self._inbox: deque[_Frame] = deque()
        self._payloads: deque[bytes] = deque()
        # Why nothing more will come; and whether this side has said so.
        self._over = ""
        self._closed = False
        self._silent = baton.chance.random() < 0.3
        self._in_callback = False
        self._counts = [0, 0, 0, 0]

    @property
    def name(self) -> str:
        return f"lockstep:{self._side.value}"

    def join(self, peer: LockstepLink) -> None:
        self._peer, peer._peer = peer, self

    def statistics(self) -> LinkStatistics:
        frames_sent, frames_received, bytes_sent, bytes_received = self._counts
        return LinkStatistics(frames_sent, frames_received, bytes_sent, bytes_received, 0, 0, 0, 0)

    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        if self._in_callback:
            raise LocalProtocolError("a frame cannot be sent in the middle of another one")
        self._baton.step(self._side, f"sends {len(head)} bytes")
        inbox = self._peer._inbox
        while not self._over and len(inbox) >= self._room:
            self._wait_for_room(inbox, while_blocked)
        self._check_open()
        copies = tuple(bytes(payload) for payload in payloads)
        inbox.append(_Frame(bytes(head), copies, self.sides.count))
        self._count(0, len(head) + sum(memoryview(payload).nbytes for payload in payloads))
        self._baton.step(self._side, "has sent")

    def _wait_for_room(
        self, inbox: deque[_Frame], while_blocked: Callable[[], None] | None
    ) -> None:
        if while_blocked is not None and self._inbox:
            self._in_callback = True
            try:
                while_blocked()
            finally:
                self._in_callback = False
            return
        self._baton.wait(
            self._side,
            lambda: bool(
                self._over or len(inbox) < self._room or (while_blocked is not None and self._inbox)
            ),
            "to send",
        )

    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        if self._payloads:
            raise RemoteProtocolError("a frame with more payloads than its head told")
        self._baton.step(self._side, f"receives within {timeout_s}")
        if self._closed:
            self._check_open()
        if timeout_s != 0 and not self._baton.wait(
            self._side, lambda: bool(self._inbox or self._over), "to receive", timeout_s
        ):
            return None
        if not self._inbox:
            self._check_open()
            return None
        frame = self._inbox.popleft()
        self._payloads.extend(payload for payload in frame.payloads if payload)
        self._over_now = frame.over
        self._count(1, len(frame.head))
        return memoryview(frame.head)

    def receive_into(self, target: memoryview) -> None:
        self._baton.step(self._side, f"receives {target.nbytes} bytes")
        if self._closed or not self._payloads:
            raise LinkLost(f"{self.name}: the payload was cut off")
        payload = self._payloads.popleft()
        if self._over_now != self.sides.coming:
            raise RemoteProtocolError(f"over {self._over_now}, not {self.sides.coming} side links")
        if len(payload) != target.nbytes:
            raise RemoteProtocolError(f"a payload of {len(payload)} bytes")
        target[:] = payload
        self._counts[3] += len(payload)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._over = self._over or "closed on this side"
        self._inbox.clear()
        self._payloads.clear()
        peer = self._peer
        if self._baton.chance.random() < 0.5:
            peer._inbox.clear()
        if not (self._silent and self._side is Side.CLIENT):
            peer._over = peer._over or "the peer closed it"

    def _check_open(self) -> None:
        if self._over:
            raise LinkLost(f"{self.name}: {self._over}")

    def _count(self, way: int, size: int) -> None:
        self._counts[way] += 1
        self._counts[2 + way] += size


def lockstep_pair(baton: Baton, room: int) -> tuple[LockstepLink, LockstepLink]:
    """Return the client's and the worker's end of a link."""
    here, there = LockstepLink(baton, Side.CLIENT, room), LockstepLink(baton, Side.WORKER, room)
    here.join(there)
    return here, there
