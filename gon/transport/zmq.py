"""ZeroMQ links: DEALER on the client's side, ROUTER on the worker's.

On the wire a frame is a message with its head, then its payloads, each cut into messages of at most
ZMQ_CHUNK_BYTES: so a payload is received while it is still being sent, and what a peer can make
either side hold is bounded by HEAD_BYTES_MAX and ZMQ_QUEUED_MAX. Each of these messages has one
part; one of two empty parts says goodbye, for a ROUTER cannot close one peer's connection. The
client's first message is the preamble.

One ROUTER serves one link at a time. Whoever is not its peer is a stranger. A stranger whose first
message is the preamble takes over: the old link's calls raise LinkLost, and `accept` gives the new
one. Any other is ignored from then on, whatever it sends. The client's DEALER connects once and
never reconnects by itself: only the session knows how to resume.

Must not know: what heads mean, sessions, tokens.
"""

from __future__ import annotations

import hmac
from typing import cast

import zmq

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import ConfigError, HostUnreachable, InvalidArgument, LinkLost
from gon.limits import CONNECT_TIMEOUT_S, WAIT_SLICE_S, ZMQ_STRANGERS_MAX
from gon.transport.zmq_link import NOW, ZmqLink
from gon.transport.zmq_port import ZmqPort

_ENDED = frozenset(
    {
        zmq.Event.CLOSED,
        zmq.Event.CONNECT_RETRIED,
        zmq.Event.DISCONNECTED,
        zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
        zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
        zmq.Event.HANDSHAKE_FAILED_AUTH,
    }
)


class ZmqListener:
    """Binds `uri` and accepts links that open with `preamble`. See gon.transport.base.Listener.

    Gives one link at a time: `accept` ends the link it gave before.
    """

    def __init__(self, uri: str, preamble: bytes, clock: Clock = SYSTEM_CLOCK) -> None:
        endpoint = endpoint_of(uri)
        self._preamble = preamble
        self._clock = clock
        self._port = port = ZmqPort(zmq.ROUTER, endpoint)
        self._current: ZmqLink | None = None
        self._newcomer: ZmqLink | None = None
        # Open connections by file descriptor, with the link of those that have one.
        self._connections: dict[int, ZmqLink | None] = {}
        # Oldest first.
        self._ignored: dict[bytes, None] = {}
        port.on_event = self._hear
        try:
            port.socket.bind(endpoint)
        except zmq.ZMQError as error:
            port.close()
            raise ConfigError(f"cannot listen on {uri}: {error.strerror}") from error
        self._uri = (
            "zmq+" + cast(bytes, port.socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()
        )

    @property
    def uri(self) -> str:
        return self._uri

    def __repr__(self) -> str:
        return f"ZmqListener({self._uri}, {len(self._connections)} connections)"

    def accept(self, timeout_s: float | None = None) -> ZmqLink | None:
        port = self._port
        end_s = None if timeout_s is None else self._clock.now_s() + timeout_s
        while True:
            with port.lock:
                port.receiver.waits = False
                if port.closed:
                    raise LinkLost(f"the listener on {self._uri} is closed")
                if self._current is not None:
                    self._current.end("given up for a new one")
                self._take_messages()
                if self._newcomer is not None:
                    self._current, self._newcomer = self._newcomer, None
                    return self._current
            left_s = (
                WAIT_SLICE_S if end_s is None else min(end_s - self._clock.now_s(), WAIT_SLICE_S)
            )
            if left_s <= 0:
                return None
            port.look(port.receiver, left_s)

    def close(self) -> None:
        with self._port.lock:
            for link in (self._current, self._newcomer):
                if link is not None:
                    link.end("closed on this side")
            self._port.close()

    def _take_messages(self) -> None:
        """Meet strangers until one is a newcomer:

        what follows its preamble is for its link to read.
        """
        try:
            while self._newcomer is None:
                self._meet(self._port.socket.recv(NOW))
        except zmq.Again:
            return

    def _meet(self, identity: bytes) -> None:
        """Take the message of `identity`, which has no link;

        give it one if that is the preamble. Under the lock.
        """
        frame = first = self._port.socket.recv(NOW, copy=False)
        while frame.more:
            frame = self._port.socket.recv(NOW, copy=False)
        if identity in self._ignored:
            return
        if first.more or not hmac.compare_digest(first.bytes, self._preamble):
            self._ignore(identity)
            return
        # Its connection may have ended already, and its file descriptor tell of an older one:
        # first hear of both.
        self._port.hear_events()
        if self._current is not None:
            self._current.end("a newer link took over")
        fd = int(first.get(zmq.SRCFD))
        link = ZmqLink(self._port, self._uri, self._clock, identity, fd, self._meet)
        if fd in self._connections:
            self._connections[fd] = link
        else:
            link.peer_left()
        self._newcomer = link

    def _ignore(self, identity: bytes) -> None:
        if len(self._ignored) >= ZMQ_STRANGERS_MAX:
            del self._ignored[next(iter(self._ignored))]
        self._ignored[identity] = None

    def _hear(self, event: zmq.Event, fd: int) -> None:
        if event == zmq.Event.ACCEPTED:
            self._connections[fd] = None
        elif event == zmq.Event.DISCONNECTED:
            link = self._connections.pop(fd, None)
            if link is not None:
                link.peer_left()
                self._port.wake_all()


def connect_zmq(
    uri: str, preamble: bytes, timeout_s: float = CONNECT_TIMEOUT_S, clock: Clock = SYSTEM_CLOCK
) -> ZmqLink:
    """Return a link to the listener at `uri` that has shown it `preamble`.

    Raises HostUnreachable.
    """
    endpoint = endpoint_of(uri)
    port = ZmqPort(zmq.DEALER, endpoint)
    link = ZmqLink(port, uri, clock)
    shaken_hands = False

    def hear(event: zmq.Event, _fd: int) -> None:
        nonlocal shaken_hands
        if event == zmq.Event.HANDSHAKE_SUCCEEDED:
            shaken_hands = True
        elif event in _ENDED:
            link.peer_left()
            port.wake_all()

    port.on_event = hear
    end_s = clock.now_s() + timeout_s
    try:
        port.socket.connect(endpoint)
    except zmq.ZMQError as error:
        link.close()
        raise InvalidArgument(f"{uri}: {error.strerror}") from error
    while not shaken_hands:
        left_s = end_s - clock.now_s()
        if left_s <= 0 or link.is_gone:
            link.close()
            raise HostUnreachable(f"{uri}: nobody answers" + (" in time" if left_s <= 0 else ""))
        port.look(port.receiver, left_s)
    link.greet(preamble)
    return link


def endpoint_of(uri: str) -> str:
    """Return ZeroMQ's own name for `uri`, zmq+tcp://… or zmq+ipc://…. Raises InvalidArgument."""
    scheme, _, rest = uri.partition("+")
    if scheme != "zmq" or not rest.startswith(("tcp://", "ipc://")):
        raise InvalidArgument(f"{uri!r} is neither zmq+tcp://host:port nor zmq+ipc:///path")
    return rest
