"""A device of this host in this process, for `gon.local()`; the client finds it by entry point."""

from __future__ import annotations

from gon.device import HostDevice
from gon_server.worker import open_backend

DEFAULT_DEVICE = "opencl:"


def open_local(device: str) -> HostDevice:
    """Open `device` ("backend:address"), "" for the default software-defined unit."""
    return open_backend(device or DEFAULT_DEVICE)
