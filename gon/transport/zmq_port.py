"""One ZeroMQ socket, used by two threads in turn: its options, its lock, its waits, the state of
its connections.

Each use of the socket is one short hold of `lock`, never a wait. Waits look at file descriptors:
the socket's own, which tells of changes only, its monitor's, and one by which the other thread
wakes this one. For whoever uses the socket may take a signal meant for the other thread; so after
each use it wakes the other if that one waits and there is something for it (`nudge_receiver`,
`nudge_sender`).
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias, cast

import zmq
from zmq.utils.monitor import parse_monitor_message

from gon.forked import inherit, new_lock
from gon.limits import (
    HANDSHAKE_TIMEOUT_S,
    HEAD_BYTES_MAX,
    KEEPALIVE_COUNT,
    KEEPALIVE_S,
    ZMQ_LINGER_S,
    ZMQ_QUEUED_MAX,
)

ZmqSocket: TypeAlias = "zmq.Socket[bytes]"

# Plain numbers: combining enum flags costs more than the call they are for.
_EVENTS = zmq.EVENTS
_POLLIN = int(zmq.POLLIN)
_POLLOUT = int(zmq.POLLOUT)

_WATCHED = (
    zmq.Event.ACCEPTED
    | zmq.Event.HANDSHAKE_SUCCEEDED
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.CLOSED
    | zmq.Event.CONNECT_RETRIED
    | zmq.Event.DISCONNECTED
)


class Side:
    """How one of a port's two threads waits, and how the other wakes it."""

    __slots__ = ("poll", "waits", "wake_fd")

    def __init__(self, *fds: int) -> None:
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        poller = select.poll()
        for fd in (*fds, self.wake_fd):
            poller.register(fd, select.POLLIN)
        self.poll = poller.poll
        # Set under the port's lock after a use that found nothing; tells the other thread to look
        # for this one.
        self.waits = False

    def wake(self) -> None:
        os.eventfd_write(self.wake_fd, 1)

    def part(self) -> None:
        """In a child of fork: end its wait, and take no wake that is meant for the parent.

        Only a new file is the child's own; it takes the place of the inherited one, which may be
        being waited at.
        """
        with suppress(OSError):  # no room for a file: the parent may wait a slice for nothing
            own_fd = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            os.dup2(own_fd, self.wake_fd, inheritable=False)
            os.close(own_fd)

    def __del__(self) -> None:
        os.close(self.wake_fd)


class ZmqPort:
    """A socket of `kind` (zmq.DEALER or zmq.ROUTER), to be bound or connected to `endpoint`.

    `on_event(event, fd)`, once set, is called under the lock, in the order in which things
    happened, for connections that were accepted, got through the handshake, or ended; `fd` is the
    connection's where there is one.
    """

    def __init__(self, kind: zmq.SocketType, endpoint: str) -> None:
        self.lock = new_lock()
        self.closed = False
        # What is just being sent, if it is sent from where it is.
        self.frame: zmq.Frame | None = None
        inherit(self, ZmqPort.forsake)
        self.socket: ZmqSocket = zmq.Context[ZmqSocket].instance().socket(kind)
        self.on_event: Callable[[zmq.Event, int], None] = _unheard
        options = {
            zmq.MAXMSGSIZE: HEAD_BYTES_MAX,
            zmq.SNDHWM: ZMQ_QUEUED_MAX,
            zmq.RCVHWM: ZMQ_QUEUED_MAX,
            zmq.LINGER: round(ZMQ_LINGER_S * 1000),
            zmq.HANDSHAKE_IVL: round(HANDSHAKE_TIMEOUT_S * 1000),
            zmq.HEARTBEAT_IVL: round(KEEPALIVE_S * 1000),
            zmq.HEARTBEAT_TIMEOUT: round(KEEPALIVE_S * KEEPALIVE_COUNT * 1000),
        }
        if "[" in endpoint:
            options[zmq.IPV6] = 1
        if kind == zmq.ROUTER:
            options[zmq.ROUTER_MANDATORY] = 1
        else:
            # Only the session knows how to resume, so a lost connection stays lost.
            options |= {zmq.RECONNECT_IVL: -1, zmq.IMMEDIATE: 1}
        for option, value in options.items():
            self.socket.setsockopt(option, value)
        self._monitor = self.socket.get_monitor_socket(_WATCHED)
        self._monitor_fd = int(self._monitor.getsockopt(zmq.FD))
        socket_fd = int(self.socket.getsockopt(zmq.FD))
        self.receiver = Side(socket_fd, self._monitor_fd)
        self.sender = Side(socket_fd, self._monitor_fd)
        # A file descriptor that tells of changes only must be asked once before it tells anything.
        self.hear_events()

    def look(self, side: Side, timeout_s: float) -> bool:
        """Return whether something has changed, within `timeout_s`;

        then it is worth using the socket again.
        """
        changes = side.poll(timeout_s * 1000)
        for fd, _event in changes:
            if fd == side.wake_fd:
                with suppress(BlockingIOError):  # a child that could not part took it
                    os.eventfd_read(fd)
            elif fd == self._monitor_fd:
                with self.lock:
                    self.hear_events()
        return bool(changes)

    def hear_events(self) -> None:
        """Tell `on_event` what has happened. Under the lock."""
        if self.closed:
            return
        while cast(int, self._monitor.getsockopt(_EVENTS)) & _POLLIN:
            heard = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
            self.on_event(zmq.Event(heard["event"]), heard["value"])

    def readable(self) -> bool:
        """Return whether a message is there, after taking in all that has changed.

        Under the lock.
        """
        return not self.closed and bool(cast(int, self.socket.getsockopt(_EVENTS)) & _POLLIN)

    def nudge_receiver(self) -> None:
        """Wake a waiting receiver if there is a message. Under the lock, after using the socket."""
        if self.receiver.waits and self.readable():
            self.receiver.wake()

    def nudge_sender(self) -> None:
        """Wake a waiting sender if there may be room. Under the lock, after using the socket."""
        if self.sender.waits and cast(int, self.socket.getsockopt(_EVENTS)) & _POLLOUT:
            self.sender.wake()

    def wake_all(self) -> None:
        self.receiver.wake()
        self.sender.wake()

    def cut(self, fd: int) -> None:
        """End one connection of a ROUTER, which cannot do so itself. Under the lock.

        `fd` may have become another's this instant, so it is only cut if it came in here.
        """
        address = cast(bytes, self.socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()
        # The file descriptor stays ZeroMQ's; this one is only for the two calls.
        with suppress(OSError), socket.socket(fileno=os.dup(fd)) as connection:
            name: str | tuple[str, int] = connection.getsockname()
            here = name if isinstance(name, str) else str(name[1])
            if address.endswith(here):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; what was sent still goes out for ZMQ_LINGER_S.

        Under the lock; idempotent.
        """
        if self.closed:
            return
        self.closed = True
        self.on_event, self.frame = _unheard, None
        self.socket.disable_monitor()
        self._monitor.close(0)
        self.socket.close()
        self.wake_all()

    def forsake(self) -> None:
        """Be closed in a child of fork."""
        self.closed, self.on_event = True, _unheard
        if hasattr(self, "sender"):
            self.receiver.part()
            self.sender.part()

    def __del__(self) -> None:
        if hasattr(self, "sender"):
            self.close()


def _unheard(_event: zmq.Event, _fd: int) -> None:
    """Nobody listens (yet, or any more)."""
