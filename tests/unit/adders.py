"""An engine of one function, a sum, that notes what it was bound to; and a unit that has it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from gon.clock import SYSTEM_CLOCK
from gon.device import HostDevice
from gon.model import Handle, KernelInfo, Program
from gon.personalities import Personality
from gon_server.elastic import ElasticUnit
from gon_server.engines.base import Share, Tensor, Uses, address_of
from gon_server.engines.shelf import Shelf
from gon_server.engines.signature import data, function, tensor

A, B, Y, AGAIN = Handle(1), Handle(2), Handle(3), Handle(4)
MODULE, KERNEL = Handle(10), Handle(11)
ONE = (1, 1, 1)
SIZE = 64
N = struct.pack("<q", SIZE)

FORMAT = "dpu-flow"
ANY = Personality("any", formats=(FORMAT,), kernels=True)
OTHER = Personality("other", formats=(FORMAT,), kernels=True)


class Adder:
    """An engine of one function, y = a + b, of bytes; with code "keyed" also + the bytes of a key.
    It notes what it was bound to.
    """

    version = "adder 1"
    format = FORMAT

    def __init__(self) -> None:
        self.bound: list[tuple[int, ...]] = []

    def load(self, program: Program) -> Sum:
        return Sum(self.bound, keyed=program.code == b"keyed")


class Sum:
    uses = Uses(frozenset({"uint8"}))
    fills = True
    size_bytes = 0

    def __init__(self, bound: list[tuple[int, ...]], *, keyed: bool) -> None:
        tensors = [tensor(name, "uint8", ("n",), writes=name == "y") for name in "aby"]
        keys = [data("key", 4)] if keyed else []
        self.functions: tuple[KernelInfo, ...] = (function("sum", *tensors, *keys),)
        self._bound = bound

    def bind(
        self,
        function: str,
        tensors: Sequence[Tensor],
        values: Mapping[str, bytes],
    ) -> Sums:
        self._bound.append(tuple(map(address_of, tensors)))
        assert "key" not in values
        return Sums(tensors)

    def unload(self) -> None: ...


@dataclass
class Sums:
    tensors: Sequence[Tensor]

    def run(self, data: Sequence[bytes] = ()) -> None:
        a, b, y = (cast("NDArray[np.uint8]", each) for each in self.tensors)
        y[:] = a + b + np.uint8(sum(map(sum, data)))


def unit_of(base: HostDevice, engine: Adder) -> ElasticUnit:
    shelf = Shelf(Share(1))
    shelf.put(engine)
    return ElasticUnit(base, shelf, (ANY, OTHER), SYSTEM_CLOCK)
