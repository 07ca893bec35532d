from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LinkKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_KIND_UNSPECIFIED: _ClassVar[LinkKind]
    LINK_KIND_STREAM: _ClassVar[LinkKind]
    LINK_KIND_ZMQ: _ClassVar[LinkKind]
    LINK_KIND_SHM: _ClassVar[LinkKind]

class LeaseState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEASE_STATE_UNSPECIFIED: _ClassVar[LeaseState]
    LEASE_STATE_STARTING: _ClassVar[LeaseState]
    LEASE_STATE_READY: _ClassVar[LeaseState]
    LEASE_STATE_ENDED: _ClassVar[LeaseState]
LINK_KIND_UNSPECIFIED: LinkKind
LINK_KIND_STREAM: LinkKind
LINK_KIND_ZMQ: LinkKind
LINK_KIND_SHM: LinkKind
LEASE_STATE_UNSPECIFIED: LeaseState
LEASE_STATE_STARTING: LeaseState
LEASE_STATE_READY: LeaseState
LEASE_STATE_ENDED: LeaseState

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeReply(_message.Message):
    __slots__ = ("daemon_version", "wire_version_min", "wire_version_max", "host_name", "epoch", "units", "draining")
    DAEMON_VERSION_FIELD_NUMBER: _ClassVar[int]
    WIRE_VERSION_MIN_FIELD_NUMBER: _ClassVar[int]
    WIRE_VERSION_MAX_FIELD_NUMBER: _ClassVar[int]
    HOST_NAME_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    daemon_version: str
    wire_version_min: int
    wire_version_max: int
    host_name: str
    epoch: int
    units: _containers.RepeatedCompositeFieldContainer[Unit]
    draining: bool
    def __init__(self, daemon_version: _Optional[str] = ..., wire_version_min: _Optional[int] = ..., wire_version_max: _Optional[int] = ..., host_name: _Optional[str] = ..., epoch: _Optional[int] = ..., units: _Optional[_Iterable[_Union[Unit, _Mapping]]] = ..., draining: _Optional[bool] = ...) -> None: ...

class Unit(_message.Message):
    __slots__ = ("id", "kind", "name", "personality", "personalities", "formats", "memory_bytes", "slices", "slices_free", "engines", "walls")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERSONALITY_FIELD_NUMBER: _ClassVar[int]
    PERSONALITIES_FIELD_NUMBER: _ClassVar[int]
    FORMATS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    SLICES_FREE_FIELD_NUMBER: _ClassVar[int]
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    WALLS_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    name: str
    personality: str
    personalities: _containers.RepeatedScalarFieldContainer[str]
    formats: _containers.RepeatedScalarFieldContainer[str]
    memory_bytes: int
    slices: int
    slices_free: int
    engines: _containers.RepeatedScalarFieldContainer[str]
    walls: str
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., personality: _Optional[str] = ..., personalities: _Optional[_Iterable[str]] = ..., formats: _Optional[_Iterable[str]] = ..., memory_bytes: _Optional[int] = ..., slices: _Optional[int] = ..., slices_free: _Optional[int] = ..., engines: _Optional[_Iterable[str]] = ..., walls: _Optional[str] = ...) -> None: ...

class AcquireRequest(_message.Message):
    __slots__ = ("unit", "personality", "memory_bytes", "link", "client", "personalities")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    PERSONALITY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    PERSONALITIES_FIELD_NUMBER: _ClassVar[int]
    unit: str
    personality: str
    memory_bytes: int
    link: LinkKind
    client: str
    personalities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, unit: _Optional[str] = ..., personality: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., link: _Optional[_Union[LinkKind, str]] = ..., client: _Optional[str] = ..., personalities: _Optional[_Iterable[str]] = ...) -> None: ...

class AcquireReply(_message.Message):
    __slots__ = ("lease", "unit", "personality", "epoch", "fence", "token", "memory_bytes", "slices", "lease_s", "grace_s", "endpoints", "personalities")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    PERSONALITY_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    GRACE_S_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    PERSONALITIES_FIELD_NUMBER: _ClassVar[int]
    lease: str
    unit: str
    personality: str
    epoch: int
    fence: int
    token: bytes
    memory_bytes: int
    slices: int
    lease_s: float
    grace_s: float
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    personalities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lease: _Optional[str] = ..., unit: _Optional[str] = ..., personality: _Optional[str] = ..., epoch: _Optional[int] = ..., fence: _Optional[int] = ..., token: _Optional[bytes] = ..., memory_bytes: _Optional[int] = ..., slices: _Optional[int] = ..., lease_s: _Optional[float] = ..., grace_s: _Optional[float] = ..., endpoints: _Optional[_Iterable[str]] = ..., personalities: _Optional[_Iterable[str]] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("lease", "token")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    lease: str
    token: bytes
    def __init__(self, lease: _Optional[str] = ..., token: _Optional[bytes] = ...) -> None: ...

class RenewReply(_message.Message):
    __slots__ = ("expires_in_s",)
    EXPIRES_IN_S_FIELD_NUMBER: _ClassVar[int]
    expires_in_s: float
    def __init__(self, expires_in_s: _Optional[float] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("lease", "token")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    lease: str
    token: bytes
    def __init__(self, lease: _Optional[str] = ..., token: _Optional[bytes] = ...) -> None: ...

class ReleaseReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InspectRequest(_message.Message):
    __slots__ = ("lease", "token")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    lease: str
    token: bytes
    def __init__(self, lease: _Optional[str] = ..., token: _Optional[bytes] = ...) -> None: ...

class InspectReply(_message.Message):
    __slots__ = ("state", "reason", "expires_in_s", "unit", "fence", "personality")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_S_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    PERSONALITY_FIELD_NUMBER: _ClassVar[int]
    state: LeaseState
    reason: str
    expires_in_s: float
    unit: str
    fence: int
    personality: str
    def __init__(self, state: _Optional[_Union[LeaseState, str]] = ..., reason: _Optional[str] = ..., expires_in_s: _Optional[float] = ..., unit: _Optional[str] = ..., fence: _Optional[int] = ..., personality: _Optional[str] = ...) -> None: ...
