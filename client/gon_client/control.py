"""The control plane's client: blocking gRPC calls to one gond, model to gRPC and back.

Rules: grpc and protobuf types stay in here; a gond's error is raised as the same class as there,
and what grpc itself raises as HostUnreachable, WaitTimeout or Unsupported, naming the host. Every
call is bounded. Must not know: data links, when to renew.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar, cast

import grpc
import msgspec

from gon import addresses
from gon.addresses import Address
from gon.errors import (
    GonError,
    HostUnreachable,
    InvalidArgument,
    LeaseRefused,
    RemoteProtocolError,
    Unsupported,
    WaitTimeout,
    error_of,
)
from gon.forked import inherit, made_before_fork, new_lock
from gon.limits import (
    ATTACH_TIMEOUT_S,
    CALL_S_MAX,
    CONTROL_MESSAGE_BYTES_MAX,
    CONTROL_TIMEOUT_S,
    NAME_BYTES_MAX,
    RECONNECT_FIRST_S,
    RECONNECT_LONGEST_S,
    TOKEN_BYTES,
)
from gon.model import LeaseTerms, UnitInfo
from gon.pb.v1 import control_pb2 as pb
from gon.pb.v1.control_pb2_grpc import ControlStub
from gon.personalities import PERSONALITIES_MAX
from gon_client.calls import CALLS
from gon_client.texts import check_text

_OPTIONS = (
    ("grpc.max_receive_message_length", CONTROL_MESSAGE_BYTES_MAX),
    # A gond is dialled as it is named: asking for proxies and service configurations costs time.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    # One call has one fate; whether to call again is decided above.
    ("grpc.enable_retries", 0),
    # A host that comes back is found as fast as data links find it.
    ("grpc.initial_reconnect_backoff_ms", int(RECONNECT_FIRST_S * 1000)),
    ("grpc.max_reconnect_backoff_ms", int(RECONNECT_LONGEST_S * 1000)),
    # Not shared with other channels of the process, so that a close hurts only this one.
    # A child of fork has none of its parent's.
    ("grpc.use_local_subchannel_pool", 1),
)

_LINKS = {
    "tcp": pb.LINK_KIND_STREAM,
    "unix": pb.LINK_KIND_STREAM,
    "shm": pb.LINK_KIND_SHM,
    "zmq": pb.LINK_KIND_ZMQ,
}
_SCHEMES = {"tcp": "tcp", "unix": "unix", "shm": "shm", "zmq": "zmq+tcp"}

_Request = TypeVar("_Request", contravariant=True)
_Reply = TypeVar("_Reply", covariant=True)


class LeaseState(Enum):
    """Where a lease is in its life."""

    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"


_STATES = {
    pb.LEASE_STATE_STARTING: LeaseState.STARTING,
    pb.LEASE_STATE_READY: LeaseState.READY,
    pb.LEASE_STATE_ENDED: LeaseState.ENDED,
}


class HostInfo(msgspec.Struct, frozen=True):
    """What a host says of itself. `wire_versions` are the oldest and newest its workers speak."""

    address: str
    name: str
    version: str
    epoch: int
    wire_versions: tuple[int, int]
    draining: bool
    units: tuple[UnitInfo, ...]


class LeaseStatus(msgspec.Struct, frozen=True):
    """A lease as its host sees it now; `reason` says why it has ended."""

    id: str
    unit: str
    fence: int
    state: LeaseState
    reason: str
    expires_in_s: float
    # What the unit is now; "" if an older gond does not say.
    personality: str = ""


class _Call(Protocol[_Request, _Reply]):
    def __call__(self, request: _Request, timeout: float | None = None) -> _Reply: ...


class _Failure(Protocol):
    """What a failed call knows; grpc raises it as a bare RpcError."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Sequence[tuple[str, str | bytes]] | None: ...


