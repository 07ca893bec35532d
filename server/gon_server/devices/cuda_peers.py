"""Copies between two CUDA devices of one process.

The target's stream copies, behind an event of the source's stream, which then waits for an event of
the target's: the copy comes after what was queued on both before, and before what is queued on
either later. Bytes go from one device's memory to the other's where the driver can do that, through
the host's otherwise; that is CUDA's to choose.

Rules: places have been checked. What is made for a device is made while the thread is turned to it.
"""

from __future__ import annotations

from typing import NamedTuple

from gon_server.devices.cuda_driver import (
    PEER_ENABLED_ALREADY,
    PEER_UNSUPPORTED,
    PEERS_TOO_MANY,
    Cuda,
    Health,
    status_of,
)
from gon_server.devices.cuda_stream import Stream


class Place(NamedTuple):
    """One end of a copy: the number of its device, a stream, an address."""

    device: int
    stream: Stream
    address: int


class Peers:
    """What one device copies from others."""

    __slots__ = ("_cuda", "_health", "_index", "_known")

    def __init__(self, cuda: Cuda, health: Health, index: int) -> None:
        self._cuda = cuda
        self._health = health
        self._index = index
        # Those whose memory this device has been let into, as far as that goes.
        self._known = {index}

    def copy(self, source: Place, target: Place, size: int) -> None:
        """Queue a copy to this device. Raises DeviceError."""
        stream, turn_to = target.stream, self._cuda.api.runtime.setDevice
        try:
            turn_to(source.device)
            if source.stream.busy:
                stream.wait_for(source.stream.mark())
            turn_to(self._index)
            self._let_in(source.device)
            self._cuda.api.runtime.memcpyPeerAsync(
                target.address, self._index, source.address, source.device, size, stream.ptr
            )
        except self._cuda.errors as error:
            doing = f"copying {size} bytes from another device"
            raise self._health.error_of(error, doing) from error
        stream.queued += 1
        source.stream.wait_for(stream.mark())

    def _let_in(self, peer: int) -> None:
        """Let this device reach the other's memory where it can. Raises CUDA's errors."""
        if peer in self._known:
            return
        self._known.add(peer)
        runtime = self._cuda.api.runtime
        if not runtime.deviceCanAccessPeer(self._index, peer):
            return
        try:
            runtime.deviceEnablePeerAccess(peer)
        except self._cuda.errors as error:
            if status_of(error) not in (PEER_ENABLED_ALREADY, PEER_UNSUPPORTED, PEERS_TOO_MANY):
                raise
