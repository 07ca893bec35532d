"""When gathered ops are sent: the policy alone, pure.

An op that nobody waits for yet may travel with others. How many are worth a frame follows from what
is seen, not from a timer:

- A burst begins with small frames, so that the worker begins, and goes on with larger ones, each a
  share of what has gone: the last one, which the worker starts on last, is never a large part.
- While many frames are not acknowledged the worker has enough to do, or is far away: as much is
  gathered as a frame is worth.
- Before a burst a few ops are gathered, so that a launch and its wait share a frame. But a program
  that leaves what it has queued to the pump, for it does something else meanwhile, is one whose
  first op should go at once: it does, until the program waits again soon after it queues.

What is left goes out with the next wait, or has aged: the pump sends what it finds for the second
time, and looks the more often the more it finds.
"""

from __future__ import annotations

from typing import Protocol

from gon.limits import BATCH_BYTES_TARGET, BATCH_OPS_TARGET

# Ops of the first frames of a burst, if the program waits for what it queues.
IDLE_OPS_TARGET = 8
# How long what is gathered may lie before the pump looks at it again.
AGE_MAX_S = 0.002
AGE_MIN_S = 0.00025
# The next frame's share of a burst: 1/8 costs 5 % more in frames than the largest ones would, and
# leaves an eighth of the worker's time uncovered at most.
_SHARE = 8
# Frames in flight that tell of a worker that is behind: it acknowledges every eighth at the latest.
_BEHIND = 9


class Gathered(Protocol):
    """Ops that are gathered: how many, and the bytes that they carry."""

    @property
    def count(self) -> int: ...

    @property
    def inline_bytes(self) -> int: ...


class Batcher:
    """Says how many ops are worth a frame now; `ops_target` is read for every op."""

    __slots__ = ("_behind", "_burst", "age_s", "idle_target", "ops_target", "settled")

    bytes_target = BATCH_BYTES_TARGET

    def __init__(self) -> None:
        self._behind = False
        # Ops of the burst that goes on, those of frames that were sent.
        self._burst = 0
        self.age_s = AGE_MAX_S
        self.idle_target = self.ops_target = IDLE_OPS_TARGET
        # Whether `waited` would change nothing.
        self.settled = True

    def __repr__(self) -> str:
        return f"Batcher({self.ops_target} ops a frame, {self.age_s * 1e3:g} ms)"

    def is_much(self, gathered: Gathered) -> bool:
        """Return whether nothing more is to be gathered before this is sent, whoever may send it
        later.
        """
        return gathered.count >= BATCH_OPS_TARGET or gathered.inline_bytes >= self.bytes_target

    def sent(self, ops: int, flying: int) -> None:
        """A frame of so many ops was sent, and so many frames are in flight."""
        self._burst += ops
        self.flying(flying)

    def flying(self, frames: int) -> None:
        """So many frames are in flight."""
        self._behind = frames >= _BEHIND
        self._aim()

    def aged(self) -> None:
        """The pump sends what nobody waited for: let what comes next begin sooner."""
        self.idle_target = 1
        self.age_s = max(AGE_MIN_S, self.age_s / 2)
        self._burst = 0
        self._aim()

    def waited(self, ops: int) -> None:
        """A wait sends what is gathered, so many ops with its own: a burst ends. If there is one,
        it was queued a moment ago, and such ops may share the wait's frame again.
        """
        if ops > 1 or self._burst:
            self.idle_target = min(IDLE_OPS_TARGET, 2 * self.idle_target)
            self.age_s = min(AGE_MAX_S, 2 * self.age_s)
            self._burst = 0
        self._aim()

    def _aim(self) -> None:
        burst = self._burst
        if self._behind:
            self.ops_target = BATCH_OPS_TARGET
        elif burst:
            self.ops_target = min(BATCH_OPS_TARGET, max(IDLE_OPS_TARGET, burst // _SHARE))
        else:
            self.ops_target = self.idle_target
        self.settled = not burst and self.idle_target == IDLE_OPS_TARGET
