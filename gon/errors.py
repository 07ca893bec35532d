"""Every exception GoN raises, and the one table of their codes.

    GonError
    ├── InvalidArgument            the caller's argument is wrong (also a ValueError)
    │   ├── BadHandle              no such buffer, stream, event, module or kernel in this session
    │   ├── KernelArgumentError    count, type or size of a kernel's arguments
    │   └── LaunchTooLarge         grid, block or local memory beyond the device
    ├── ConfigError                a setting of gond or gon is unknown or wrong
    ├── CompileError               a module does not compile; `.log` is the compiler's
    ├── Unsupported                the unit cannot do this
    ├── OutOfMemory                the lease's quota or the device's memory is used up
    ├── LimitExceeded              a maximum of gon.limits is reached
    ├── DeviceError                the device failed while running an op
    ├── CorruptData                data is not, or not all, of the form it should have
    ├── IntegrityError             data is not what its checksum or its key says
    ├── WaitTimeout                an explicit timeout passed; the op goes on
    ├── HostUnreachable            nobody answers as gond there
    ├── LeaseError
    │   ├── LeaseRefused           gond gives no such lease; the message says why
    │   └── LeaseLost              the lease has ended; every handle of it raises this
    ├── LinkLost                   one connection broke (the session may resume on another)
    └── ProtocolError
        ├── LocalProtocolError     we would break the protocol: a bug on this side
        └── RemoteProtocolError    the peer broke it; ends the link, never the daemon

Rules: codes are stable and never reused; an error travels as (code, message, log) and is raised on
the other side as the same class. Foreign exceptions are mapped to these at the edge where they
arise.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Code(IntEnum):
    """The stable number of each class of error; what travels, and what scripts may rely on."""

    INTERNAL = 1
    INVALID_ARGUMENT = 2
    BAD_HANDLE = 3
    KERNEL_ARGUMENT = 4
    LAUNCH_TOO_LARGE = 5
    CONFIG = 6
    COMPILE = 7
    UNSUPPORTED = 8
    OUT_OF_MEMORY = 9
    LIMIT_EXCEEDED = 10
    DEVICE = 11
    WAIT_TIMEOUT = 12
    HOST_UNREACHABLE = 13
    LEASE_REFUSED = 14
    LEASE_LOST = 15
    LINK_LOST = 16
    LOCAL_PROTOCOL = 17
    REMOTE_PROTOCOL = 18
    CORRUPT_DATA = 21
    INTEGRITY = 22


class GonError(Exception):
    """Base of all. `code` is stable; `op`, `number` and `origin` tell which op failed, where it is
    known.

    `op` is the op's name, `number` its place in the session (from 1), `origin` the caller's
    "file:line" that queued it.
    """

    code = Code.INTERNAL

    def __init__(
        self, message: str, *, op: str = "", number: int = 0, origin: str = "", log: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.op = op
        self.number = number
        self.origin = origin
        self.log = log
        # Where a graph was run: the place, from 0, of the op that raised it. Does not travel.
        self.place = 0

    def __str__(self) -> str:
        text = f"[{self.code.name}] {self.message}"
        if self.op:
            where = f", queued at {self.origin}" if self.origin else ""
            text += f" (op {self.op} #{self.number}{where})"
        if self.log and self.log not in self.message:
            text += "\n" + self.log
        return text


class InvalidArgument(GonError, ValueError):
    code = Code.INVALID_ARGUMENT


class BadHandle(InvalidArgument):
    code = Code.BAD_HANDLE


class KernelArgumentError(InvalidArgument):
    code = Code.KERNEL_ARGUMENT


class LaunchTooLarge(InvalidArgument):
    code = Code.LAUNCH_TOO_LARGE


class ConfigError(GonError):
    code = Code.CONFIG


class CompileError(GonError):
    """A module did not compile; `log` holds the compiler's output."""

    code = Code.COMPILE


