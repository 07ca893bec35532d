"""The control plane's server: gRPC to model and back, no policy.

Rules: grpc and protobuf types stay in here; a GonError leaves as the gRPC status of its row in
gon.errors.TABLE, with its code and message beside it; whatever a client sends is bounded before it
is looked at. Must not know: how leases are given.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol, TypeAlias, TypeVar, cast

import grpc
import grpc.aio as aio
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gon.addresses import Address
from gon.errors import TABLE, ConfigError, GonError, InvalidArgument
from gon.limits import (
    CONTROL_CALLS_MAX,
    CONTROL_MESSAGE_BYTES_MAX,
    NAME_BYTES_MAX,
    STOP_GRACE_S,
)
from gon.model import UnitInfo
from gon.pb.v1 import control_pb2 as pb
from gon.pb.v1 import control_pb2_grpc
from gon.personalities import PERSONALITIES_MAX
from gon.wire.versions import VERSION_MAX, VERSION_MIN
from gon_server.host import Host
from gon_server.leases import LeaseRequest, LeaseState

log = logging.getLogger("gond.control")

SERVICE = pb.DESCRIPTOR.services_by_name["Control"].full_name

_STATES = {
    LeaseState.STARTING: pb.LEASE_STATE_STARTING,
    LeaseState.READY: pb.LEASE_STATE_READY,
    LeaseState.ENDED: pb.LEASE_STATE_ENDED,
}

_LINKS = {
    pb.LINK_KIND_UNSPECIFIED: "stream",
    pb.LINK_KIND_STREAM: "stream",
    pb.LINK_KIND_ZMQ: "zmq",
    pb.LINK_KIND_SHM: "shm",
}

_OPTIONS = (
    ("grpc.max_receive_message_length", CONTROL_MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", CONTROL_MESSAGE_BYTES_MAX),
    # Two daemons on one port would each get half of the clients.
    ("grpc.so_reuseport", 0),
)


class _NoMessages(logging.Filter):
    """Keeps gRPC from writing a stack for each request that is no message: whoever sends them is
    told, and could fill the log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], DecodeError)


_NO_MESSAGES = _NoMessages()

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")
_Call: TypeAlias = aio.ServicerContext[_Request, _Reply]


class _Health(Protocol):
    """The health service on asyncio, which the type stubs do not know."""

    async def set(self, service: str, status: int) -> None: ...
    async def enter_graceful_shutdown(self) -> None: ...


@dataclass(frozen=True, slots=True)
class About:
    """What the daemon says of itself."""

    version: str
    host_name: str


class ControlServicer(control_pb2_grpc.ControlServicer):
    """Answers the calls of gon/pb/v1/control.proto from a Host."""

    def __init__(self, host: Host, about: About) -> None:
        self._host = host
        self._about = about

    async def Describe(  # noqa: N802 - the service's name
        self,
        request: pb.DescribeRequest,  # noqa: ARG002 - it has nothing to say
        context: _Call[pb.DescribeRequest, pb.DescribeReply],  # noqa: ARG002
    ) -> pb.DescribeReply:
        return pb.DescribeReply(
            daemon_version=self._about.version,
            wire_version_min=VERSION_MIN,
            wire_version_max=VERSION_MAX,
            host_name=self._about.host_name,
            epoch=self._host.epoch,
            units=[_unit(unit) for unit in self._host.units()],
            draining=self._host.draining,
        )

    async def Acquire(  # noqa: N802
        self, request: pb.AcquireRequest, context: _Call[pb.AcquireRequest, pb.AcquireReply]
    ) -> pb.AcquireReply:
        return await _answer(context, self._acquire(request))

    async def Renew(  # noqa: N802
        self, request: pb.RenewRequest, context: _Call[pb.RenewRequest, pb.RenewReply]
    ) -> pb.RenewReply:
        return await _answer(context, self._renew(request))

    async def Release(  # noqa: N802
        self, request: pb.ReleaseRequest, context: _Call[pb.ReleaseRequest, pb.ReleaseReply]
    ) -> pb.ReleaseReply:
        return await _answer(context, self._release(request))

    async def Inspect(  # noqa: N802
        self, request: pb.InspectRequest, context: _Call[pb.InspectRequest, pb.InspectReply]
    ) -> pb.InspectReply:
        return await _answer(context, self._inspect(request))

    async def _acquire(self, request: pb.AcquireRequest) -> pb.AcquireReply:
        _check_names(unit=request.unit, personality=request.personality, client=request.client)
        if len(request.personalities) > PERSONALITIES_MAX:
            raise InvalidArgument(f"more than {PERSONALITIES_MAX} personalities")
        for name in request.personalities:
            _check_names(personality=name)
        link = _LINKS.get(request.link)
        if link is None:
            raise InvalidArgument(f"link kind {request.link} is unknown to this gond")
        grant = await self._host.acquire(
            LeaseRequest(
                unit=request.unit,
                personality=request.personality,
                personalities=tuple(request.personalities),
                memory_bytes=request.memory_bytes,
                link=link,
                client=request.client,
            )
        )
        lease = grant.lease
        return pb.AcquireReply(
            lease=lease.id,
            unit=lease.unit,
            personality=lease.share.personality,
            epoch=lease.epoch,
            fence=lease.fence,
            token=grant.token,
            memory_bytes=lease.share.memory_bytes,
            slices=lease.share.slices,
            lease_s=self._host.lease_s,
            grace_s=self._host.grace_s,
            endpoints=grant.endpoints,
            personalities=lease.share.personalities,
        )

    async def _renew(self, request: pb.RenewRequest) -> pb.RenewReply:
        return pb.RenewReply(expires_in_s=self._host.renew(request.lease, request.token))

    async def _release(self, request: pb.ReleaseRequest) -> pb.ReleaseReply:
        await self._host.release(request.lease, request.token)
        return pb.ReleaseReply()

    async def _inspect(self, request: pb.InspectRequest) -> pb.InspectReply:
        lease, expires_in_s = self._host.inspect(request.lease, request.token)
        return pb.InspectReply(
            state=_STATES[lease.state],
            reason=lease.reason,
            expires_in_s=expires_in_s,
            unit=lease.unit,
            fence=lease.fence,
            personality=lease.personality,
        )


