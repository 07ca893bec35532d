"""The short way through shared memory: a small frame written at once, a whole one read at once.

Nearly all frames are of this kind. A lane does them and says of everything else that it is not its:
the link then goes the long way, which meets an error again. `gon.transport._shm_lane` is the same,
natively.

Rules: one thread sends, one receives. A lane waits once, no longer than the bell's own bound, keeps
no frame and closes nothing.
"""

from __future__ import annotations

from gon.limits import SHM_SLEEP_S
from gon.transport.base import Bytes
from gon.transport.framing import PREFIX
from gon.transport.shm_bell import Bell
from gon.transport.shm_ring import PlainRingReader, PlainRingWriter
from gon.transport.spin import SpinPolicy, now_s, spin_on_memory


class PlainShmLane:
    """The short way over both rings of a link."""

    __slots__ = (
        "_data",
        "_reader",
        "_spin",
        "_writer",
        "blocking_waits",
        "frames_received",
        "frames_sent",
        "look",
        "over",
    )

    def __init__(
        self, writer: PlainRingWriter, reader: PlainRingReader, data: Bell, _room: Bell
    ) -> None:
        self._writer, self._reader, self._data = writer, reader, data
        self._spin = SpinPolicy()
        self.frames_received = self.frames_sent = self.blocking_waits = 0
        # Set once the link is over: nothing goes or comes this way any more.
        self.over = False
        # Says whether there is something to read, at once; for the receiver only.
        self.look = reader.has_some

    @property
    def spin_hits(self) -> int:
        """Waits that were over before they blocked."""
        return self._spin.hits

    def spin(self) -> bool:
        """Look for a moment whether something comes, where that has paid; return whether it did."""
        policy = self._spin
        return policy.wants() and spin_on_memory(policy, self.look, self._data.look)

    def send(self, head: Bytes) -> int:
        """Write a frame without payloads if it fits at once; return the bytes that went, the prefix
        among them: all or none.
        """
        if self.over or not self._writer.put_frame(head):
            return 0
        self.frames_sent += 1
        return PREFIX.size + len(head)

    def receive(self) -> memoryview | None:
        """Wait for one frame and return its head, a copy, if all of it is there then.

        None says that there is more to it.
        """
        reader = self._reader
        if self.over or reader.in_frame:
            return None
        if not reader.has_some() and not self._awaited():
            return None
        head = reader.whole()
        if head is None:
            return None
        self.frames_received += 1
        return memoryview(head)

    def _awaited(self) -> bool:
        """Wait once; return whether something is there to read."""
        begun_s = now_s() if self._spin.skip else 0.0
        if self.spin():
            return True
        self.blocking_waits += 1
        if self._reader.sleep():
            self._data.wait(SHM_SLEEP_S)
        if begun_s:
            self._spin.took(now_s() - begun_s)
        return self.look()
