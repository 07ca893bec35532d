"""What a device has cost on the network: the frozen numbers behind `gon.stats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gon.native import NATIVE
from gon.transport.base import Link
from gon.wire.session import Session
from gon_client.outbox import PlainOutbox

if TYPE_CHECKING or NATIVE:
    from gon_client._express import Express, Outbox


class LinkCounts(msgspec.Struct, frozen=True):
    """What a session has done: ops posted, frames of them, waits for an answer, bytes each way.

    `round_trips` counts the waits that had to receive something; `resumed` lost links replaced;
    `recalled` contents that the host had, `recalled_bytes` what was not sent of them; `repeated`
    ops that went as repeats of earlier ones, `repeated_bytes` what was not sent for it;
    `compression` what both ends compress by, "" for nothing; `compressed` pieces of transfers,
    either way, that went so, `compressed_bytes` what did not travel; `side_links` further
    connections that large transfers go over now, `side_links_added` those that there ever were,
    `side_links_lost` those that broke and cost only themselves; `mapped_bytes` those of buffers
    that lie where this process reaches them, `direct_copies` transfers that it did there by itself,
    `direct_bytes` what they moved.
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
    recalled: int = 0
    recalled_bytes: int = 0
    repeated: int = 0
    repeated_bytes: int = 0
    compression: str = ""
    compressed: int = 0
    compressed_bytes: int = 0
    side_links: int = 0
    side_links_added: int = 0
    side_links_lost: int = 0
    mapped_bytes: int = 0
    direct_copies: int = 0
    direct_bytes: int = 0


NOTHING_CARRIED = LinkCounts(0, 0, 0, 0, 0, 0, 0, 0, 0)


class Tally:
    """What a session link counts, and what its lost links had carried."""

    __slots__ = (
        *("_copied_received", "_copied_sent", "_received", "_sent"),
        *("quick", "round_trips", "waits"),
    )

    def __init__(self) -> None:
        self.waits = self.round_trips = 0
        # What counts waits the quick way, if there is one.
        self.quick: Express | None = None
        self._sent = self._received = self._copied_sent = self._copied_received = 0

    def keep(self, link: Link) -> None:
        """Keep the counts of a link that is lost."""
        last = link.statistics()
        self._sent += last.bytes_sent
        self._received += last.bytes_received
        self._copied_sent += last.copied_sent
        self._copied_received += last.copied_received

    @property
    def all_waits(self) -> int:
        """Waits, those the quick way included."""
        return self.waits + (0 if self.quick is None else self.quick.waits)

    def counts(self, link: Link, session: Session, outbox: PlainOutbox | Outbox) -> LinkCounts:
        """Return all counts, those of the present link and of waits the quick way included."""
        quick_waits = self.all_waits - self.waits
        now, done, folds = link.statistics(), session.statistics(), outbox.folds
        return LinkCounts(
            ops=outbox.first - 1 + outbox.count,
            batches=done.frames_sent,
            waits=self.waits + quick_waits,
            round_trips=self.round_trips + quick_waits,
            bytes_sent=self._sent + now.bytes_sent,
            bytes_received=self._received + now.bytes_received,
            copied_sent=self._copied_sent + now.copied_sent,
            copied_received=self._copied_received + now.copied_received,
            resumed=done.resumed,
            repeated=0 if folds is None else folds.ops,
            repeated_bytes=0 if folds is None else folds.saved_bytes,
        )
