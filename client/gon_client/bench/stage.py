"""A device at one place with what the workloads need on it: kernels, arrays, a stream; how to open
one.

The same program runs everywhere: `direct` is `gon.local()`, every other place a lease over the link
of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from gon.model import LaunchConfig
from gon_client.bench.catalogue import DIRECT
from gon_client.bench.detour import open_detour
from gon_client.bench.distance import Distance, distance
from gon_client.connect import Host, connect
from gon_client.device import Device
from gon_client.launch import launch
from gon_client.local import local

_Made = TypeVar("_Made")
# Opens a device, of personalities if some are named.
Attach: TypeAlias = Callable[[Sequence[str]], Device]

AXPY_ELEMENTS = 64
SOURCE = """
kernel void touch(global int *x, int value) { x[0] = value; }

kernel void axpy(float a, global const float *x, global float *y, int n) {
    int i = get_global_id(0);
    if (i < n) y[i] += a * x[i];
}
"""


@dataclass(frozen=True, slots=True)
class Address:
    """What tells a place: its name, the host's URI ("" for `direct`), the unit ("" for the host's
    choice), and where the delay proxy of a far place runs.
    """

    where: str
    host: str
    unit: str
    way_cpus: tuple[int, ...] = ()


class Stage:
    """A device, warmed up: its kernels are compiled and have run once."""

    def __init__(
        self, address: Address, device: Device, attach: Attach, also: ExitStack | None = None
    ) -> None:
        """`also` gives back what else is opened."""
        self.address = address
        self.device = device
        self._attach = attach
        self._also = also or ExitStack()
        module = device.compile(SOURCE, "opencl-c")
        self.touch = module.get_kernel("touch")
        self.axpy = module.get_kernel("axpy")
        self.stream = device.create_stream()
        self.flag = device.zeros(1, np.int32)
        self.x = device.asarray(np.ones(AXPY_ELEMENTS, np.float32))
        self.y = device.zeros(AXPY_ELEMENTS, np.float32)
        self._kept: dict[object, object] = {}
        self.launch_once()

    def once(self, make: Callable[[Stage], _Made]) -> _Made:
        """Return what `make` makes of this stage; it is made when it is first asked for."""
        if make not in self._kept:
            self._kept[make] = make(self)
        return cast("_Made", self._kept[make])

    @property
    def name(self) -> str:
        return self.device.name

    def attach(self) -> Device:
        """Open one more device."""
        return self._attach(())

    def attach_as(self, personalities: Sequence[str]) -> Device:
        """Open a device of these personalities, for as long as the stage is there."""
        return self._also.enter_context(self._attach(personalities))

    def launch_once(self) -> None:
        """Launch the smallest kernel and wait for it."""
        launch(self.stream, LaunchConfig(1, 1), self.touch, self.flag, np.int32(1))
        self.stream.sync()

    def host_array(self, size_bytes: int) -> NDArray[np.uint8]:
        """Return bytes to send, no two neighbours alike."""
        return np.resize(np.arange(256, dtype=np.uint8), size_bytes)


@contextmanager
def _connected(address: Address, way: Distance) -> Generator[Host]:
    """Connect to the host, by a delay proxy of this place's own if it is far."""
    if not way.is_far:
        with connect(address.host) as host:
            yield host
        return
    with open_detour(way, address.way_cpus) as detour, detour.connect(address.host) as host:
        yield host


@contextmanager
def open_stage(address: Address) -> Generator[Stage]:
    """Open a device at a place, prepare it, and give it back."""
    if address.where == DIRECT:

        def local_as(personalities: Sequence[str]) -> Device:
            return local(personalities=personalities)

        with local() as device, ExitStack() as also:
            yield Stage(address, device, local_as, also)
        return
    way = distance(address.where)
    with _connected(address, way) as host:

        def attach(personalities: Sequence[str]) -> Device:
            return host.acquire(unit=address.unit, link=way.link, personalities=personalities)

        with attach(()) as device, ExitStack() as also:
            yield Stage(address, device, attach, also)
