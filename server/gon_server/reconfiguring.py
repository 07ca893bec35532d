"""Lets a lease's device be another personality, as an op asks.

Must not know: links, sessions, frames.
"""

from __future__ import annotations

from gon.device import HostDevice
from gon.elastic import Elastic
from gon.errors import Unsupported
from gon.wire import ops
from gon.wire.batch import Reply, encode


def reconfigured(device: HostDevice, op: ops.Reconfigure) -> Reply:
    """Change the device's personality. Raises Unsupported, and what its engines raise."""
    if not isinstance(device, Elastic):
        raise Unsupported(
            "this lease is for one personality and nothing else: acquire(personalities=…) names "
            "what it may be"
        )
    return Reply(op.reply, encode(device.reconfigure(op.personality, keep=op.keep)))
