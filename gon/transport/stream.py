"""Stream links: frames over one connected socket (`tcp`, `unix`, `vsock`), in blocking calls.

gon.transport.framing tells how frames lie on the stream, and why no byte of a payload is ever read
anywhere but into its place.

Two peers that both send more than the sockets hold, and receive only in `while_blocked`, do not
wait for each other: whoever receives a payload there goes on sending meanwhile.

Must not know: what heads mean, sessions, tokens.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import LinkLost, RemoteProtocolError
from gon.limits import BLOCKED_PAUSE_S, BLOCKED_SLICE_S, FRAME_STALL_S, PEER_SILENT_S, WAIT_SLICE_S
from gon.native import NATIVE
from gon.spin_limits import TICKS_S
from gon.transport.base import Bytes, LinkStatistics
from gon.transport.framing import JOIN_BYTES_MAX, PREFIX, after, parts_of
from gon.transport.interlude import Interlude
from gon.transport.keepalive import configure, has_vanished, timeval, wait_for
from gon.transport.read_ahead import ReadAhead
from gon.transport.stream_lane import PlainStreamLane

if TYPE_CHECKING or not NATIVE:
    StreamLane = PlainStreamLane
else:
    from gon.transport._stream_lane import StreamLane


class StreamLink:
    """A link over a connected stream socket, which it owns from now on. See
    gon.transport.base.Link.

    `close` ends the connection at once; the file descriptor is given back when nobody holds the
    link any more, so that a thread in the middle of a call can never meet its number in other
    hands.
    """

    sides = loan = None

    def __init__(self, sock: socket.socket, name: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._socket = sock
        # Stays open, and this link's, until the link is dropped; then it is ours to close.
        self.fd = sock.fileno()
        self._fd_to_close = -1
        self._name = name
        self._now_s = clock.now_s
        self._ahead = ReadAhead()
        self._receive_some = sock.recv_into
        # The short way, and what it carries; the counts here are those of the long way.
        self.lane = StreamLane(sock, self._ahead)
        # What is left of the frame being sent, and who may go on with it where it receives.
        self._outgoing: list[memoryview] = []
        self.interlude = Interlude()
        self._why_lost = ""
        # Taken by who ends it, and never given back: nobody waits for that.
        self._ending = threading.Lock()
        self._receive_bound_s = self._send_bound_s = 0.0
        self._frames_sent = self._frames_received = 0
        self._bytes_sent = self._bytes_received = self._copied_received = 0
        self._blocking_waits = 0
        try:
            configure(sock)
        except OSError as error:
            raise self._lost(error) from error

    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        state = f"lost: {self._why_lost}" if self._why_lost else "open"
        told = self.statistics()
        frames = f"{told.frames_sent} out, {told.frames_received} in"
        return f"StreamLink({self._name}, {state}, {frames})"

    def statistics(self) -> LinkStatistics:
        lane = self.lane
        return LinkStatistics(
            frames_sent=self._frames_sent + lane.frames_sent,
            frames_received=self._frames_received + lane.frames_received,
            bytes_sent=self._bytes_sent + lane.bytes_sent,
            bytes_received=self._bytes_received + lane.bytes_received,
            copied_sent=0,
            copied_received=self._copied_received,
            blocking_waits=self._blocking_waits + lane.blocking_waits,
            spin_hits=lane.spin_hits,
        )

    # Sending --------------------------------------------------------------------------------------
    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        self.interlude.refuse_here()
        size = len(head)
        sent = 0 if payloads or size > JOIN_BYTES_MAX else self.lane.send(head)
        if sent != PREFIX.size + size:
            self.send_rest(head, sent, while_blocked, payloads)

    def send_rest(
        self,
        head: Bytes,
        sent: int,
        while_blocked: Callable[[], None] | None,
        payloads: Sequence[Bytes] = (),
    ) -> None:
        """Send what is left of a frame of which the lane has sent `sent` bytes."""
        self._send_parts(after(parts_of(head, payloads), sent), while_blocked)
        self._frames_sent += 1

    def go_on(self) -> bool:
        """Go on, without waiting, with a frame whose sender is in `while_blocked` here; return
        whether there is more of it.
        """
        is_here = self.interlude.is_here()
        if is_here and self._outgoing:
            self._push(socket.MSG_DONTWAIT)
        return is_here and bool(self._outgoing)

    @property
    def sends_here(self) -> bool:
        """Whether this thread is in `while_blocked` of a frame."""
        return self.interlude.is_here()

    def send_behind(self, head: Bytes) -> None:
        """Let a small frame follow on that one."""
        self._outgoing = [*self._outgoing, *parts_of(head, ())]
        self._frames_sent += 1

    def _send_parts(
        self, parts: list[memoryview], while_blocked: Callable[[], None] | None
    ) -> None:
        """Send all parts in order.

        Whatever interrupts this ends the link: its peer would wait for the rest.
        """
        self._outgoing = parts
        whole = False
        try:
            if while_blocked is not None:
                self._send_between(while_blocked)
            elif self._send_bound_s != self.interlude.slice_s:
                self._bound_sends(self.interlude.slice_s)
            while self._outgoing:
                if not self._push(0):
                    self._wait_on()
            whole = True
        finally:
            if not whole:
                self._end_with("a frame was sent in part")

    def _send_between(self, while_blocked: Callable[[], None]) -> None:
        """Send `_outgoing`, and let `while_blocked` receive what comes meanwhile.

        Until something comes it blocks in the kernel, which moves large payloads faster than
        waiting for each bit of room does; BLOCKED_SLICE_S at a time, to see whether something came.
        """
        if self._send_bound_s != BLOCKED_SLICE_S:
            self._bound_sends(BLOCKED_SLICE_S)
        # Not by `lane.look`: a poller serves one thread at a time, and that one is the receiver's.
        while self._outgoing and not wait_for(self.fd, select.POLLIN, 0):
            if not self._push(0):
                self._wait_on()
        while self._outgoing:
            if not self._push(socket.MSG_DONTWAIT):
                self._wait_writable(while_blocked)

    def _wait_on(self) -> None:
        """See that a send that has waited in vain may wait on. Raises LinkLost."""
        self._check_peer()
        self.interlude.waited()

    def _push(self, flags: int) -> bool:
        """Send of `_outgoing` what the peer takes; return whether it took some."""
        try:
            sent = self._socket.sendmsg(self._outgoing, (), flags)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._lost(error) from error
        self._bytes_sent += sent
        self._outgoing = after(self._outgoing, sent)
        return True

    def _wait_writable(self, while_blocked: Callable[[], None]) -> None:
        """Return once the peer takes bytes, `while_blocked` was called, or a slice is over."""
        events = wait_for(self.fd, select.POLLOUT | select.POLLIN, self.interlude.slice_s)
        if not events:
            self._wait_on()
        if not events or events & select.POLLOUT:
            return
        received = self._bytes_received
        self.interlude.call(while_blocked)
        if self._bytes_received == received:
            # It had no room for more: to ask at once for what stays readable would burn the core.
            wait_for(self.fd, select.POLLOUT, BLOCKED_PAUSE_S)

    # Receiving ------------------------------------------------------------------------------------
    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        if timeout_s is None:
            head = self.lane.receive()
            if head is not None:
                return head
        if self._why_lost:
            raise self._lost("")
        deadline_s = self._now_s() + timeout_s if timeout_s else None
        ahead = self._ahead
        while True:
            try:
                head = ahead.frame()
            except ValueError as error:
                self._end_with(str(error))
                raise RemoteProtocolError(f"{error} on the link to {self._name}") from error
            if head is not None:
                self._frames_received += 1
                return head
            at, missing = ahead.room()
            if not self._read(at, missing, timeout_s):
                return None
            if deadline_s is not None:
                timeout_s = max(0.0, deadline_s - self._now_s())

    def receive_into(self, target: memoryview) -> None:
        size = target.nbytes
        held = self._ahead.take(target)
        self._copied_received += held
        if held == size:
            return
        whole = False
        try:
            self._read_payload(target[held:])
            whole = True
        finally:
            if not whole:
                self._end_with("a payload was received in part")

    def _read_payload(self, target: memoryview) -> None:
        """Receive a payload; in the middle of sending, go on sending where that would block.

        The peer may be doing the same: if both only received, each would wait for what the other
        is holding back.
        """
        sends = self.interlude.is_here()
        if not sends and self._receive_bound_s != WAIT_SLICE_S:
            self._bound_receives(WAIT_SLICE_S)
        quiet_s = 0.0
        while target.nbytes:
            got = self._read_some(target, socket.MSG_DONTWAIT if sends else socket.MSG_WAITALL)
            target = target[got:]
            if got or (sends and self._send_or_wait()):
                quiet_s = 0.0
            else:
                quiet_s += WAIT_SLICE_S
                self._check_stall(quiet_s)

    def _send_or_wait(self) -> bool:
        """Go on sending, or wait until something may be done; return False if a slice is over."""
        if self._outgoing and self._push(socket.MSG_DONTWAIT):
            return True
        wanted = select.POLLIN | (select.POLLOUT if self._outgoing else 0)
        return bool(wait_for(self.fd, wanted, WAIT_SLICE_S))

    def _read_some(self, target: memoryview, flags: int) -> int:
        """Return how many bytes of a payload came, 0 where it would block or time is over."""
        try:
            got = self._socket.recv_into(target, 0, flags)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(error) from error
        if not got:
            raise self._lost("the peer closed it in the middle of a payload")
        self._bytes_received += got
        return got

    def _read(self, at: int, size: int, timeout_s: float | None) -> bool:
        """Read 1 to `size` bytes into the buffer from `at` on; False if none came in time."""
        if timeout_s == 0:
            if not self.lane.look():
                return False
        elif not self.lane.spin():
            self._blocking_waits += 1
            bound_s = WAIT_SLICE_S if timeout_s is None else min(timeout_s, WAIT_SLICE_S)
            if timeout_s is not None and timeout_s < TICKS_S:
                if not wait_for(self.fd, select.POLLIN, timeout_s):
                    return False
            elif bound_s != self._receive_bound_s:
                self._bound_receives(bound_s)
        view = self._ahead.view
        target = view[at:] if at else view
        waited_s = 0.0
        while True:
            try:
                got = self._receive_some(target, size)
            except BlockingIOError:
                waited_s += self._receive_bound_s
                self.check_quiet(waited_s)
                if timeout_s is not None:
                    if waited_s >= timeout_s:
                        return False
                    self._bound_receives(min(timeout_s - waited_s, WAIT_SLICE_S))
            except OSError as error:
                raise self._lost(error) from error
            else:
                if not got:
                    where = " in the middle of a frame" if at else ""
                    raise self._lost(f"the peer closed it{where}")
                self._ahead.end = at + got
                self._bytes_received += got
                return True

    def rest_lane(self) -> None:
        """Let the lane receive nothing until the next blocking receive here."""
        self._receive_bound_s, self.lane.bounded = 0.0, False

    def _bound_receives(self, bound_s: float) -> None:
        """Let blocking reads give up after `bound_s`; this saves a poll before each read."""
        self._set_bound(socket.SO_RCVTIMEO, bound_s)
        self._receive_bound_s = bound_s
        self.lane.bounded = bound_s == WAIT_SLICE_S

    def _bound_sends(self, bound_s: float) -> None:
        self._set_bound(socket.SO_SNDTIMEO, bound_s)
        self._send_bound_s = bound_s
        self.lane.sends_bounded = True

    def _set_bound(self, option: int, bound_s: float) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, option, timeval(bound_s))
        except OSError as error:
            raise self._lost(error) from error

    # Ending ---------------------------------------------------------------------------------------
    def take_socket(self) -> socket.socket:
        """Return the socket, which is the caller's from now on; the link is over. Raises LinkLost.

        What was read ahead is lost, so this is for a peer that sends nothing yet.
        """
        if not self._ending.acquire(blocking=False):
            raise self._lost("")
        self._why_lost = "its socket was taken"
        return self._socket

    def close(self) -> None:
        self._end_with("closed on this side")

    def __del__(self) -> None:
        self._end_with("dropped")
        if self._fd_to_close >= 0:
            os.close(self._fd_to_close)

    def _end_with(self, reason: str) -> None:
        self._why_lost = self._why_lost or reason
        if not self._ending.acquire(blocking=False):
            return
        # What has come already would still be read by it.
        self.lane.bounded = False
        with suppress(OSError):  # the peer was first
            self._socket.shutdown(socket.SHUT_RDWR)
        # None is left if the garbage collector has finalized the socket before its link.
        self._fd_to_close = self._socket.detach()

    def _lost(self, cause: OSError | str) -> LinkLost:
        """End the link; return what to raise. The first reason it ended for is the one to tell."""
        self._end_with(cause if isinstance(cause, str) else os.strerror(cause.errno or 0))
        return LinkLost(f"the link to {self._name} is over: {self._why_lost}")

    def check_quiet(self, quiet_s: float) -> None:
        """Raise LinkLost if the peer's host has vanished, or a head has stopped half-way, `quiet_s`
        ago.
        """
        self._check_stall(quiet_s if self._ahead.start != self._ahead.end else 0.0)

    def _check_peer(self) -> None:
        """Raise LinkLost if the peer's host has vanished."""
        try:
            vanished = has_vanished(self._socket)
        except OSError as error:
            raise self._lost(error) from error
        if vanished:
            raise self._lost(f"the peer's host has not answered for {PEER_SILENT_S:.0f} s")

    def _check_stall(self, quiet_s: float) -> None:
        """Raise LinkLost if a frame has stopped half-way, `quiet_s` ago."""
        self._check_peer()
        if quiet_s >= FRAME_STALL_S:
            raise self._lost(f"the peer stopped {quiet_s:.0f} s ago in the middle of a frame")
