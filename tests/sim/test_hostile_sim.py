"""Seeded hostile clients against the worker's real loop: each ends its own link or is answered.

Nothing but an error of the protocol or a lost link leaves the loop, the quota holds, and the link
is closed when the client has hung up.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from gon.device import HostDevice
from gon.transport.base import Link
from gon.transport.inproc import inproc_pair
from gon.transport.stream import StreamLink
from gon_server.devices.sim import SimDevice
from tests.inproc_worker import PATIENCE_S, InprocWorker
from tests.loans import SmallPages
from tests.sim.hostile import Hostile, recorded
from tests.sim.programs import QUOTA_BYTES

SESSIONS = 20


def attack(device: HostDevice, raw: bytes) -> InprocWorker:
    """Send all that a client sends; return its worker, which has ended the link."""
    ours, there = socket.socketpair()
    ours.settimeout(PATIENCE_S)

    def pair() -> tuple[Link, Link]:
        nobodys, _other = inproc_pair()
        return nobodys, StreamLink(there, "pair:client")

    worker = InprocWorker(device, pair, QUOTA_BYTES, pages=SmallPages(16 << 20))
    worker.connect()
    reader = threading.Thread(target=_drain, args=(ours,))
    reader.start()
    with suppress(OSError):  # the link may have ended already
        ours.sendall(raw)
        ours.shutdown(socket.SHUT_WR)
    reader.join(PATIENCE_S)
    assert not reader.is_alive(), "the worker keeps a link that has ended"
    ours.close()
    return worker


def _drain(sock: socket.socket) -> None:
    with suppress(ConnectionError):
        while sock.recv(65_536):
            pass


@pytest.mark.parametrize("seed", range(8))
def test_a_hostile_client_is_answered_or_loses_its_link(seed: int) -> None:
    frames = recorded(seed)
    for number in range(SESSIONS):
        device = SimDevice(seed)
        worker = attack(device, Hostile(frames, 1000 * seed + number).session())
        # An error that is none of a peer's would have ended its thread.
        worker.alive()
        worker.close()
        device.close()
