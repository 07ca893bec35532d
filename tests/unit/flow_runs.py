"""Runs flows by their engine, as a launch does: on memory that others have, one buffer for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gon.flow import FLOW_FORMAT, Flow, Stage, encode
from gon.flow_shape import FUNCTION, capacity
from gon.model import ParamKind, Program
from gon_server.engines.base import EngineProgram, Share, Tensor
from gon_server.engines.dpu.engine import open_engine

# What stands in memory where nothing has been written.
UNTOUCHED = 0xA5
KEY = bytes(range(32))
NONCE = bytes(range(100, 112))


@dataclass(frozen=True)
class Ran:
    """What a run has written: the result, the lengths, and each side by its name."""

    result: bytes
    lengths: list[int]
    sides: dict[str, NDArray[np.generic]]


@cache
def load(coded: bytes) -> EngineProgram:
    """Return a loaded flow; tests that run the same one share it."""
    return open_engine(Share(1)).load(Program(coded, FLOW_FORMAT))


def flow_of(*stages: Stage, chunk_bytes: int = 64 << 10) -> Flow:
    return Flow(stages=stages, chunk_bytes=chunk_bytes)


class Memory:
    """The tensors of a run, each between two pieces of memory that nobody may write."""

    GUARD_BYTES = 64

    def __init__(self) -> None:
        self._guards: list[NDArray[np.uint8]] = []

    def tensor(self, dtype: str, shape: tuple[int, ...]) -> Tensor:
        element = np.dtype(dtype)
        size = element.itemsize * int(np.prod(shape))
        whole = np.full(size + 2 * self.GUARD_BYTES, UNTOUCHED, np.uint8)
        self._guards += [whole[: self.GUARD_BYTES], whole[self.GUARD_BYTES + size :]]
        inner = whole[self.GUARD_BYTES : self.GUARD_BYTES + size]
        return inner.view(element).reshape(shape)

    def check(self) -> None:
        for guard in self._guards:
            assert (guard == UNTOUCHED).all(), "written outside an output"


def run_flow(
    flow: Flow, data: bytes, values: Mapping[str, bytes] | None = None, *, room: int | None = None
) -> Ran:
    """Run a flow on data, with a result of `room` bytes, or of its capacity."""
    program = load(encode(flow))
    (info,) = program.functions
    memory = Memory()
    sizes = {
        "data.bytes": len(data),
        "result.bytes": capacity(flow, len(data)) if room is None else room,
    }
    named: dict[str, Tensor] = {}
    for param in info.params:
        if param.kind is ParamKind.BUFFER:
            shape = tuple(d if isinstance(d, int) else sizes[d] for d in param.shape or ())
            named[param.name] = memory.tensor(param.dtype, shape)
    named["data"][:] = np.frombuffer(data, np.uint8)
    named["data"].flags.writeable = False
    bound = program.bind(FUNCTION, list(named.values()), {})
    given = values or {}
    try:
        bound.run([given[param.name] for param in info.params if param.name in given])
    except BaseException:
        # Whatever it was, nothing of it may be left, nor anything written elsewhere.
        memory.check()
        for name, array in named.items():
            if name != "data":
                assert np.isin(array.view(np.uint8), (0, UNTOUCHED)).all(), name
        raise
    memory.check()
    assert bytes(named["data"].tobytes()) == data
    lengths = [int(length) for length in named["lengths"]]
    result = named["result"][: lengths[0]].tobytes() if "result" in named else b""
    sides = {name: array for name, array in named.items() if "_" in name}
    return Ran(result, lengths, sides)
