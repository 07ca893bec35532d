"""Which side links that gond passed on are still there, whatever their workers say of them.

gond keeps a duplicate of each until it is shut down both ways, as workers do that close one, or its
peer has reset it. A worker that runs a tenant's code and keeps one open, or says nothing, so goes
on being counted for it.

Rules: nothing is read or sent here; a duplicate is closed at once when its connection is over, or
its worker. Must not know: how many there may be (gon_server.side_book).
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable


class SideWatch:
    """The side links of leases; `ended(lease)` is called for each that is over."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = ended
        self._kept: dict[int, tuple[str, socket.socket]] = {}
        self._poller = select.epoll()
        self._loop.add_reader(self._poller.fileno(), self._look)

    def __repr__(self) -> str:
        return f"SideWatch({len(self._kept)} side links)"

    def add(self, lease: str, sock: socket.socket) -> None:
        """Watch one that was passed on. Raises OSError."""
        kept = sock.dup()
        # Nothing but its end, which is always told.
        self._poller.register(kept, 0)
        self._kept[kept.fileno()] = lease, kept

    def over(self, lease: str) -> None:
        """Hear that a lease's worker is gone, and all that it held."""
        for fd in [fd for fd, (other, _) in self._kept.items() if other == lease]:
            self._close(fd)

    def close(self) -> None:
        """Watch none any more."""
        for fd in [*self._kept]:
            self._close(fd)
        if not self._poller.closed:
            self._loop.remove_reader(self._poller.fileno())
            self._poller.close()

    def _look(self) -> None:
        for fd, _ in self._poller.poll(0):
            self._ended(self._close(fd))

    def _close(self, fd: int) -> str:
        lease, kept = self._kept.pop(fd)
        self._poller.unregister(fd)
        kept.close()
        return lease
