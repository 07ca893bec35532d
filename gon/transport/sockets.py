"""Where stream sockets come from: connecting and listening by URI.

    tcp://host:port     IPv4 or IPv6, [::1]:7070
    unix:///path        a socket file; unix://@name is the abstract name space
    vsock://cid:port    between a VM and its host

Rules: errors of the operating system end here: HostUnreachable while connecting,
  ConfigError for an address that cannot be bound, LinkLost on a closed listener.
"""

from __future__ import annotations

import hmac
import socket
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import ConfigError, HostUnreachable, InvalidArgument, LinkLost
from gon.limits import ACCEPT_BACKLOG, CONNECT_TIMEOUT_S, HANDSHAKE_TIMEOUT_S
from gon.transport.severing import sever_in_children
from gon.transport.stream import StreamLink

Address: TypeAlias = str | tuple[str, int] | tuple[int, int]

SCHEMES = ("tcp", "unix", "vsock")


def connect_stream(uri: str, timeout_s: float = CONNECT_TIMEOUT_S) -> socket.socket:
    """Return a socket connected to `uri`.

    Raises HostUnreachable, InvalidArgument for a URI that is none.
    """
    scheme, address = parse_stream_uri(uri)
    try:
        if scheme == "tcp":
            # Tries all addresses of a name in turn.
            sock = socket.create_connection(_host_port(address), timeout_s)
        else:
            sock = socket.socket(_FAMILIES[scheme], socket.SOCK_STREAM)
            try:
                sock.settimeout(timeout_s)
                sock.connect(address)
            except OSError:
                sock.close()
                raise
    except OSError as error:
        raise HostUnreachable(f"{uri}: {error.strerror or error}") from error
    sock.settimeout(None)
    sever_in_children(sock)
    return sock


class StreamListener:
    """Accepts stream links that open with `preamble`. See gon.transport.base.Listener.

    Connections are looked at one after the other; one that does not show the preamble within
    `handshake_s` is dropped without a word. tcp://host:0 and vsock://cid:0 take any free port.
    """

    def __init__(
        self,
        uri: str,
        preamble: bytes = b"",
        handshake_s: float = HANDSHAKE_TIMEOUT_S,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        scheme, address = parse_stream_uri(uri)
        self._preamble = preamble
        self._handshake_s = handshake_s
        self._clock = clock
        self._path = Path(address) if isinstance(address, str) and address[0] != "\0" else None
        family = _FAMILIES[scheme]
        if scheme == "tcp" and ":" in _host_port(address)[0]:
            family = socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            if scheme == "tcp":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(address)
            self._socket.listen(ACCEPT_BACKLOG)
        except OSError as error:
            self._socket.close()
            raise ConfigError(f"cannot listen on {uri}: {error.strerror or error}") from error
        self._uri = f"{scheme}://{_text_of(self._socket.getsockname())}"

    @property
    def uri(self) -> str:
        return self._uri

    def __repr__(self) -> str:
        return f"StreamListener({self._uri})"

    def accept(self, timeout_s: float | None = None) -> StreamLink | None:
        sock = self.accept_socket(timeout_s)
        return None if sock is None else StreamLink(sock, self._uri)

    def accept_socket(self, timeout_s: float | None = None) -> socket.socket | None:
        """Return the socket of the next link, or None after `timeout_s`. Raises LinkLost."""
        deadline_s = None if timeout_s is None else self._clock.now_s() + timeout_s
        while True:
            left_s = None if deadline_s is None else max(0.0, deadline_s - self._clock.now_s())
            try:
                self._socket.settimeout(left_s)
                sock, _address = self._socket.accept()
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as error:
                raise LinkLost(f"the listener on {self._uri} is closed") from error
            if self._shows_preamble(sock):
                return sock
            sock.close()

    def _shows_preamble(self, sock: socket.socket) -> bool:
        """Read exactly the preamble, no byte of what follows it."""
        deadline_s = self._clock.now_s() + self._handshake_s
        shown = b""
        try:
            while missing := len(self._preamble) - len(shown):
                sock.settimeout(max(0.001, deadline_s - self._clock.now_s()))
                part = sock.recv(missing)
                if not part:
                    return False
                shown += part
        except OSError:
            return False
        return hmac.compare_digest(shown, self._preamble)

    def close(self) -> None:
        if self._socket.fileno() < 0:
            return
        # Wakes an `accept` in another thread, even where it says that nothing is connected.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def parse_stream_uri(uri: str) -> tuple[str, Address]:
    """Return scheme and address of a stream URI. Raises InvalidArgument."""
    parts = urlsplit(uri)
    try:
        if parts.scheme == "unix":
            if parts.netloc.startswith("@") and not parts.path:
                return "unix", "\0" + parts.netloc[1:]
            if parts.path.startswith("/") and not parts.netloc:
                return "unix", parts.path
        elif parts.port is not None and parts.hostname and not parts.path:
            if parts.scheme == "tcp":
                return "tcp", (parts.hostname, parts.port)
            if parts.scheme == "vsock":
                return "vsock", (int(parts.hostname), parts.port)
    except ValueError:
        pass
    raise InvalidArgument(
        f"{uri!r} is none of tcp://host:port, unix:///path, unix://@name, vsock://cid:port"
    )


_FAMILIES = {"tcp": socket.AF_INET, "unix": socket.AF_UNIX, "vsock": socket.AF_VSOCK}


def _host_port(address: Address) -> tuple[str, int]:
    assert not isinstance(address, str), "tcp addresses are pairs"
    return str(address[0]), address[1]


def _text_of(name: bytes | Address | tuple[str, int, int, int]) -> str:
    """Return the address part of a URI for what getsockname gave."""
    if isinstance(name, bytes):
        return "@" + name[1:].decode()
    if isinstance(name, str):
        return name
    host, port = str(name[0]), name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
