"""Answers that are on their way, and where in the caller's program an op was queued."""

from __future__ import annotations

import os
import sys
from collections import deque
from pathlib import Path
from types import CodeType
from typing import Protocol, TypeAlias

import msgspec

from gon.errors import GonError, RemoteProtocolError, error_of
from gon.limits import BATCH_OPS_MAX
from gon.wire.batch import Reply

Origin: TypeAlias = tuple[CodeType, int]

HERE = str(Path(__file__).parent)
# What this package has of programs: to whom they queue, they are as any others.
PROGRAMS = (f"{HERE}{os.sep}bench{os.sep}", f"{HERE}{os.sep}demo{os.sep}")
_BATCHES_KEPT = 128


def _nowhere() -> None: ...


# For ops that are waited for where they are queued: the traceback says where.
NO_ORIGIN: Origin = (_nowhere.__code__, -1)


def is_ours(code: CodeType) -> bool:
    """Return whether code belongs to this package, and not to a program in it."""
    name = code.co_filename
    return name.startswith(HERE) and not name.startswith(PROGRAMS)


def caller(depth: int = 3) -> Origin:
    """Return the nearest frame that is not this package's, as cheaply as it can be named later.

    Looks from the frame `depth` above on, by default the caller of the device contract's method,
    which calls what calls this: every frame looked at costs.
    """
    # inspect, the public way to frames, costs a thousand times as much.
    frame = sys._getframe(depth)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    while is_ours(frame.f_code) and frame.f_back is not None:
        frame = frame.f_back
    return (frame.f_code, frame.f_lasti)


def name_origin(origin: Origin) -> str:
    """Return "file:line" of an origin."""
    code, last = origin
    if last < 0:
        return ""
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= last < end and number is not None:
            line = number
    return f"{code.co_filename}:{line}"


class Origins:
    """The origins of the latest ops, by their number in the session; bounded."""

    __slots__ = ("batches", "failures")

    def __init__(self) -> None:
        # The number of each batch's first op, and the origins from there on.
        self.batches: deque[tuple[int, list[Origin]]] = deque(maxlen=_BATCHES_KEPT)
        # How many failures have been told: each is asked here for where it comes from.
        self.failures = 0

    def keep(self, first: int, origins: list[Origin]) -> None:
        if len(origins) == 1 and self.batches:
            # The parts of one transfer are many frames of one place.
            before, known = self.batches[-1]
            joins = before + len(known) == first and known[-1] is origins[0]
            if joins and len(known) < BATCH_OPS_MAX:
                known.append(origins[0])
                return
        self.batches.append((first, origins))

    def name(self, number: int) -> str:
        """Return "file:line" where the op `number` was queued that has failed, "" if that is too
        long ago.
        """
        self.failures += 1
        # At one time: another thread may send, and keep, while this one receives.
        for first, origins in self.batches.copy():
            if first <= number < first + len(origins):
                return name_origin(origins[number - first])
        return ""


def once_more(error: GonError) -> GonError:
    """Return a new exception like `error`: a raised one drags its traceback along."""
    return error_of(
        error.code,
        error.message,
        op=error.op,
        number=error.number,
        origin=error.origin,
        log=error.log,
    )


class Waiting(Protocol):
    """Whoever can make an answer arrive."""

    def wait(self, answer: Answer, timeout_s: float | None) -> None: ...


class Answer(msgspec.Struct, eq=False, weakref=True):
    """The answer to one op; implements `gon.device.Pending`.

    `target` is where a read's bytes go, None if the answer carries something else, kept in `data`;
    `origin` is kept for answers that may be waited for elsewhere than where they were asked for.
    A msgspec.Struct because one is made in a third of the time.
    """

    waiting: Waiting
    target: memoryview | None = None
    origin: Origin = NO_ORIGIN
    data: bytes = b""
    settled: bool = False
    error: GonError | None = None

    def __repr__(self) -> str:
        state = "failed" if self.error else "here" if self.settled else "on its way"
        return f"Answer({state})"

    def done(self) -> bool:
        return self.settled

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when the answer is here. Raises the op's error, WaitTimeout, LeaseLost."""
        if not self.settled:
            self.waiting.wait(self, timeout_s)
        if self.error is not None:
            raise once_more(self.error)

    def settle(self, reply: Reply, origins: Origins) -> None:
        """Take the reply; payload bytes are in `target` already. Raises RemoteProtocolError."""
        target = self.target
        if reply.failure is not None:
            self.error = reply.failure.exception(origins.name(reply.failure.number))
        elif reply.data is not None:
            if target is None:
                self.data = reply.data
            elif len(reply.data) == target.nbytes:
                target[:] = reply.data
            else:
                raise RemoteProtocolError(
                    f"{len(reply.data)} bytes came for a read of {target.nbytes}"
                )
        elif target is not None and reply.size_bytes != target.nbytes:
            raise RemoteProtocolError("a read was answered without its bytes")
        self.target = None
        self.settled = True

    def fail(self, error: GonError) -> None:
        """Settle with an error of this side."""
        self.error = error
        self.target = None
        self.settled = True
