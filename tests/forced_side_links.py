"""Side links that come and go as a seed will have it, whatever transfers make of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from gon.transport.base import Bytes, Link, LinkStatistics
from gon_client.side_links import Opening
from gon_client.width import Way, Width
from gon_server.anteroom import Anteroom

MOST = 4


def force_side_links(monkeypatch: pytest.MonkeyPatch, seed: int, *, threads: bool = False) -> None:
    """Let sessions want another number of side links every few pieces; opened at once, or in a
    thread as ever.
    """
    chance = random.Random(seed)

    class Moody(Width):
        """However far it is, and whatever it gives."""

        def moved(
            self, way: Way, size_bytes: int, took_s: float, now_s: float, round_trip_s: float
        ) -> None:
            if chance.random() < 0.5:
                self.wanted = chance.randint(0, MOST)

    monkeypatch.setattr("gon_client.side_links.Width", Moody)
    monkeypatch.setattr("gon_client.side_links.ROUND_TRIP_S", 0.0)
    if not threads:
        monkeypatch.setattr(Opening, "start", Opening._run)


class _Waiting:
    """A side link that nothing goes over but its ticket."""

    lane = None
    sides = loan = None
    name = "waiting"

    def __init__(self) -> None:
        self._ticket = b""

    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        self._ticket = bytes(head)

    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        return memoryview(self._ticket)

    def receive_into(self, target: memoryview) -> None:
        raise AssertionError("nothing goes over it")

    def close(self) -> None: ...

    def statistics(self) -> LinkStatistics:
        return LinkStatistics(0, 0, 0, 0, 0, 0, 0, 0)


def open_waiting_side(anteroom: Anteroom) -> Link:
    """Open a side link without a connection."""
    side = _Waiting()
    anteroom.admit(side)
    return side
