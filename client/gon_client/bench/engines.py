"""The workloads `engine_…`: calls of programs that engines run, small and large, each with the wait
for it, as its library is called without GoN (`…_call`).

    engine_onnx         y = x + x of 32 × 32 floats; 1 MiB: a chain of 512 × 512 products
    engine_stablehlo    the same
    engine_flow         AES-256-GCM of 4 KiB, 128 MiB

Each takes arrays for its outputs that are there; `…_new` makes them. Rules: the models are text and
bytes of this module, so that no package that makes them is needed. A unit that does not run such
programs is Unsupported, and left out.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar, Final

import numpy as np

from gon.errors import DeviceError, LeaseRefused, Unsupported
from gon.flow import Encrypt, Flow, encode
from gon.limits import KIB, MIB
from gon_client.bench.messages import Play
from gon_client.bench.stage import Stage

SMALL_BYTES: Final = 4 * KIB
MATRIX_BYTES: Final = 1 * MIB
FLOW_BYTES: Final = 128 * MIB
# Products in the chains, so that they take 50 ms and more.
_ONNX_PRODUCTS: Final = 24
_STABLEHLO_PRODUCTS: Final = 8
_KEY, _NONCE = bytes(32), bytes(12)
_FLOAT: Final = 1  # as ONNX numbers it


def onnx_model(size_bytes: int) -> bytes:
    """Return the model for an input of so many bytes, as a file of ONNX's holds it."""
    side = _side(size_bytes)
    if size_bytes == SMALL_BYTES:
        nodes = [_node("Add", ("x", "x"), "y")]
    else:
        names = ["x", *(f"t{place}" for place in range(1, _ONNX_PRODUCTS)), "y"]
        nodes = [_node("MatMul", (a, "x"), b) for a, b in pairwise(names)]
    graph = b"".join(_field(1, node) for node in nodes)
    graph += _field(2, b"bench") + _field(11, _tensor("x", side)) + _field(12, _tensor("y", side))
    opset = _field(1, b"") + _number(2, 17)
    return _number(1, 8) + _field(7, graph) + _field(8, opset)


def stablehlo_text(size_bytes: int) -> bytes:
    """Return the program for an input of so many bytes, as text."""
    side = _side(size_bytes)
    kind = f"tensor<{side}x{side}xf32>"
    if size_bytes == SMALL_BYTES:
        lines, last = [f"%y = stablehlo.add %x, %x : {kind}"], "%y"
    else:
        names = ["%x", *(f"%t{place}" for place in range(1, _STABLEHLO_PRODUCTS + 1))]
        product = f"contracting_dims = [1] x [0] : ({kind}, {kind}) -> {kind}"
        lines = [f"{b} = stablehlo.dot_general {a}, %x, {product}" for a, b in pairwise(names)]
        last = names[-1]
    body = "\n".join(lines)
    return f"func.func @main(%x: {kind}) -> {kind} {{\n{body}\nreturn {last} : {kind}\n}}".encode()


def flow_code(_size_bytes: int) -> bytes:
    """Return the flow that encrypts."""
    return encode(Flow(stages=(Encrypt(),)))


# What a baseline is given: the program, by the baseline's name.
PROGRAMS: Final[dict[str, Callable[[int], bytes]]] = {
    "onnx_call": onnx_model,
    "stablehlo_call": stablehlo_text,
    "flow_call": flow_code,
}


class _Calls(ABC):
    """Calls of one program on a device of its own, by the size of what it is given."""

    personality: ClassVar[str]

    def __init__(self, stage: Stage) -> None:
        try:
            self.device = stage.attach_as((self.personality,))
        except LeaseRefused as error:
            raise Unsupported(f"no {self.personality} here: {error.message}") from error
        self.stream = self.device.create_stream()
        self._made: dict[int, tuple[Callable[[], object], Callable[[], object]]] = {}

    def play(self, play: Play, *, new: bool) -> list[float]:
        """Return µs of calls, each with the wait for it."""
        if play.size_bytes not in self._made:
            self._made[play.size_bytes] = self.make(play.size_bytes)
        call, sync = self._made[play.size_bytes][new], self.stream.sync
        call()
        sync()
        taken: list[float] = []
        for _ in range(play.samples):
            start = time.perf_counter_ns()
            call()
            sync()
            taken.append((time.perf_counter_ns() - start) / 1e3)
        return taken

    @abstractmethod
    def make(self, size_bytes: int) -> tuple[Callable[[], object], Callable[[], object]]:
        """Load the program and look at what it gives; return a call into outputs that are there,
        and one that makes them.
        """


