"""Flows as programs: compiled in one process, loaded in another, run as often as wanted.

Rules: what is compiled depends on the flow and on the kind of processor alone. Nothing of a run
stays in a program, so that runs of one may follow each other in any order.
"""

from __future__ import annotations

import msgspec

from gon.errors import DeviceError, GonError, OutOfMemory
from gon.flow import Flow, decode, encode, scans
from gon_server.engines.dpu.patterns import compile_patterns, load_patterns
from gon_server.engines.dpu.running import Outputs, Run


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
        except (msgspec.DecodeError, ValueError, GonError) as error:
            raise DeviceError(f"this is no compiled flow: {error}") from error

    def __repr__(self) -> str:
        return f"FlowProgram({self.flow})"

    def run(self, data: memoryview, values: memoryview, outputs: Outputs) -> None:
        """Run it on data that lies anywhere; see gon.flow_shape for what lies where.

        Raises InvalidArgument, LimitExceeded, CorruptData, IntegrityError, OutOfMemory.
        """
        try:
            Run(self.flow, self._databases, data, values, outputs).run()
        except GonError:
            raise
        except MemoryError as error:
            raise OutOfMemory(f"a flow's stage has no memory to work with: {error}") from error


def compile_flow(coded: bytes) -> bytes:
    """Return the compiled form of a flow. Raises InvalidArgument, LimitExceeded, Unsupported,
    CompileError, DeviceError.
    """
    flow = decode(coded)
    databases = tuple(compile_patterns(scan) for scan in scans(flow))
    return msgspec.msgpack.encode(_Built(encode(flow), databases))
