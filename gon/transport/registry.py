"""Links by URI: the one place that knows which transport speaks which scheme.

tcp://host:port  unix:///path  unix://@name  vsock://cid:port    gon.transport.stream
shm:///path  shm://@name                                         gon.transport.shm
zmq+tcp://host:port  zmq+ipc:///path                             gon.transport.zmq
"""

from __future__ import annotations

from gon.errors import HostUnreachable, InvalidArgument
from gon.limits import CONNECT_TIMEOUT_S
from gon.transport.base import Link, Listener
from gon.transport.shm_setup import ShmListener, join, unix_uri
from gon.transport.sockets import SCHEMES, StreamListener, connect_stream
from gon.transport.stream import StreamLink


def connect(uri: str, preamble: bytes, timeout_s: float = CONNECT_TIMEOUT_S) -> Link:
    """Return a link to whoever listens at `uri`, opened by `preamble`.

    Raises HostUnreachable, InvalidArgument for a scheme that none speaks; for memory that is not
    shared as it should be, LinkLost and RemoteProtocolError.
    """
    if uri.startswith("zmq+"):
        # ZeroMQ is a tenth of a cold client's start, and most never speak it.
        from gon.transport.zmq import connect_zmq

        return connect_zmq(uri, preamble, timeout_s)
    _check_scheme(uri)
    shared = uri.startswith("shm://")
    sock = connect_stream(unix_uri(uri) if shared else uri, timeout_s)
    try:
        # A few bytes into an empty socket buffer: this never waits.
        sock.sendall(preamble)
    except OSError as error:
        sock.close()
        raise HostUnreachable(f"{uri}: {error.strerror or error}") from error
    return join(sock, uri, timeout_s) if shared else StreamLink(sock, uri)


def listen(uri: str, preamble: bytes) -> Listener:
    """Return a listener at `uri` that takes peers which open with `preamble`.

    Raises ConfigError, InvalidArgument for a scheme that none speaks.
    """
    if uri.startswith("zmq+"):
        # As above.
        from gon.transport.zmq import ZmqListener

        return ZmqListener(uri, preamble)
    _check_scheme(uri)
    if uri.startswith("shm://"):
        return ShmListener(uri, preamble)
    return StreamListener(uri, preamble)


def _check_scheme(uri: str) -> None:
    scheme = uri.partition("://")[0]
    if scheme not in (*SCHEMES, "shm"):
        raise InvalidArgument(f"{uri!r}: links are {', '.join(SCHEMES)}, shm, zmq+tcp and zmq+ipc")
