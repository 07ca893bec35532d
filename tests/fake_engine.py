"""An engine that is a few lines of Python: programs are lines of "name: rows"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gon.errors import CompileError, DeviceError
from gon.model import KernelInfo, Program
from gon_server.engines.base import Tensor, Uses
from gon_server.engines.signature import function, tensor, value

FORMAT = "dpu-flow"


class FakeEngine:
    """Gives functions y = x + add of bytes, n of them, and of what they were bound to notes."""

    version = "fake 1"

    def __init__(self, code_format: str = FORMAT, *, element: str = "uint8") -> None:
        self.format = code_format
        self.element = element
        self.loaded: list[FakeProgram] = []

    def load(self, program: Program) -> FakeProgram:
        if not program.code.strip():
            raise CompileError("an empty program")
        made = FakeProgram(program.code.decode().split(), self.element)
        self.loaded.append(made)
        return made


class FakeProgram:
    def __init__(self, names: Sequence[str], element: str) -> None:
        self.functions: tuple[KernelInfo, ...] = tuple(
            function(
                name,
                tensor("x", element, ("n",)),
                tensor("y", element, ("n",), writes=True),
                value("add", element),
            )
            for name in names
        )
        self.uses = Uses(frozenset({element}), frozenset(names))
        self.size_bytes = 1000 * len(names)
        self.places: list[tuple[int, ...]] = []
        self.unloads = 0
        # Whether runs write all of their outputs; what they leave at their end.
        self.fills = True
        self.leaves = 0

    def bind(
        self, function: str, tensors: Sequence[Tensor], values: Mapping[str, bytes]
    ) -> FakeBound:
        self.places.append(tuple(each.ctypes.data for each in tensors))
        add = np.frombuffer(values["add"], tensors[0].dtype)
        return FakeBound(function, tensors, add, self.leaves)

    def unload(self) -> None:
        self.unloads += 1


class FakeBound:
    def __init__(self, function: str, tensors: Sequence[Tensor], add: Tensor, leaves: int) -> None:
        self.function = function
        self.x, self.y = tensors
        self.add = add
        self.written = len(self.y) - leaves

    def run(self, data: Sequence[bytes] = ()) -> None:
        if self.function == "fails":
            raise DeviceError("it fails, as it is named")
        np.add(self.x[: self.written], self.add, out=self.y[: self.written])
