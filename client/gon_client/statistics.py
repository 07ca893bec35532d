"""`gon.stats`: what a device's use of the network comes to."""

from __future__ import annotations

from dataclasses import dataclass

from gon_client.counts import LinkCounts
from gon_client.device import Device

# A loop that waits for an answer after fewer ops than this is bound by the round trip.
_WAIT_BOUND_OPS = 8
# So many of the operations that the unit did not do are named, the most frequent first.
_NAMED_MOST = 5


@dataclass(frozen=True, slots=True)
class DeviceStatistics:
    """Counts since the device was acquired; of the link all zero for a device in this process.

    `done_here` are operations that this machine's processor did in the unit's place, and how often.
    """

    counts: LinkCounts
    done_here: tuple[tuple[str, int], ...] = ()

    @property
    def ops_per_round_trip(self) -> float:
        """Ops that share one wait for the network."""
        return self.counts.ops / max(1, self.counts.round_trips)

    @property
    def wait_bound(self) -> bool:
        """Whether the program waits so often that the round trip decides its speed."""
        return self.counts.round_trips > 0 and self.ops_per_round_trip < _WAIT_BOUND_OPS

    def __str__(self) -> str:
        counts = self.counts
        text = (
            f"{counts.ops} ops in {counts.batches} batches, {counts.round_trips} round trips, "
            f"{counts.waits} waits, {counts.bytes_sent} bytes sent, "
            f"{counts.bytes_received} bytes received"
        )
        if counts.recalled:
            text += f", {counts.recalled} contents recalled, {counts.recalled_bytes} bytes not sent"
        if counts.repeated:
            text += f", {counts.repeated} ops repeated, {counts.repeated_bytes} bytes not sent"
        if counts.compressed:
            text += f", {counts.compressed} pieces compressed, {counts.compressed_bytes} bytes less"
        if counts.side_links_added:
            text += f", {counts.side_links} side links, {counts.side_links_added} ever"
            text += f", {counts.side_links_lost} lost" if counts.side_links_lost else ""
        if counts.direct_copies:
            text += (
                f", {counts.direct_copies} direct copies of {counts.direct_bytes} bytes, "
                f"{counts.mapped_bytes} bytes mapped"
            )
        if counts.resumed:
            text += f", {counts.resumed} lost links resumed"
        if self.done_here:
            total = sum(count for _, count in self.done_here)
            names = ", ".join(f"{name} {count}" for name, count in self.done_here[:_NAMED_MOST])
            more = ", …" if len(self.done_here) > _NAMED_MOST else ""
            text += f"\n{total} operations done by this machine's processor: {names}{more}"
        if self.wait_bound:
            text += (
                f"\nwait-bound: a round trip every {self.ops_per_round_trip:.1f} ops; "
                "read results later, or fewer of them"
            )
        return text


def stats(device: Device) -> DeviceStatistics:
    """Return a snapshot of ops, batches, round trips, waits and bytes of a device."""
    return DeviceStatistics(device.counts(), tuple(device.done_here.most_common()))