class Unsupported(GonError):
    code = Code.UNSUPPORTED


class OutOfMemory(GonError, MemoryError):
    code = Code.OUT_OF_MEMORY


class LimitExceeded(GonError):
    code = Code.LIMIT_EXCEEDED


class DeviceError(GonError):
    code = Code.DEVICE


class CorruptData(GonError, ValueError):
    code = Code.CORRUPT_DATA


class IntegrityError(GonError, ValueError):
    code = Code.INTEGRITY


class WaitTimeout(GonError, TimeoutError):
    code = Code.WAIT_TIMEOUT


class HostUnreachable(GonError, ConnectionError):
    code = Code.HOST_UNREACHABLE


class LeaseError(GonError):
    code = Code.LEASE_REFUSED


class LeaseRefused(LeaseError):
    code = Code.LEASE_REFUSED


class LeaseLost(LeaseError):
    code = Code.LEASE_LOST


class LinkLost(GonError, ConnectionError):
    code = Code.LINK_LOST


class ProtocolError(GonError):
    code = Code.LOCAL_PROTOCOL


class LocalProtocolError(ProtocolError):
    code = Code.LOCAL_PROTOCOL


class RemoteProtocolError(ProtocolError):
    code = Code.REMOTE_PROTOCOL


class Row(NamedTuple):
    """One line of the table: the class raised, and the gRPC status name that carries it on the
    control plane.
    """

    error: type[GonError]
    grpc_status: str


TABLE: dict[Code, Row] = {
    Code.INTERNAL: Row(GonError, "INTERNAL"),
    Code.INVALID_ARGUMENT: Row(InvalidArgument, "INVALID_ARGUMENT"),
    Code.BAD_HANDLE: Row(BadHandle, "NOT_FOUND"),
    Code.KERNEL_ARGUMENT: Row(KernelArgumentError, "INVALID_ARGUMENT"),
    Code.LAUNCH_TOO_LARGE: Row(LaunchTooLarge, "OUT_OF_RANGE"),
    Code.CONFIG: Row(ConfigError, "FAILED_PRECONDITION"),
    Code.COMPILE: Row(CompileError, "INVALID_ARGUMENT"),
    Code.UNSUPPORTED: Row(Unsupported, "UNIMPLEMENTED"),
    Code.OUT_OF_MEMORY: Row(OutOfMemory, "RESOURCE_EXHAUSTED"),
    Code.LIMIT_EXCEEDED: Row(LimitExceeded, "RESOURCE_EXHAUSTED"),
    Code.DEVICE: Row(DeviceError, "ABORTED"),
    Code.WAIT_TIMEOUT: Row(WaitTimeout, "DEADLINE_EXCEEDED"),
    Code.HOST_UNREACHABLE: Row(HostUnreachable, "UNAVAILABLE"),
    Code.LEASE_REFUSED: Row(LeaseRefused, "FAILED_PRECONDITION"),
    Code.LEASE_LOST: Row(LeaseLost, "NOT_FOUND"),
    Code.LINK_LOST: Row(LinkLost, "UNAVAILABLE"),
    Code.LOCAL_PROTOCOL: Row(LocalProtocolError, "INTERNAL"),
    Code.REMOTE_PROTOCOL: Row(RemoteProtocolError, "INTERNAL"),
    Code.CORRUPT_DATA: Row(CorruptData, "DATA_LOSS"),
    Code.INTEGRITY: Row(IntegrityError, "DATA_LOSS"),
}


def error_of(
    code: int, message: str, *, op: str = "", number: int = 0, origin: str = "", log: str = ""
) -> GonError:
    """Build the exception that `code` stands for; an unknown code (a newer peer) gives a plain
    GonError.
    """
    row = TABLE.get(Code(code)) if code in Code._value2member_map_ else None
    error = row.error if row else GonError
    return error(message, op=op, number=number, origin=origin, log=log)
