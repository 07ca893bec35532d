"""What a device has cost on the network: the frozen numbers behind `gon.stats`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """What a session has done: ops posted, frames of them, waits for an answer, bytes each way.

    `round_trips` counts the waits that had to receive something; `resumed` lost links replaced.
    """

    ops: int
    batches: int
    waits: int
    round_trips: int
    bytes_sent: int
    bytes_received: int
    copied_sent: int
    copied_received: int
    resumed: int


NOTHING_CARRIED = LinkCounts(0, 0, 0, 0, 0, 0, 0, 0, 0)
