"""Lets a lease's device be another personality, as an op asks.

Must not know: links, sessions, frames.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.elastic import Elastic
from gon.errors import Unsupported
from gon.model import Configuration
from gon.wire import ops


def reconfigured(device: HostDevice, op: ops.Reconfigure) -> Configuration:
    """Change the device's personality. Raises Unsupported, and what its engines raise."""
    if not isinstance(device, Elastic):
        raise Unsupported(
            "this lease is for one personality and nothing else: acquire(personalities=…) names "
            "what it may be"
        )
    return device.reconfigure(op.personality, keep=op.keep)
