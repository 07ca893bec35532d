"""Taking an address to listen on: nothing living is pushed aside, nothing dead is in the way.

Rules: a unix socket lies in a directory of our own (made 0700 if it is not there) and is ours
alone (0600); a dead daemon's socket is replaced, a living one's is an error.
Must not know: who is served.
"""

from __future__ import annotations

import socket
import stat
from pathlib import Path

from gon.addresses import Address
from gon.errors import ConfigError

_BACKLOG = 128


def claim_path(path: Path) -> None:
    """Make `path` free to bind a unix socket to. Raises ConfigError, saying who is in the way."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.lstat().st_mode if path.is_socket() or path.exists() else None
    except OSError as error:
        raise ConfigError(f"unix://{path} cannot be used: {error.strerror}") from error
    if mode is None:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"unix://{path} is a file that is no socket; it is left alone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise ConfigError(f"unix://{path} is taken: {error.strerror}") from error
    raise ConfigError(f"a daemon listens on unix://{path} already")


def listen(address: Address) -> tuple[socket.socket, Address]:
    """Return a non-blocking listening socket, and its address with the port it really has."""
    if address.is_unix:
        path = Path(address.path)
        claim_path(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(str(path))
            path.chmod(0o600)
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise ConfigError(f"cannot listen on {address}: {error.strerror}") from error
        bound = address
    else:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            sock = socket.create_server(
                (address.host, address.port), family=family, backlog=_BACKLOG
            )
        except OSError as error:
            raise ConfigError(f"cannot listen on {address}: {error.strerror}") from error
        bound = address.at_port(sock.getsockname()[1])
    sock.setblocking(False)
    return sock, bound