class _MatrixCalls(_Calls):
    @abstractmethod
    def load(self, size_bytes: int) -> Callable[..., object]:
        """Load the program for matrices of that size."""

    def make(self, size_bytes: int) -> tuple[Callable[[], object], Callable[[], object]]:
        function, stream, side = self.load(size_bytes), self.stream, _side(size_bytes)
        # A product of this with itself is itself.
        given = np.full((side, side), 1 / side, np.float32)
        x, y = self.device.asarray(given), self.device.zeros((side, side))
        function(x, out=y, stream=stream)
        wanted = given * 2 if size_bytes == SMALL_BYTES else given
        if not np.allclose(y.get(stream=stream), wanted, rtol=1e-3):
            raise DeviceError("a program's result is wrong")
        return lambda: function(x, out=y, stream=stream), lambda: function(x, stream=stream)


class OnnxCalls(_MatrixCalls):
    """Calls of an ONNX model."""

    personality = "npu"

    def load(self, size_bytes: int) -> Callable[..., object]:
        return self.device.onnx(onnx_model(size_bytes))


class StableHloCalls(_MatrixCalls):
    """Calls of a StableHLO program."""

    personality = "tpu"

    def load(self, size_bytes: int) -> Callable[..., object]:
        return self.device.stablehlo(stablehlo_text(size_bytes))


class FlowCalls(_Calls):
    """Calls of a flow that encrypts."""

    personality = "dpu"

    def make(self, size_bytes: int) -> tuple[Callable[[], object], Callable[[], object]]:
        flow, stream = self.device.flow([Encrypt()]), self.stream
        data = self.device.zeros(size_bytes, np.uint8)
        data.fill(1, stream=stream)
        first = flow(data, key=_KEY, nonce=_NONCE, stream=stream)
        if first.nbytes != size_bytes + 16:
            raise DeviceError("a flow gives too little or too much")
        return (
            lambda: flow(data, key=_KEY, nonce=_NONCE, stream=stream, out=first),
            lambda: flow(data, key=_KEY, nonce=_NONCE, stream=stream),
        )


def engine_onnx(stage: Stage, play: Play) -> list[float]:
    """Return µs of calls of an ONNX model."""
    return stage.once(OnnxCalls).play(play, new=False)


def engine_onnx_new(stage: Stage, play: Play) -> list[float]:
    """Return µs of such calls that make their output."""
    return stage.once(OnnxCalls).play(play, new=True)


def engine_stablehlo(stage: Stage, play: Play) -> list[float]:
    """Return µs of calls of a StableHLO program."""
    return stage.once(StableHloCalls).play(play, new=False)


def engine_stablehlo_new(stage: Stage, play: Play) -> list[float]:
    """Return µs of such calls that make their output."""
    return stage.once(StableHloCalls).play(play, new=True)


def engine_flow(stage: Stage, play: Play) -> list[float]:
    """Return µs of calls of a flow."""
    return stage.once(FlowCalls).play(play, new=False)


def engine_flow_new(stage: Stage, play: Play) -> list[float]:
    """Return µs of such calls that make their outputs."""
    return stage.once(FlowCalls).play(play, new=True)


def _side(size_bytes: int) -> int:
    return math.isqrt(size_bytes // 4)


# The few shapes of protobuf that a model is made of --------------------
def _varint(value: int) -> bytes:
    coded = bytearray()
    while value >= 0x80:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return bytes(coded)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _node(operation: str, inputs: Sequence[str], output: str) -> bytes:
    coded = b"".join(_field(1, name.encode()) for name in inputs)
    return coded + _field(2, output.encode()) + _field(4, operation.encode())


def _tensor(name: str, side: int) -> bytes:
    shape = _field(1, _number(1, side)) * 2
    tensor = _number(1, _FLOAT) + _field(2, shape)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))
