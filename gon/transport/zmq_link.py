"""One end of a ZeroMQ link: frames as messages over a port. See gon.transport.zmq."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import zmq

from gon.clock import Clock
from gon.errors import (
    LinkLost,
    LocalProtocolError,
    RemoteProtocolError,
)
from gon.forked import inherit
from gon.limits import (
    FRAME_STALL_S,
    WAIT_SLICE_S,
    ZMQ_CHUNK_BYTES,
    ZMQ_RELEASE_POLL_S,
    ZMQ_RELEASE_WAIT_S,
)
from gon.transport.base import Bytes, LinkStatistics
from gon.transport.framing import as_bytes, check_frame
from gon.transport.spin import SpinPolicy, spin
from gon.transport.zmq_port import ZmqPort

_T = TypeVar("_T")

NOW = int(zmq.NOBLOCK)
MORE_NOW = int(zmq.NOBLOCK | zmq.SNDMORE)


class ZmqLink:
    """A link over a port. See gon.transport.base.Link.

    On a ROUTER `identity` is the peer's, `fd` its connection's file descriptor, and `meet` is given
    every stranger's identity, its message unread.
    """

    lane = None
    sides = loan = None

    def __init__(
        self,
        port: ZmqPort,
        name: str,
        clock: Clock,
        identity: bytes = b"",
        fd: int = -1,
        meet: Callable[[bytes], None] | None = None,
    ) -> None:
        self._port = port
        self._name = name
        self._now_s = clock.now_s
        self._identity = identity
        self._fd = fd
        self._meet = meet
        self._spin = SpinPolicy()
        self._look = partial(port.look, port.receiver, 0)
        # What is left of the frame being sent, and whether its sender is in `while_blocked`; what
        # ZeroMQ still sends from the caller's memory.
        self._outgoing: deque[tuple[Bytes, bool]] = deque()
        self._in_callback = False
        self._held: list[zmq.MessageTracker] = []
        # Why the link is over; and why it will be when all that has come is received.
        self._over = ""
        self._gone = ""
        inherit(self, ZmqLink.forsake)
        self._frames_sent = self._frames_received = 0
        self._bytes_sent = self._bytes_received = 0
        self._blocking_waits = 0

    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        state = f"lost: {self._over or self._gone}" if self._over or self._gone else "open"
        frames = f"{self._frames_sent} out, {self._frames_received} in"
        return f"ZmqLink({self._name}, {state}, {frames})"

    def statistics(self) -> LinkStatistics:
        return LinkStatistics(
            frames_sent=self._frames_sent,
            frames_received=self._frames_received,
            bytes_sent=self._bytes_sent,
            bytes_received=self._bytes_received,
            copied_sent=0,
            copied_received=0,
            blocking_waits=self._blocking_waits,
            spin_hits=self._spin.hits,
        )

    # Sending --------------------------------------------------------------------------------------
    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        check_frame(head, payloads)
        if self._in_callback:
            raise LocalProtocolError("a frame cannot be sent in the middle of another one")
        # Small heads are copied by ZeroMQ; payloads it sends from where they are.
        self._outgoing.append((head, False))
        for payload in map(as_bytes, payloads):
            for at in range(0, payload.nbytes, ZMQ_CHUNK_BYTES):
                self._outgoing.append((payload[at : at + ZMQ_CHUNK_BYTES], True))
        whole = False
        try:
            while not self._push():
                self._wait_blocked(WAIT_SLICE_S, while_blocked)
            if payloads:
                self._await_release(while_blocked)
            whole = True
        finally:
            self._held.clear()
            if not whole:
                self._outgoing.clear()
                self.end("a frame was sent in part")
        self._frames_sent += 1

    def _push(self) -> bool:
        """Give ZeroMQ of `_outgoing` what it takes; return whether that was all."""
        port, outgoing, send = self._port, self._outgoing, self._port.socket.send
        with port.lock:
            port.sender.waits = False
            self._check_open()
            refused = False
            try:
                while outgoing:
                    data, keep = outgoing[0]
                    try:
                        if self._identity:
                            send(self._identity, MORE_NOW)
                        tracker = None
                        if keep:
                            # In a child of fork that leaves this call by an exception, the end of
                            # a frame would call a thread that is not there: it is the port's too.
                            port.frame = zmq.Frame(data, track=True)
                            tracker = send(port.frame, NOW, copy=False, track=True)
                            port.frame = None
                        else:
                            send(data, NOW)
                    except zmq.Again:
                        if refused:
                            break
                        # Once more after taking in all changes, which a send does not always do.
                        refused = True
                        port.readable()
                        continue
                    if tracker is not None:
                        self._held.append(tracker)
                    self._bytes_sent += len(data)
                    outgoing.popleft()
            except zmq.ZMQError as error:
                raise self.lost(f"the peer is gone: {error.strerror}") from error
            if outgoing and self._gone:
                raise self.lost(self._gone)
            port.sender.waits = bool(outgoing)
            if port.receiver.waits:
                port.nudge_receiver()
        return not outgoing

    def _wait_blocked(self, timeout_s: float, while_blocked: Callable[[], None] | None) -> None:
        """Wait for a change; call `while_blocked` if there is something to receive."""
        port = self._port
        if while_blocked is None:
            port.look(port.sender, timeout_s)
            return
        with port.lock:
            readable = port.readable()
        if not readable and port.look(port.sender, timeout_s):
            with port.lock:
                readable = port.readable()
        if not readable:
            return
        received = self._bytes_received
        self._in_callback = True
        try:
            while_blocked()
        finally:
            self._in_callback = False
        if self._bytes_received == received:
            # It had no room for more; what is readable stays so.
            port.look(port.sender, ZMQ_RELEASE_POLL_S)

    def _await_release(self, while_blocked: Callable[[], None] | None) -> None:
        """Return when ZeroMQ needs none of the payloads' memory any more."""
        for tracker in self._held:
            while not tracker.done:
                with self._port.lock:
                    self._check_open()
                    if self._gone:
                        raise self.lost(self._gone)
                if while_blocked is None:
                    try:
                        tracker.wait(ZMQ_RELEASE_WAIT_S)
                    except zmq.NotDone:
                        self._port.look(self._port.sender, 0)
                else:
                    self._wait_blocked(ZMQ_RELEASE_POLL_S, while_blocked)

    # Receiving ------------------------------------------------------------------------------------
    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        head = self._await(self._read_head, timeout_s)
        if head is None:
            return None
        self._frames_received += 1
        self._bytes_received += len(head)
        return memoryview(head)

    def receive_into(self, target: memoryview) -> None:
        whole = False
        try:
            for at in range(0, target.nbytes, ZMQ_CHUNK_BYTES):
                part = target[at : at + ZMQ_CHUNK_BYTES]
                got = self._await(partial(self._read_into, part), FRAME_STALL_S)
                if got is None:
                    raise self.lost("the peer stopped in the middle of a frame")
                if got != part.nbytes:
                    raise self._broken(f"{got} bytes of a payload instead of {part.nbytes}")
                self._bytes_received += got
            whole = True
        finally:
            if not whole:
                self.end("a payload was received in part")

    def _await(self, read: Callable[[], _T | None], timeout_s: float | None) -> _T | None:
        """Call `read` under the lock until it gives something; None after `timeout_s`."""
        port, receiver = self._port, self._port.receiver
        end_s = None if timeout_s is None else self._now_s() + timeout_s
        may_spin = timeout_s != 0
        changed = False
        while True:
            with port.lock:
                receiver.waits = False
                self._check_open()
                # Asking first is cheaper than to be told zmq.Again, but for the wait that was
                # answered.
                got = read() if changed or port.readable() else None
                if port.sender.waits:
                    port.nudge_sender()
                if got is not None:
                    return got
                if self._gone:
                    raise self.lost(self._gone)
                receiver.waits = True
            left_s = WAIT_SLICE_S if end_s is None else min(end_s - self._now_s(), WAIT_SLICE_S)
            if self._in_callback and self._outgoing:
                # In the middle of sending: the peer may be too, and hold back until it gets more.
                self._push()
            if left_s <= 0:
                if changed := port.look(receiver, 0):
                    continue
                receiver.waits = False
                return None
            begun_s = self._now_s() if may_spin and self._spin.skip else None
            if may_spin and self._spin.wants():
                may_spin = False
                if changed := spin(self._spin, self._look):
                    continue
            self._blocking_waits += 1
            changed = port.look(receiver, left_s)
            if begun_s is not None:
                self._spin.took(self._now_s() - begun_s)

    def _read_head(self) -> bytes | None:
        """Take the next message, if it is there. Under the lock, as are all that follow."""
        socket = self._port.socket
        try:
            self._reach()
            head = socket.recv(NOW)
        except zmq.Again:
            return None
        if socket.getsockopt(zmq.RCVMORE):
            raise self._not_a_frame(len(head))
        return head

    def _read_into(self, target: memoryview) -> int | None:
        """Take the next message into `target`; its size may be another than the target's."""
        socket = self._port.socket
        try:
            self._reach()
            size = socket.recv_into(target, flags=NOW)
        except zmq.Again:
            return None
        if socket.getsockopt(zmq.RCVMORE):
            raise self._not_a_frame(size)
        return size

    def _reach(self) -> None:
        """Take off strangers' messages, and this peer's identity, until its message is next.

        Raises zmq.Again.
        """
        if self._meet is None:
            return
        while (identity := self._port.socket.recv(NOW)) != self._identity:
            self._meet(identity)
            self._check_open()

    def _not_a_frame(self, first_size: int) -> LinkLost | RemoteProtocolError:
        """Take the rest of a message of several parts; return what to raise for it."""
        sizes = [first_size, *map(len, self._port.socket.recv_multipart(NOW))]
        if sizes == [0, 0]:
            self._gone = "the peer closed it"
            return self.lost(self._gone)
        return self._broken(f"a message of {len(sizes)} parts")

    # Ending ---------------------------------------------------------------------------------------
    def close(self) -> None:
        self.end("closed on this side")

    def end(self, reason: str) -> None:
        """End the link for `reason`, saying goodbye to a peer that is still there; idempotent."""
        port = self._port
        with port.lock:
            if self._over:
                return
            self._over = reason
            if not port.closed:
                heard = self._gone or _say_goodbye(port, self._identity)
                if self._meet is None:
                    port.close()
                elif not heard:
                    port.cut(self._fd)
            port.wake_all()

    def forsake(self) -> None:
        """Be over in a child of fork: ZeroMQ's own threads are its parent's."""
        self._over = "made before fork"

    def peer_left(self) -> None:
        """The connection has ended: what has come can still be received, then the link is lost."""
        self._gone = self._gone or "the peer closed it"

    @property
    def is_gone(self) -> bool:
        """Whether the peer has left."""
        return bool(self._gone)

    def greet(self, preamble: bytes) -> None:
        """Show the peer the preamble, the connection's first message."""
        self._outgoing.append((preamble, False))
        while not self._push():
            self._wait_blocked(WAIT_SLICE_S, None)

    def lost(self, reason: str) -> LinkLost:
        """End the link; return what to raise. The first reason is the one to tell."""
        self.end(reason)
        return LinkLost(f"the link to {self._name} is over: {self._over}")

    def _broken(self, what: str) -> RemoteProtocolError:
        self.end(what)
        return RemoteProtocolError(f"{what} on the link to {self._name}")

    def _check_open(self) -> None:
        if self._over:
            raise self.lost(self._over)


def _say_goodbye(port: ZmqPort, identity: bytes) -> bool:
    """Return whether the peer will hear it: not if it has too much before it, or is gone."""
    try:
        if identity:
            port.socket.send(identity, MORE_NOW)
        port.socket.send(b"", MORE_NOW)
        port.socket.send(b"", NOW)
    except zmq.ZMQError:
        return False
    return True
