"""When a wait is over: a time limit that is given once and asked for what is left."""

from __future__ import annotations

import math

from gon.clock import Clock
from gon.errors import InvalidArgument, WaitTimeout
from gon.limits import WAIT_SLICE_S


class Deadline:
    """`timeout_s` from now on, None for no limit. Raises InvalidArgument for no time."""

    __slots__ = ("_clock", "_timeout_s", "_until_s")

    def __init__(self, clock: Clock, timeout_s: float | None) -> None:
        if timeout_s is not None and math.isnan(timeout_s):
            raise InvalidArgument(f"timeout_s is {timeout_s}, no time")
        self._clock = clock
        self._timeout_s = timeout_s
        self._until_s = 0.0 if timeout_s is None else clock.now_s() + timeout_s

    def left_s(self) -> float | None:
        """Return the seconds left, None for no limit; of many a slice, for no lock and no socket
        waits as long as a program may say. Raises WaitTimeout if there are none.
        """
        if self._timeout_s is None:
            return None
        left_s = self._until_s - self._clock.now_s()
        if left_s <= 0:
            raise WaitTimeout(f"no answer within {self._timeout_s:g} s; the op goes on")
        return min(left_s, WAIT_SLICE_S)
