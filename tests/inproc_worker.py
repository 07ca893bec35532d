"""A worker in this process: a session served by a thread, for tests of the real loops without gond.

What stands between client and worker is up to the test: `make_pair` gives the two ends of each
link, the client's first.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

from gon.clock import SYSTEM_CLOCK, Clock
from gon.device import HostDevice
from gon.errors import LeaseLost, LinkLost, RemoteProtocolError
from gon.limits import GRACE_S, MIB
from gon.transport.base import Link
from gon.transport.inproc import inproc_pair
from gon.transport.stream import StreamLink
from gon_client.dial import Dialer
from gon_client.link import SessionLink
from gon_client.remote import RemoteDevice
from gon_server.conversation import Conversation
from gon_server.pages import Pages
from gon_server.recalling import Contents
from gon_server.worker import GivenLinks

MakePair: TypeAlias = Callable[[], tuple[Link, Link]]
# More than any test allocates, unless it is about the quota.
QUOTA_BYTES = 256 * MIB
# What a test waits at most, for what takes milliseconds: a loaded machine is slow.
PATIENCE_S = 30.0


def stream_pair() -> tuple[Link, Link]:
    """Return the ends of a stream link: the native modules have a quick way for those alone."""
    here, there = socket.socketpair()
    return StreamLink(here, "pair:worker"), StreamLink(there, "pair:client")


class InprocWorker:
    """Serves one session on `device`, link after link, as gon_server.worker does."""

    def __init__(
        self,
        device: HostDevice,
        make_pair: MakePair = inproc_pair,
        memory_bytes: int = QUOTA_BYTES,
        contents: Contents | None = None,
        program_bytes: int = 0,
        pages: Pages | None = None,
    ) -> None:
        self._given = GivenLinks()
        self.conversation = Conversation(
            device,
            memory_bytes,
            contents=contents,
            anteroom=self._given.anteroom,
            pages=pages,
            program_bytes=program_bytes,
        )
        # How links ended, but for goodbyes.
        self.endings: list[LinkLost | RemoteProtocolError] = []
        self._make_pair = make_pair
        self._over = False
        self._thread = threading.Thread(target=self._serve, name="inproc-worker", daemon=True)
        self._thread.start()

    def connect(self) -> Link:
        """Return the client's end of a new link; it replaces the one before."""
        here, there = self._make_pair()
        self._given.give(there)
        return here

    def take_side(self, link: Link) -> None:
        """Take the worker's end of a side link."""
        self._given.anteroom.admit(link)

    def alive(self) -> None:
        """Return while the worker serves. Raises LeaseLost, as a lease that has ended does."""
        if not self._thread.is_alive():
            raise LeaseLost("the worker has ended")

    def close(self) -> None:
        """End the worker; its device is the caller's."""
        self._over = True
        ended, _other = inproc_pair()
        self._given.give(ended)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the worker goes on"

    def _serve(self) -> None:
        while True:
            link = self._given.next_link()
            if self._over:
                return
            try:
                self.conversation.serve(link)
            except (LinkLost, RemoteProtocolError) as error:
                self.endings.append(error)
            finally:
                link.close()


def open_session(
    worker: InprocWorker,
    *,
    grace_s: float = GRACE_S,
    clock: Clock = SYSTEM_CLOCK,
    open_side: Callable[[], Link] | None = None,
) -> SessionLink:
    """Return a client's session with the worker."""
    dialer = Dialer(
        worker.connect,
        worker.alive,
        client="tests",
        grace_s=grace_s,
        clock=SYSTEM_CLOCK,
        open_side=open_side,
    )
    return SessionLink(dialer, clock)


@contextmanager
def remote(
    device: HostDevice,
    make_pair: MakePair = inproc_pair,
    memory_bytes: int = QUOTA_BYTES,
    contents: Contents | None = None,
    program_bytes: int = 0,
    pages: Pages | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Generator[RemoteDevice]:
    """Give `device` from afar; close both ends of the session, and then the device."""
    worker = InprocWorker(device, make_pair, memory_bytes, contents, program_bytes, pages)
    try:
        far = RemoteDevice(open_session(worker, clock=clock))
        try:
            yield far
        finally:
            far.close()
    finally:
        worker.close()
        device.close()
