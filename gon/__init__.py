"""GoN, GPU over Network: the accelerators of other machines as if they were local.

    import gon
    with gon.connect("gon://host:7070") as host, host.acquire() as dev:
        ...

The public names are forwarded lazily (PEP 562), so that `import gon` costs nothing and the shared
vocabulary below this package never depends on the client. This is the only file in `gon` that
names it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gon_client.xp as xp
    from gon.errors import (
        BadHandle,
        CompileError,
        ConfigError,
        CorruptData,
        DeviceError,
        GonError,
        HostUnreachable,
        IntegrityError,
        InvalidArgument,
        KernelArgumentError,
        LaunchTooLarge,
        LeaseLost,
        LeaseRefused,
        LimitExceeded,
        LinkLost,
        OutOfMemory,
        ProtocolError,
        RemoteProtocolError,
        Unsupported,
        WaitTimeout,
    )
    from gon.model import Configuration, LaunchConfig, LocalBytes, UnitInfo
    from gon_client.array import DeviceArray
    from gon_client.buffer import Buffer, ReadFuture
    from gon_client.connect import Host, connect
    from gon_client.device import Device
    from gon_client.event import Event
    from gon_client.flow import DeviceFlow, FlowResult
    from gon_client.function import Function
    from gon_client.graph import Graph
    from gon_client.launch import launch
    from gon_client.local import local
    from gon_client.module import Kernel, Module
    from gon_client.predict.recording import Recording, record
    from gon_client.statistics import DeviceStatistics, stats
    from gon_client.stream import Stream
    from gon_client.vision import DeviceVision, EncodedImages, FoundCorners, FoundPoints

__version__ = "0.1.0"

_ERRORS = (
    "BadHandle",
    "CompileError",
    "ConfigError",
    "CorruptData",
    "DeviceError",
    "GonError",
    "HostUnreachable",
    "IntegrityError",
    "InvalidArgument",
    "KernelArgumentError",
    "LaunchTooLarge",
    "LeaseLost",
    "LeaseRefused",
    "LimitExceeded",
    "LinkLost",
    "OutOfMemory",
    "ProtocolError",
    "RemoteProtocolError",
    "Unsupported",
    "WaitTimeout",
)
_HOMES = {
    **dict.fromkeys(_ERRORS, "gon.errors"),
    "Configuration": "gon.model",
    "LaunchConfig": "gon.model",
    "LocalBytes": "gon.model",
    "UnitInfo": "gon.model",
    "DeviceArray": "gon_client.array",
    "Buffer": "gon_client.buffer",
    "ReadFuture": "gon_client.buffer",
    "Host": "gon_client.connect",
    "connect": "gon_client.connect",
    "Device": "gon_client.device",
    "Event": "gon_client.event",
    "DeviceFlow": "gon_client.flow",
    "FlowResult": "gon_client.flow",
    "Function": "gon_client.function",
    "Graph": "gon_client.graph",
    "launch": "gon_client.launch",
    "local": "gon_client.local",
    "Kernel": "gon_client.module",
    "Module": "gon_client.module",
    "Recording": "gon_client.predict.recording",
    "record": "gon_client.predict.recording",
    "DeviceStatistics": "gon_client.statistics",
    "stats": "gon_client.statistics",
    "Stream": "gon_client.stream",
    "DeviceVision": "gon_client.vision",
    "EncodedImages": "gon_client.vision",
    "FoundCorners": "gon_client.vision",
    "FoundPoints": "gon_client.vision",
}
# Names that are modules themselves.
_MODULES = {"xp": "gon_client.xp"}

__all__ = [
    "BadHandle",
    "Buffer",
    "CompileError",
    "ConfigError",
    "Configuration",
    "CorruptData",
    "Device",
    "DeviceArray",
    "DeviceError",
    "DeviceFlow",
    "DeviceStatistics",
    "DeviceVision",
    "EncodedImages",
    "Event",
    "FlowResult",
    "FoundCorners",
    "FoundPoints",
    "Function",
    "GonError",
    "Graph",
    "Host",
    "HostUnreachable",
    "IntegrityError",
    "InvalidArgument",
    "Kernel",
    "KernelArgumentError",
    "LaunchConfig",
    "LaunchTooLarge",
    "LeaseLost",
    "LeaseRefused",
    "LimitExceeded",
    "LinkLost",
    "LocalBytes",
    "Module",
    "OutOfMemory",
    "ProtocolError",
    "ReadFuture",
    "Recording",
    "RemoteProtocolError",
    "Stream",
    "UnitInfo",
    "Unsupported",
    "WaitTimeout",
    "connect",
    "launch",
    "local",
    "record",
    "stats",
    "xp",
]


def __getattr__(name: str) -> object:
    module, home = _MODULES.get(name), _HOMES.get(name)
    value: object
    if module is not None:
        value = importlib.import_module(module)
    elif home is not None:
        value = getattr(importlib.import_module(home), name)
    else:
        raise AttributeError(f"module 'gon' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
