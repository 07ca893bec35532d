"""Makes and forgets what handles name, buffers and modules apart, as ops ask for it.

Must not know: links, sessions, frames, quota.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.model import Handle
from gon.wire import ops
from gon.wire.ops import AnyOp
from gon_server.replaying import Replaying


def make_or_forget(device: HostDevice, replaying: Replaying, op: AnyOp) -> None:
    """Do it. Raises what the device raises."""
    match op:
        case ops.CreateStream():
            device.create_stream(Handle(op.stream))
        case ops.CloseStream():
            device.close_stream(Handle(op.stream))
        case ops.CreateEvent():
            device.create_event(Handle(op.event))
        case ops.CloseEvent():
            device.close_event(Handle(op.event))
        case ops.Unload():
            device.unload(Handle(op.module))
        case ops.GetKernel():
            device.get_kernel(Handle(op.kernel), Handle(op.module), op.name)
        case ops.CloseKernel():
            device.close_kernel(Handle(op.kernel))
        case ops.DefineGraph():
            replaying.define(op)
        case ops.CloseGraph():
            replaying.close(op)
        case ops.GetGlobal():
            device.get_global(Handle(op.buffer), Handle(op.module), op.name)
        case _:
            raise AssertionError(f"no step for {op}")
