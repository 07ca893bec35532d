"""When gathered ops are sent: the policy alone, pure.

An op that nobody waits for yet may travel with others. How many are worth a frame follows from what
is seen, not from a timer:

- A burst begins with small frames, so that the worker begins, and goes on with larger ones, each a
  share of what has gone: the last one, which the worker starts on last, is never a large part.
- Where a program waits far longer for a burst than it takes to queue it, for the worker is far away
  or computes for long, beginning early gains next to nothing, and each frame costs both ends a turn
  of a processor that may be computing: then all of it shares the wait's frame, if that is possible.
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
# A burst that is waited for so many times longer than it took to queue goes in one frame: what that
# can cost is a sixteenth of the wait; and goes on to do so for half as long a wait.
_LONG_WAIT = 16.0
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

    __slots__ = (
        "_began_s",
        "_behind",
        "_burst",
        "_queued_s",
        "_together",
        "age_s",
        "idle_target",
        "ops_target",
        "settled",
        "woke_s",
    )

    bytes_target = BATCH_BYTES_TARGET

    def __init__(self) -> None:
        self._behind = False
        # Ops of the burst that goes on, those of frames that were sent.
        self._burst = 0
        # When the last wait was over, and when this one began; how long what it ends took to queue,
        # 0 for what is no burst; whether bursts go in one frame.
        self.woke_s = self._began_s = self._queued_s = 0.0
        self._together = False
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
        self._together = False
        self.age_s = max(AGE_MIN_S, self.age_s / 2)
        self._burst = 0
        self._aim()

    def begins(self, now_s: float) -> None:
        """A wait begins."""
        self._began_s, self._queued_s = now_s, 0.0

    def waited(self, ops: int) -> None:
        """A wait sends what is gathered, so many ops with its own: a burst ends. If there is one,
        it was queued a moment ago, and such ops may share the wait's frame again.
        """
        if ops + self._burst > IDLE_OPS_TARGET:
            self._queued_s = max(0.0, self._began_s - self.woke_s)
        if ops > 1 or self._burst:
            self.idle_target = min(IDLE_OPS_TARGET, 2 * self.idle_target)
            self.age_s = min(AGE_MAX_S, 2 * self.age_s)
            self._burst = 0
        self._aim()

    def ends(self, now_s: float) -> None:
        """The wait is over."""
        if self._queued_s:
            long_s = self._queued_s * _LONG_WAIT
            waited_s = now_s - self._began_s
            self._together = waited_s > (long_s / 2 if self._together else long_s)
            self._aim()
        self.woke_s = now_s

    def _aim(self) -> None:
        burst = self._burst
        if self._behind or self._together:
            self.ops_target = BATCH_OPS_TARGET
        elif burst:
            self.ops_target = min(BATCH_OPS_TARGET, max(IDLE_OPS_TARGET, burst // _SHARE))
        else:
            self.ops_target = self.idle_target
        self.settled = not burst and self.idle_target == IDLE_OPS_TARGET