class ControlServer:
    """The gRPC server with the control, health and reflection services."""

    def __init__(self, host: Host, about: About) -> None:
        logging.getLogger("grpc._cython.cygrpc").addFilter(_NO_MESSAGES)
        # The stubs leave the types of options that we do not use open.
        self._server = aio.server(  # pyright: ignore[reportUnknownMemberType]
            options=_OPTIONS, maximum_concurrent_rpcs=CONTROL_CALLS_MAX
        )
        self._health = cast("_Health", health.aio.HealthServicer())  # type: ignore[attr-defined]
        self._paths: list[Path] = []
        control_pb2_grpc.add_ControlServicer_to_server(ControlServicer(host, about), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self, addresses: Sequence[Address]) -> tuple[Address, ...]:
        """Listen on `addresses`; return them with the ports they really have.

        Raises ConfigError. The paths of unix sockets must be free (gon_server.listening).
        """
        bound = tuple(self._bind(address) for address in addresses)
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return bound

    async def refuse_work(self) -> None:
        """Tell whoever watches the host's health that it serves no more."""
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """Answer what is being answered, and listen no more."""
        await self._server.stop(STOP_GRACE_S)
        for path in self._paths:
            path.unlink(missing_ok=True)

    def _bind(self, address: Address) -> Address:
        target = f"unix:{address.path}" if address.is_unix else address.authority
        # The socket must be ours alone from its first moment on.
        mask = os.umask(0o177)
        try:
            port = self._server.add_insecure_port(target)
        except RuntimeError as error:
            raise ConfigError(f"cannot listen on {address}: it is taken, or not ours") from error
        finally:
            os.umask(mask)
        if address.is_unix:
            self._paths.append(Path(address.path))
            return address
        return address.at_port(port)


async def _answer(context: _Call[_Request, _Reply], answer: Awaitable[_Reply]) -> _Reply:
    """Return the answer, or end the call with the GonError that it raises."""
    try:
        return await answer
    except GonError as error:
        await _abort(context, error)


async def _abort(context: _Call[_Request, _Reply], error: GonError) -> NoReturn:
    status = grpc.StatusCode[TABLE[error.code].grpc_status]
    metadata = (("gon-code", str(int(error.code))), ("gon-message-bin", error.message.encode()))
    await context.abort(status, error.message, metadata)
    raise AssertionError("abort raises")


def _check_names(**names: str) -> None:
    for what, name in names.items():
        if len(name.encode()) > NAME_BYTES_MAX:
            raise InvalidArgument(f"{what} is longer than {NAME_BYTES_MAX} bytes")


def _unit(unit: UnitInfo) -> pb.Unit:
    return pb.Unit(
        id=unit.id,
        kind=unit.kind,
        name=unit.name,
        personality=unit.personality,
        personalities=unit.personalities,
        formats=unit.formats,
        memory_bytes=unit.memory_bytes,
        slices=unit.slices,
        slices_free=unit.slices_free,
        engines=unit.engines,
        walls=unit.walls,
    )
