"""All entries of the driver: importing this fills the dispatch table."""

from __future__ import annotations

from _gon_opencl import ffi
from gon_shim.leased import run_exit_functions
from gon_shim.opencl import (
    device,
    event,
    image_transfers,
    images,
    kernel,
    launching,
    mapping,
    markers,
    memory,
    platform,
    program,
    queue,
    rectangles,
    samplers,
    scope,
    transfers,
)
from gon_shim.opencl.entry import bind_rest

__all__ = [
    "device",
    "event",
    "image_transfers",
    "images",
    "kernel",
    "launching",
    "mapping",
    "markers",
    "memory",
    "platform",
    "program",
    "queue",
    "rectangles",
    "samplers",
    "scope",
    "transfers",
]

bind_rest()
ffi.def_extern(name="gon_shutdown")(run_exit_functions)