class ControlChannel:
    """One connection to one gond, made by the first call. Safe for several threads."""

    def __init__(self, address: str, timeout_s: float = CONTROL_TIMEOUT_S) -> None:
        """Take `address`, gon://HOST[:PORT] or unix:///PATH. Raises InvalidArgument."""
        self._address = addresses.parse(address, ("gon", "unix"))
        if not 0 < timeout_s <= CALL_S_MAX:
            raise InvalidArgument(f"timeout_s is {timeout_s}; above 0 and up to {CALL_S_MAX}")
        self._timeout_s = timeout_s
        self._channel = grpc.insecure_channel(_target(self._address), _OPTIONS)
        self._stub = ControlStub(self._channel)
        self._forsaken = self._closed = False
        # Leases that are renewed over it.
        self._held = 0
        self._holding = new_lock()
        inherit(self, ControlChannel.forsake)
        CALLS.heed_forks()

    def __repr__(self) -> str:
        return f"ControlChannel({self._address})"

    @property
    def address(self) -> str:
        """The address, in full."""
        return str(self._address)

    def hold(self) -> None:
        """Let it be there for a lease until `let_go`, though it is closed."""
        with self._holding:
            self._held += 1

    def let_go(self) -> None:
        """Be needed by one lease less."""
        with self._holding:
            self._held -= 1
        self._hang_up()

    def close(self) -> None:
        """Give no more leases, and hang up once those that there are have ended; idempotent."""
        self._closed = True
        self._hang_up()

    def _hang_up(self) -> None:
        if self._closed and not self._held and not self._forsaken:
            self._channel.close()

    def forsake(self) -> None:
        """Be of no use in a child of fork: to close it there would hang up for its parent."""
        self._forsaken = True

    def check(self) -> None:
        """Raise BadHandle in a child of fork, HostUnreachable once it is closed."""
        if self._forsaken:
            raise made_before_fork()
        if self._closed:
            raise HostUnreachable(f"the connection to {self.address} is closed")

    def describe(self) -> HostInfo:
        """Return what the host is and has. Raises HostUnreachable."""
        self.check()
        reply = self._call(self._stub.Describe, pb.DescribeRequest())
        return HostInfo(
            address=self.address,
            name=reply.host_name,
            version=reply.daemon_version,
            epoch=reply.epoch,
            wire_versions=(reply.wire_version_min, reply.wire_version_max),
            draining=reply.draining,
            units=tuple(self._unit(unit) for unit in reply.units),
        )

    def acquire(
        self,
        *,
        unit: str = "",
        personality: str = "",
        memory_bytes: int = 0,
        link: str = "",
        client: str = "",
        personalities: Sequence[str] = (),
        timeout_s: float = ATTACH_TIMEOUT_S + CONTROL_TIMEOUT_S,
    ) -> LeaseTerms:
        """Lease slices of a unit and return once it is served.

        `link` is "tcp", "unix", "shm" (this machine's gond only) or "zmq"; "" follows the address.
        Waits up to `timeout_s` for a worker. Raises LeaseRefused, saying why, InvalidArgument,
        HostUnreachable, Unsupported for links that cannot be between here and there.
        """
        self.check()
        link = link or ("unix" if self._address.is_unix else "tcp")
        if link not in _LINKS:
            raise InvalidArgument(f"link is {link!r}; tcp, unix, shm and zmq are possible")
        if link == "shm" and not self._address.is_local:
            raise Unsupported(
                f"shm links are between processes of one machine, and {self.address} is another's"
            )
        if not 0 <= memory_bytes < 1 << 63:
            raise InvalidArgument(f"memory_bytes is {memory_bytes}; it must be 0 to 2**63 - 1")
        if isinstance(personalities, str):
            raise InvalidArgument(
                f"personalities are several names, ({personalities!r},) for one alone"
            )
        if len(personalities) > PERSONALITIES_MAX:
            raise InvalidArgument(f"more than {PERSONALITIES_MAX} personalities")
        named = [("unit", unit), ("personality", personality), ("client", client)]
        for what, name in (*named, *(("personality", each) for each in personalities)):
            check_text(name, NAME_BYTES_MAX, what)
        request = pb.AcquireRequest(
            unit=unit,
            personality=personality,
            memory_bytes=memory_bytes,
            link=_LINKS[link],
            client=client,
            personalities=personalities,
        )
        reply = self._call(self._stub.Acquire, request, timeout_s)
        if len(reply.token) != TOKEN_BYTES:
            raise RemoteProtocolError(f"{self.address} gave a token of {len(reply.token)} bytes")
        try:
            endpoint = self._endpoint(reply.endpoints, link)
        except Unsupported:
            self.release(reply.lease, reply.token)
            raise
        return LeaseTerms(
            id=reply.lease,
            unit=reply.unit,
            personality=reply.personality,
            epoch=reply.epoch,
            fence=reply.fence,
            token=reply.token,
            memory_bytes=reply.memory_bytes,
            lease_s=reply.lease_s,
            grace_s=reply.grace_s,
            endpoint=str(endpoint),
            personalities=tuple(reply.personalities),
        )

    def renew(self, lease: str, token: bytes) -> float:
        """Push the lease's expiry; return in how many seconds it is now. Raises LeaseLost."""
        reply = self._call(self._stub.Renew, pb.RenewRequest(lease=lease, token=token))
        return reply.expires_in_s

    def release(self, lease: str, token: bytes, timeout_s: float | None = None) -> None:
        """End the lease and return once its slices are free; nothing if it has ended already."""
        self._call(self._stub.Release, pb.ReleaseRequest(lease=lease, token=token), timeout_s)

    def inspect(self, lease: str, token: bytes) -> LeaseStatus:
        """Return how the lease is, and why it has ended. Raises LeaseLost if it is unknown."""
        reply = self._call(self._stub.Inspect, pb.InspectRequest(lease=lease, token=token))
        state = _STATES.get(reply.state)
        if state is None:
            raise RemoteProtocolError(f"{self.address} names an unknown state {reply.state}")
        return LeaseStatus(
            *(lease, reply.unit, reply.fence, state, reply.reason, reply.expires_in_s),
            personality=reply.personality,
        )

    def _call(
        self, call: _Call[_Request, _Reply], request: _Request, timeout_s: float | None = None
    ) -> _Reply:
        if self._forsaken:
            raise made_before_fork()
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            with CALLS.one():
                return call(request, timeout=limit_s)
        except grpc.RpcError as error:
            self._raise(cast("_Failure", error), limit_s)
        except ValueError as error:
            raise HostUnreachable(f"the connection to {self.address} is closed") from error

    def _raise(self, failure: _Failure, limit_s: float) -> NoReturn:
        """Raise what a failed call stands for."""
        metadata = dict(failure.trailing_metadata() or ())
        code, message = metadata.get("gon-code"), metadata.get("gon-message-bin")
        if isinstance(code, str) and code.isdecimal() and isinstance(message, bytes):
            raise error_of(int(code), message.decode("utf-8", "replace")) from None
        details = failure.details() or failure.code().name
        match failure.code():
            # A gond that stops cancels what it has not answered.
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                raise HostUnreachable(self._unreachable(details)) from None
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                text = f"gond at {self.address} did not answer within {limit_s:g} s"
                raise WaitTimeout(text) from None
            case grpc.StatusCode.UNIMPLEMENTED:
                raise Unsupported(f"what answers at {self.address} is no gond: {details}") from None
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise LeaseRefused(f"gond at {self.address} is too busy: {details}") from None
            case _:
                raise GonError(f"gond at {self.address} failed: {details}") from None

    def _unreachable(self, details: str) -> str:
        where = (
            "is gond running, and is the socket this user's?"
            if self._address.is_unix
            else "is gond running there, does it listen on that address, is a firewall between?"
        )
        return f"nobody answers as gond at {self.address}; {where} ({details})"

    def _endpoint(self, uris: Sequence[str], link: str) -> Address:
        """Return where the lease's links connect, as seen from here."""
        found = [addresses.parse(uri, (_SCHEMES[link],)) for uri in uris if _is(uri, link)]
        if not found:
            raise Unsupported(
                f"gond at {self.address} takes no {link} links; it names {', '.join(uris)}"
            )
        if link == "shm" and not Path(found[0].path).is_socket():
            raise Unsupported(
                f"shm links need gond's unix socket for data links, and there is no"
                f" {found[0].path} here: gond at {self.address} runs on another machine, or its"
                " directory is not mounted in this container"
            )
        if link in ("unix", "shm"):
            return found[0]
        dialled = self._address.host
        same = [each for each in found if each.host == dialled]
        if same or not dialled:
            best = (same or found)[0]
            return best.at_host("127.0.0.1") if best.is_wildcard else best
        wild = [each for each in found if each.is_wildcard]
        if wild:
            return wild[0].at_host(dialled)
        # Only this machine reaches a loopback address: the name that was dialled is better.
        return found[0] if self._address.is_local else found[0].at_host(dialled)

    def _unit(self, unit: pb.Unit) -> UnitInfo:
        if unit.slices == 0 or unit.slices_free > unit.slices:
            raise RemoteProtocolError(f"{self.address} describes unit {unit.id!r} wrongly")
        return UnitInfo(
            id=unit.id,
            kind=unit.kind,
            name=unit.name,
            personality=unit.personality,
            personalities=tuple(unit.personalities),
            formats=tuple(unit.formats),
            memory_bytes=unit.memory_bytes,
            slices=unit.slices,
            slices_free=unit.slices_free,
            engines=tuple(unit.engines),
            walls=unit.walls,
        )


def _is(uri: str, link: str) -> bool:
    return uri.startswith(_SCHEMES[link] + "://")


def _target(address: Address) -> str:
    """Return the name by which grpc dials an address; an IP address needs no resolver."""
    if address.is_unix:
        return f"unix:{address.path}"
    if not address.is_literal:
        return f"dns:///{address.authority}"
    return f"ipv6:{address.authority}" if ":" in address.host else f"ipv4:{address.authority}"
