"""The way in: `connect` gives a Host, `Host.acquire` leases a unit and gives its Device."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from gon.addresses import CONTROL_PORT, control_socket
from gon.clock import SYSTEM_CLOCK
from gon.errors import InvalidArgument
from gon.limits import CONNECT_TIMEOUT_S, CONTROL_TIMEOUT_S, PREAMBLE_MAGIC, SIDE_MAGIC
from gon.model import LeaseTerms, UnitInfo
from gon.transport.base import Link
from gon.transport.bundle import Bundle
from gon.transport.registry import connect as connect_link
from gon.transport.stream import StreamLink
from gon_client.control import ControlChannel, HostInfo
from gon_client.device import Device
from gon_client.dial import Dialer
from gon_client.lease import Lease
from gon_client.link import SessionLink
from gon_client.predict import TRACE_VARIABLE
from gon_client.remote import RemoteDevice
from gon_client.reserved import claim
from gon_client.staying import Stays
from gon_client.totals import count_life

# Opens a data link: to an endpoint's URI, with a preamble, within seconds.
LinkOpener: TypeAlias = Callable[[str, bytes, float], Link]


def default_address(environ: Mapping[str, str], uid: int) -> str:
    """Return where the local gond is: $GON_HOST, else the socket of this user's gond, else that of
    the system's if this user may enter it, else 127.0.0.1.
    """
    named = environ.get("GON_HOST")
    if named:
        return named
    for address in (control_socket(environ, uid), control_socket(environ, 0)):
        path = Path(address.path)
        try:
            if path.is_socket() and os.access(path, os.W_OK):
                return str(address)
        except PermissionError:
            # The system's gond is not for this user; it may listen on TCP.
            continue
    return f"gon://127.0.0.1:{CONTROL_PORT}"


class Host(Stays):
    """A machine whose gond answers. A context manager; closing it does not end leases, which go on.

    `open_link` opens the data links of its devices (None: directly, to the endpoint that gond
    names): a benchmark leads them through a proxy by it.
    """

    def __init__(
        self,
        address: str,
        control: ControlChannel,
        info: HostInfo,
        open_link: LinkOpener | None = None,
    ) -> None:
        self.address = address
        self.info = info
        self._control = control
        self._open_link = open_link or connect_link

    def __repr__(self) -> str:
        return f"Host({self.address}, gond {self.info.version}, {len(self.info.units)} units)"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def units(self) -> tuple[UnitInfo, ...]:
        """Return the units as they are now: what is free may change at any time."""
        self.info = self._control.describe()
        return self.info.units

    def acquire(
        self,
        unit: str = "",
        *,
        personality: str = "",
        personalities: Sequence[str] = (),
        memory_bytes: int = 0,
        link: str = "",
        grace_s: float | None = None,
        properties: bool = False,
    ) -> Device:
        """Lease (a slice of) a unit and return its device.

        `unit` is an id of `units()`, "" for the best free one; `memory_bytes` is rounded up to
        slices, 0 takes one; `personality` is what it is to be, "" for the first of `personalities`,
        which are what `Device.reconfigure` may make of it; `properties` asks for the answers of the
        device's own driver (`DeviceInfo.properties`); `link` is "tcp", "unix", "zmq" or, from
        the host itself, "shm", "" for the same as this connection; `grace_s` shortens how long a
        lost link is waited for before the lease counts as lost. Under `gon run` the first device
        that fits is the one leased there. Raises LeaseRefused saying why, HostUnreachable,
        Unsupported for a link that cannot be between here and there.
        """
        if grace_s is not None and not grace_s >= 0:
            raise InvalidArgument(f"grace_s is {grace_s}; 0 or more is needed")
        self._control.check()  # or a child would take its parent's offer
        terms = claim(
            os.environ,
            self.address,
            unit=unit,
            personality=personality,
            memory_bytes=memory_bytes,
            link=link,
            personalities=personalities,
        ) or self._control.acquire(
            unit=unit,
            personality=personality,
            memory_bytes=memory_bytes,
            link=link,
            client=f"{socket.gethostname()}/{os.getpid()}",
            personalities=personalities,
        )
        lease = Lease(self._control, terms, SYSTEM_CLOCK)
        try:
            dialer = self._dialer(terms, lease, grace_s, properties=properties)
            session = SessionLink(dialer, SYSTEM_CLOCK)
        except BaseException:
            lease.release()
            raise
        lease.keep(session.end, session.close)
        device = self._device(session, lease, terms)
        try:
            if TRACE_VARIABLE in os.environ:
                from gon_client.predict.recording import record_life

                record_life(os.environ, device)
            count_life(os.environ, device)
        except BaseException:
            device.close()
            raise
        return device

    def _device(self, session: SessionLink, lease: Lease, terms: LeaseTerms) -> Device:
        remote = RemoteDevice(session)
        return Device(
            remote,
            where=f"{self.address} ({terms.unit}, {terms.endpoint})",
            memory_bytes=terms.memory_bytes,
            counts=remote.counts,
            on_close=lease.release,
            on_forgotten=lease.forget,
            express=session.express,
            lead=session.lead,
            personality=terms.personality,
            held_up=session.mapped.held_up_bytes,
        )

    def _dialer(
        self, terms: LeaseTerms, lease: Lease, grace_s: float | None, *, properties: bool
    ) -> Dialer:
        """Return what opens the data links of a lease, and their side links."""

        def open_link(magic: bytes) -> Link:
            return self._open_link(terms.endpoint, magic + terms.token, CONNECT_TIMEOUT_S)

        def connect_once() -> Link:
            link = open_link(PREAMBLE_MAGIC)
            return Bundle(link) if isinstance(link, StreamLink) else link

        # Only a way that can be long is worth more than one connection.
        is_long = terms.endpoint.startswith("tcp://")
        return Dialer(
            connect_once,
            lease.alive,
            client=f"gon/{os.getpid()}",
            grace_s=terms.grace_s if grace_s is None else min(grace_s, terms.grace_s),
            clock=SYSTEM_CLOCK,
            open_side=partial(open_link, SIDE_MAGIC) if is_long else None,
            properties=properties,
        )

    def close(self) -> None:
        """Acquire nothing more; idempotent. The connection ends with the last device's lease."""
        self._control.close()


def connect(address: str | None = None, *, timeout_s: float = CONTROL_TIMEOUT_S) -> Host:
    """Connect to the gond at `address`: "gon://host:port", "unix:///path", or, for None, $GON_HOST
    or the local gond.

    Raises HostUnreachable when nobody answers as gond within `timeout_s`, InvalidArgument for an
    address of no known form.
    """
    address = default_address(os.environ, os.getuid()) if address is None else address
    control = ControlChannel(address, timeout_s)
    try:
        return Host(control.address, control, control.describe())
    except BaseException:
        control.close()
        raise
