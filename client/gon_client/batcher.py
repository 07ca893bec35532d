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
    """Says how many ops are worth a frame now; `ops_target` is read for every op."""

    __slots__ = ("ops_target",)

    bytes_target = BATCH_BYTES_TARGET

    def __init__(self) -> None:
        self.ops_target = IDLE_OPS_TARGET

    def sent(self) -> None:
        """A frame is in flight: gather."""
        self.ops_target = BATCH_OPS_TARGET

    def idle(self) -> None:
        """Nothing is in flight any more: do not let the worker wait."""
        self.ops_target = IDLE_OPS_TARGET
