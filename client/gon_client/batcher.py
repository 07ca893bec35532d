"""When gathered ops are sent: the policy alone, pure.

An op that nobody waits for yet may travel with others. While nothing is in flight the worker is
idle, so little is gathered; while a batch is in flight, more is, and the send costs less an op.
Whatever is left goes out with the next wait, or with the next tick of the pump, so that no op is
held for longer than two ticks.
"""

from __future__ import annotations

from gon.limits import BATCH_BYTES_TARGET, BATCH_OPS_TARGET

# Ops gathered while the link is idle: launch and sync share a frame, a burst starts soon.
IDLE_OPS_TARGET = 8


class Batcher:
    """Decides how many ops and inline bytes are worth a frame."""

    __slots__ = ("bytes_target", "ops_target")

    def __init__(self) -> None:
        self.ops_target = IDLE_OPS_TARGET
        self.bytes_target = BATCH_BYTES_TARGET

    def in_flight(self, frames: int) -> None:
        """Take note of how many frames the worker has not acknowledged."""
        self.ops_target = BATCH_OPS_TARGET if frames else IDLE_OPS_TARGET
