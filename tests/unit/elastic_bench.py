"""A unit with functions of a fake engine and a few buffers, over any device."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from gon.clock import SYSTEM_CLOCK
from gon.device import HostDevice
from gon.model import DEFAULT_STREAM, Handle, LaunchArg, Program
from gon.personalities import PERSONALITIES, Personality
from gon_server.devices import opencl, sim
from gon_server.devices.opencl_runtime import select
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share
from gon_server.engines.shelf import Shelf
from tests.fake_engine import FORMAT, FakeEngine

X, Y, Z = Handle(1), Handle(2), Handle(3)
MODULE, KERNEL, OTHER = Handle(10), Handle(11), Handle(12)
STREAM, EVENT, GRAPH = Handle(20), Handle(21), Handle(22)
ONE = (1, 1, 1)
SIZE = 64
ADD = "__kernel void add(__global uchar *x) { x[get_global_id(0)] += 1; }"


def args(x: LaunchArg, y: LaunchArg, add: int, n: int = SIZE) -> tuple[LaunchArg, ...]:
    return (x, y, bytes([add]), struct.pack("<q", n))


def named(*names: str) -> list[Personality]:
    return [each for name in names for each in PERSONALITIES if each.name == name]


class Bench:
    """A unit with three buffers and the functions of one module."""

    def __init__(self, base: HostDevice, *names: str) -> None:
        self.engine = FakeEngine()
        self.shelf = Shelf(Share(1))
        self.shelf.put(self.engine)
        self.unit = ElasticUnit(
            base, self.shelf, named(*(names or ("dpu", "gpu", "npu"))), SYSTEM_CLOCK
        )
        for buffer in (X, Y, Z):
            self.unit.allocate(buffer, SIZE)
        self.unit.load(MODULE, Program(b"plus fails", FORMAT))
        self.unit.get_kernel(KERNEL, MODULE, "plus")
        self.unit.get_kernel(OTHER, MODULE, "fails")

    def launch(self, given: tuple[LaunchArg, ...], kernel: Handle = KERNEL) -> None:
        self.unit.launch(DEFAULT_STREAM, kernel, ONE, ONE, 0, given)

    def content(self, buffer: Handle, size: int = SIZE) -> list[int]:
        out = bytearray(size)
        self.unit.read(DEFAULT_STREAM, buffer, 0, memoryview(out)).wait()
        return list(out)


def open_apart() -> HostDevice:
    """Return a device whose buffers are not the host's memory, as those of a GPU."""
    return opencl.OpenClDevice(select(""), "", may_share=False)


OPENED: Mapping[str, Callable[[], HostDevice]] = {
    "sim": lambda: sim.open_device("5"),
    "opencl": lambda: opencl.open_device(""),
    "apart": open_apart,
}
