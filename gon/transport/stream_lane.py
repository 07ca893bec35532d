"""The short way of a stream: a small frame sent by one call, a whole small frame read by one call.

Nearly all frames are of this kind. A lane does them and says of everything else that it is not its:
the link then goes the long way, which finds what was read in `ahead`, and meets an error again.
`gon.transport._stream_lane` is the same, natively.

Rules: one thread sends, one receives. A lane never waits longer than the socket's own bound, keeps
no frame and closes nothing.
"""

from __future__ import annotations

import select
import socket
from functools import partial

from gon.limits import READ_AHEAD_BYTES
from gon.transport.base import Bytes
from gon.transport.framing import MAGIC, PREFIX
from gon.transport.read_ahead import ReadAhead
from gon.transport.spin import SpinPolicy, now_s, spin

_NOW = socket.MSG_DONTWAIT


class PlainStreamLane:
    """The short way over one connected stream socket."""

    __slots__ = (
        "_ahead",
        "_receive_some",
        "_send_some",
        "_spin",
        "blocking_waits",
        "bounded",
        "bytes_received",
        "bytes_sent",
        "frames_received",
        "frames_sent",
        "look",
        "receives_payloads",
        "sends_bounded",
        "sends_payloads",
    )

    def __init__(self, sock: socket.socket, ahead: ReadAhead) -> None:
        self._ahead = ahead
        self._receive_some, self._send_some = sock.recv_into, sock.send
        self._spin = SpinPolicy()
        # Whether blocking reads give up in time, as the link sees to.
        self.bounded = False
        # The same of blocking sends; and whether payloads go and come on this stream, and not on
        # side links. This lane has none.
        self.sends_bounded = False
        self.sends_payloads = self.receives_payloads = True
        self.bytes_received = self.bytes_sent = 0
        self.frames_received = self.frames_sent = self.blocking_waits = 0
        poller = select.poll()
        poller.register(sock.fileno(), select.POLLIN)
        # Says whether there is something to read, at once; for the receiver only.
        self.look = partial(poller.poll, 0)

    @property
    def spin_hits(self) -> int:
        """Waits that were over before they blocked."""
        return self._spin.hits

    def spin(self) -> bool:
        """Look for a moment whether something comes, where that has paid; return whether it did."""
        return self._spin.wants() and spin(self._spin, self.look)

    def send(self, head: Bytes) -> int:
        """Send a frame without payloads as far as the socket takes it at once; return the bytes
        that went, the prefix among them.
        """
        frame = PREFIX.pack(len(head), 0, MAGIC) + head
        try:
            sent = self._send_some(frame, _NOW)
        except OSError:
            return 0
        self.bytes_sent += sent
        self.frames_sent += sent == len(frame)
        return sent

    def receive(self) -> memoryview | None:
        """Wait for one frame and return its head if all of it came by one read.

        None says that there is more to it; what was read is in `ahead`.
        """
        ahead = self._ahead
        if not self.bounded or ahead.start != ahead.end:
            return None
        policy = self._spin
        begun_s = 0.0
        if policy.skip:
            policy.skip -= 1
            self.blocking_waits += 1
            begun_s = now_s()
        elif not spin(policy, self.look):
            self.blocking_waits += 1
        try:
            got = self._receive_some(ahead.view, READ_AHEAD_BYTES)
        except OSError:
            return None
        if begun_s:
            policy.took(now_s() - begun_s)
        self.bytes_received += got
        if got >= PREFIX.size:
            size, pad_size, magic = PREFIX.unpack_from(ahead.buffer)
            if magic == MAGIC and PREFIX.size + size + pad_size == got:
                self.frames_received += 1
                return ahead.view[PREFIX.size : PREFIX.size + size]
        ahead.start, ahead.end = 0, got
        return None
