"""Where things listen, as URIs: what both ends of control plane and data links agree to write.

    gon://HOST[:PORT]     control plane over TCP, port 7070 if none is named
    unix:///PATH          control plane or data links on a unix socket
    tcp://HOST:PORT       data links over TCP
    shm:///PATH           data links through shared memory, set up on the unix socket at PATH
    zmq+tcp://HOST:PORT   data links over ZeroMQ

Rules: pure, no name is ever resolved here; an IPv6 host stands in brackets.
Must not know: sockets, grpc, zmq.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from gon.errors import InvalidArgument

CONTROL_PORT = 7070
DATA_PORT = 7071
CONTROL_SOCKET = "gond.sock"

_PATH_SCHEMES = ("unix", "shm")
# A sun_path holds 108 bytes with its closing zero.
_UNIX_PATH_BYTES_MAX = 107


class Address(msgspec.Struct, frozen=True):
    """One place to listen or connect to: `host` and `port`, or `path` of a unix socket."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_unix(self) -> bool:
        return self.scheme == "unix"

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every interface of its host."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: a unix socket or a loopback address."""
        if self.path or self.host == "localhost":
            return True
        return _is_ip(self.host) and ipaddress.ip_address(self.host).is_loopback

    @property
    def is_literal(self) -> bool:
        """Whether the host is an IP address, so that no name needs to be resolved."""
        return _is_ip(self.host)

    @property
    def authority(self) -> str:
        """HOST:PORT, with brackets around an IPv6 host."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def at_host(self, host: str) -> Address:
        """Return the same place as seen by someone who reaches the machine as `host`."""
        return replace(self, host=host)

    def at_port(self, port: int) -> Address:
        return replace(self, port=port)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path or self.authority}"


def parse(uri: str, schemes: tuple[str, ...]) -> Address:
    """Return the address that `uri` spells. Raises InvalidArgument unless it is of `schemes`."""
    wanted = " or ".join(
        f"{each}:///PATH" if each in _PATH_SCHEMES else f"{each}://HOST:PORT" for each in schemes
    )
    try:
        uri.encode()
        parts = urlsplit(uri)
        port = parts.port
    except (ValueError, AttributeError) as error:
        raise InvalidArgument(
            f"the address {uri!r} is malformed ({error}); {wanted} is needed"
        ) from None
    if parts.scheme not in schemes:
        raise InvalidArgument(f"the address {uri!r} is not of the form {wanted}")
    if parts.query or parts.fragment or parts.username is not None:
        raise InvalidArgument(f"the address {uri!r} holds more than {wanted}")
    if parts.scheme in _PATH_SCHEMES:
        return _at_path(uri, parts.scheme, parts.netloc, parts.path)
    if not parts.hostname or parts.path not in ("", "/"):
        raise InvalidArgument(f"the address {uri!r} is not of the form {wanted}")
    if port is None:
        if parts.scheme != "gon":
            raise InvalidArgument(f"the address {uri!r} names no port; {wanted} is needed")
        port = CONTROL_PORT
    return Address(parts.scheme, host=parts.hostname, port=port)


def control_socket(environ: Mapping[str, str], uid: int) -> Address:
    """Return where this user's gond listens unless told otherwise."""
    if uid == 0:
        directory = Path("/run/gon")
    elif runtime := environ.get("XDG_RUNTIME_DIR"):
        directory = Path(runtime) / "gon"
    else:
        # Never a shared directory such as /tmp, where another user could be first.
        directory = Path(environ.get("HOME", "/")) / ".local" / "state" / "gon"
    return Address("unix", path=str(directory / CONTROL_SOCKET))


def _at_path(uri: str, scheme: str, netloc: str, path: str) -> Address:
    # Two slashes in front would begin an authority for whoever reads the address again.
    if netloc or not path.startswith("/") or path.startswith("//") or path.endswith("/"):
        raise InvalidArgument(f"the address {uri!r} needs an absolute path: {scheme}:///PATH")
    if len(path.encode()) > _UNIX_PATH_BYTES_MAX:
        raise InvalidArgument(
            f"the address {uri!r} has a path of more than {_UNIX_PATH_BYTES_MAX} bytes, "
            "the most that a unix socket can have"
        )
    return Address(scheme, path=path)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
