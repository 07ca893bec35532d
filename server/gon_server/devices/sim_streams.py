"""The simulator's streams: ops held back until somebody waits, then run in an order drawn from a
seed.

This is what order means: the first op of any stream may run next, but a wait for an event only once
the record it waits for has run. Nothing else is promised, so nothing else is given.

Rules: an op runs once; one that fails leaves its error with its stream, for the first wait for it
or for what was queued behind it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from gon.errors import DeviceError
from gon.limits import SIM_QUEUED_MAX

Effect: TypeAlias = Callable[[], None]


class Op:
    """Something held back: what it does, the record it waits for (if it is a wait), when it ran."""

    __slots__ = ("after", "effect", "over", "place", "time_us")

    def __init__(self, effect: Effect, after: Op | None = None) -> None:
        self.effect = effect
        self.after = after
        self.over = False
        self.time_us = 0
        # How many of its stream were queued before.
        self.place = 0


class Stream:
    """Ops in the order they were asked for, and the failures of those that ran, by their places."""

    __slots__ = ("_failures", "_queued", "ops", "window_open")

    def __init__(self) -> None:
        self.ops: deque[Op] = deque()
        self._queued = 0
        self._failures: dict[int, DeviceError] = {}
        self.window_open = False

    def queue(self, op: Op) -> None:
        op.place = self._queued
        self._queued += 1
        self.ops.append(op)

    def fail(self, op: Op, error: DeviceError) -> None:
        """Keep the failure of an op."""
        self._failures[op.place] = error

    def told(self, op: Op) -> DeviceError | None:
        """Return the first failure up to an op; all of them count as told."""
        places = [place for place in self._failures if place <= op.place]
        failures = [self._failures.pop(place) for place in places]
        return failures[0] if failures else None

    def is_ready(self) -> bool:
        """Return whether the first op may run now."""
        if not self.ops:
            return False
        after = self.ops[0].after
        return after is None or after.over


class Event:
    """An event: its last record and the stream that it is in, or neither."""

    __slots__ = ("record", "stream")

    def __init__(self) -> None:
        self.record: Op | None = None
        self.stream: Stream | None = None


class Schedule:
    """Runs the ops of some streams one at a time; `time_us` counts them."""

    __slots__ = ("_queued", "_random", "_streams", "time_us")

    def __init__(self, streams: Callable[[], Iterable[Stream]], seed: int) -> None:
        self._streams = streams
        self._random = random.Random(seed)  # noqa: S311 - to be repeatable, not unforeseeable
        self._queued = 0
        self.time_us = 0

    def __repr__(self) -> str:
        return f"Schedule({self._queued} ops held back at {self.time_us} us)"

    def queue(self, stream: Stream, effect: Effect, after: Op | None = None) -> Op:
        """Hold an op back; if too many are held back, run some."""
        op = Op(effect, after)
        stream.queue(op)
        self._queued += 1
        while self._queued > SIM_QUEUED_MAX:
            self.step()
        return op

    def step(self) -> bool:
        """Run one op that may run, drawn among the streams that are ready;

        False if there is none.
        """
        ready = [stream for stream in self._streams() if stream.is_ready()]
        if not ready:
            return False
        stream = self._random.choice(ready)
        op = stream.ops.popleft()
        self._queued -= 1
        self.time_us += 1
        try:
            op.effect()
        except (IndexError, ValueError, OverflowError) as error:
            stream.fail(op, DeviceError(f"a kernel failed: {error}"))
        op.time_us = self.time_us
        op.over = True
        return True


class Waiting:
    """The Pending of some ops, each with the stream whose failure it tells."""

    __slots__ = ("_awaited", "_schedule")

    def __init__(self, schedule: Schedule, awaited: Sequence[tuple[Stream, Op]]) -> None:
        self._schedule = schedule
        self._awaited = awaited

    def done(self) -> bool:
        # Whoever asks again and again must see it come to pass: asking is what lets time go on.
        self._schedule.step()
        return all(op.over for _stream, op in self._awaited)

    def wait(self, timeout_s: float | None = None) -> None:  # noqa: ARG002 - no time passes here
        """Run until all are over. Raises the first failure; all of the streams count as told."""
        while not all(op.over for _stream, op in self._awaited):
            if not self._schedule.step():
                raise DeviceError("the device was closed while an op was waited for")
        failures = [failed for stream, op in self._awaited if (failed := stream.told(op))]
        if failures:
            raise failures[0]
