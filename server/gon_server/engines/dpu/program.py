"""Flows as programs: compiled, loaded, and run as often as wanted.

Rules: what is compiled depends on the flow and on the kind of processor alone. Nothing of a run
stays in a program, nor in what it is bound to, so that runs may follow each other in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from gon.errors import DeviceError, GonError, OutOfMemory
from gon.flow import Flow, decode, encode, name_of, scans
from gon.flow_shape import FUNCTION, arguments, has_result, lengths_count, sides
from gon.model import KernelInfo
from gon_server.engines.base import Bound, Tensor, Uses
from gon_server.engines.dpu.aes_gcm import Whole
from gon_server.engines.dpu.patterns import compile_patterns, load_patterns
from gon_server.engines.dpu.running import Outputs, Run
from gon_server.engines.dpu.scan_driver import ScanDatabase
from gon_server.engines.dpu.whole import whole_run
from gon_server.engines.signature import data, function, tensor

_NOTHING: Final = np.empty(0, np.uint8)


class _Built(msgspec.Struct, frozen=True, array_like=True):
    """A flow and the databases of its expressions."""

    flow: bytes
    databases: tuple[bytes, ...]


class FlowProgram:
    """A flow that can be run."""

    def __init__(self, built: bytes) -> None:
        """Raises DeviceError for what `compile_flow` did not give here."""
        try:
            parts = msgspec.msgpack.decode(built, type=_Built)
            self.flow: Flow = decode(parts.flow)
            pairs = zip(scans(self.flow), parts.databases, strict=True)
            self._databases = [load_patterns(scan, database) for scan, database in pairs]
            self._function = _signature(self.flow)
            self._has_result, self._sides = has_result(self.flow), sides(self.flow)
            self._names = tuple(argument.name for argument in arguments(self.flow))
            self.size_bytes = len(built)
        except (msgspec.DecodeError, ValueError, GonError) as error:
            raise DeviceError(f"this is no compiled flow: {error}") from error

    def __repr__(self) -> str:
        return f"FlowProgram({self.flow})"

    @property
    def functions(self) -> tuple[KernelInfo, ...]:
        return (self._function,)

    @property
    def uses(self) -> Uses:
        words = frozenset(name_of(stage) for stage in self.flow.stages)
        return Uses(frozenset({"uint8"}), words, dynamic=True)

    @property
    def fills(self) -> bool:
        return False

    def bind(
        self,
        function: str,
        tensors: Sequence[Tensor],
        values: Mapping[str, bytes],  # noqa: ARG002 - all are sizes, and in the tensors
    ) -> Bound:
        assert function == FUNCTION
        outputs = iter(tensors)
        data = next(outputs)
        result = next(outputs) if self._has_result else _NOTHING
        lengths = cast("NDArray[np.uint64]", next(outputs))
        given = [
            next(outputs) if side.rows else np.empty((0, side.columns), np.uint64)
            for side in self._sides
        ]
        written = cast("tuple[NDArray[np.uint64], ...]", tuple(given))
        made = Outputs(result.data, lengths, written)
        whole = whole_run(self.flow, data.data, made)
        if whole is not None:
            return _WholeFlow(whole)
        return _BoundFlow(self.flow, self._databases, self._names, data.data, made)

    def unload(self) -> None:
        self._databases.clear()


class _WholeFlow:
    """A flow that is one call of its library, as gon_server.engines.base.Bound: `run` is that, and
    raises MemoryError where there is none.
    """

    __slots__ = ("run",)

    def __init__(self, run: Whole) -> None:
        self.run = run


@dataclass(slots=True)
class _BoundFlow:
    """A flow and where its data and outputs lie; `names` are those of its arguments."""

    flow: Flow
    databases: Sequence[ScanDatabase]
    names: Sequence[str]
    octets: memoryview
    outputs: Outputs

    def run(self, data: Sequence[bytes] = ()) -> None:
        """Raises LimitExceeded, CorruptData, IntegrityError, OutOfMemory, DeviceError."""
        try:
            values = dict(zip(self.names, data, strict=True))
            Run(self.flow, self.databases, self.octets, values, self.outputs).run()
        except GonError:
            raise
        except MemoryError as error:
            raise OutOfMemory(f"a flow's stage has no memory to work with: {error}") from error


def _signature(flow: Flow) -> KernelInfo:
    """Return the signature of a flow's function; see gon.flow_shape."""
    params = [tensor("data", "uint8", ("data.bytes",))]
    params += [data(argument.name, argument.size_bytes) for argument in arguments(flow)]
    if has_result(flow):
        params.append(tensor("result", "uint8", ("result.bytes",), writes=True))
    params.append(tensor("lengths", "uint64", (lengths_count(flow),), writes=True))
    for side in sides(flow):
        if side.columns and side.rows:
            shape = (side.rows, side.columns)
            params.append(tensor(side.name, "uint64", shape, writes=True))
        elif side.rows:
            params.append(tensor(side.name, "uint8", (side.rows,), writes=True))
    return function(FUNCTION, *params)


def compile_flow(coded: bytes) -> bytes:
    """Return the compiled form of a flow. Raises InvalidArgument, LimitExceeded, Unsupported,
    CompileError, OutOfMemory.
    """
    flow = decode(coded)
    databases = tuple(compile_patterns(scan) for scan in scans(flow))
    return msgspec.msgpack.encode(_Built(encode(flow), databases))
