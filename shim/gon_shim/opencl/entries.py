"""All entries of the driver: importing this fills the dispatch table."""

from __future__ import annotations

from _gon_opencl import ffi
from gon_shim.opencl import (
    device,
    event,
    kernel,
    launching,
    mapping,
    memory,
    platform,
    program,
    queue,
    rectangles,
    scope,
    transfers,
)
from gon_shim.opencl.entry import bind_rest
from gon_shim.opencl.unit import UNIT

__all__ = [
    "device",
    "event",
    "kernel",
    "launching",
    "mapping",
    "memory",
    "platform",
    "program",
    "queue",
    "rectangles",
    "scope",
    "transfers",
]

bind_rest()
ffi.def_extern(name="gon_shutdown")(UNIT.close)
