"""All entries of the driver: importing this fills the dispatch table."""

from __future__ import annotations

import atexit
from collections.abc import Callable

from _gon_opencl import ffi
from gon_shim.opencl import (
    device,
    event,
    image_transfers,
    images,
    kernel,
    launching,
    mapping,
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


def _at_exit() -> None:
    """Do what Python does at a program's end: an interpreter in another's program never ends."""
    run_all: Callable[[], None] = vars(atexit)["_run_exitfuncs"]
    run_all()


ffi.def_extern(name="gon_shutdown")(_at_exit)
