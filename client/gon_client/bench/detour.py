"""The way through a delay proxy: starts its process, and leads control channels and data links of
this process through it.

Rules: only what is dialled here takes the detour; gond knows nothing of it, and no setting of gond
or of the client's does either.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from gon import addresses
from gon.clock import SYSTEM_CLOCK
from gon.errors import LinkLost
from gon.limits import CONNECT_TIMEOUT_S
from gon.transport.base import Link
from gon.transport.registry import connect as connect_link
from gon_client.bench.distance import Distance
from gon_client.bench.placement import start_pinned
from gon_client.connect import Host
from gon_client.control import ControlChannel

_SCHEMES = ("gon", "tcp")
_LINE_BYTES_MAX = 16


class Detour:
    """A delay proxy of one place; its routes are made when they are first needed."""

    def __init__(self, orders: socket.socket, way: Distance) -> None:
        self._orders = orders
        self._way = way
        self._ports: dict[tuple[str, int], int] = {}

    def through(self, uri: str) -> str:
        """Return the address that leads to `uri` by the detour. Raises LinkLost."""
        address = addresses.parse(uri, _SCHEMES)
        target = (address.host, address.port)
        if target not in self._ports:
            try:
                self._orders.sendall(f"{address.host} {address.port}\n".encode("ascii"))
                told = self._orders.recv(_LINE_BYTES_MAX)
            except OSError as error:
                raise LinkLost(f"the delay proxy is silent or gone: {error}") from None
            if not told.endswith(b"\n"):
                raise LinkLost("the delay proxy is gone")
            self._ports[target] = int(told)
        return str(address.at_host("127.0.0.1").at_port(self._ports[target]))

    def connect(self, address: str) -> Host:
        """Connect to the gond at `address`, its control plane and data links by the detour."""
        control = ControlChannel(self.through(address))
        try:
            return Host(control.address, control, control.describe(), self._open_link)
        except BaseException:
            control.close()
            raise

    def _open_link(self, uri: str, preamble: bytes, timeout_s: float) -> Link:
        link = connect_link(self.through(uri), preamble, timeout_s)
        # The proxy is connected to at once and has the first byte cost that round trip. Spent here,
        # it is no part of what the client then measures a round trip by.
        SYSTEM_CLOCK.sleep_s(self._way.delay_ms / 1e3)
        return link


@contextmanager
def open_detour(way: Distance, cpus: Sequence[int] = ()) -> Generator[Detour]:
    """Start a delay proxy on `cpus` (empty: as this process), end it. Raises OSError."""
    ours, theirs = socket.socketpair()
    module = "gon_client.bench.delay"
    with ours:
        with theirs:
            words = [str(theirs.fileno()), f"{way.delay_ms:g}", f"{way.rate_mbit:g}"]
            words += [f"{way.window_kib:g}"]
            command = [sys.executable, "-m", module, *words]
            process = start_pinned(command, cpus, pass_fds=[theirs.fileno()])
        ours.settimeout(CONNECT_TIMEOUT_S)
        try:
            yield Detour(ours, way)
        finally:
            ours.close()
            try:
                process.wait(CONNECT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
