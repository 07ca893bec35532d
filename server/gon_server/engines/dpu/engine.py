"""The engine of the format "dpu-flow": byte flows (gon.flow), on the host's processor."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from gon.errors import GonError, InvalidArgument
from gon.flow import FLOW_FORMAT, decode, scans
from gon.model import Program
from gon_server.engines.base import Engine, EngineProgram, Share
from gon_server.engines.dpu.program import FlowProgram, compile_flow

_LIBRARIES: Final = (
    "isal",
    "zstandard",
    "lz4",
    "cryptography",
    "google-crc32c",
    "xxhash",
    "hyperscan",
)


class DpuEngine:
    """Loads flows. Stages run in the thread that calls, one after the other in chunks."""

    def __init__(self) -> None:
        self.format = FLOW_FORMAT
        self.version = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)

    def __repr__(self) -> str:
        return f"DpuEngine({self.version})"

    def load(self, program: Program) -> EngineProgram:
        return self.load_built(self.build(program))

    def is_compiled(self, program: Program) -> bool:
        """Return whether a flow has expressions."""
        try:
            return any(scans(decode(program.code)))
        except GonError:
            return False

    def build(self, program: Program) -> bytes:
        """Raises as `compile_flow`, InvalidArgument for what no flow has beside its stages."""
        if program.options or program.names or program.headers:
            raise InvalidArgument("a flow has no options, name expressions or headers")
        return compile_flow(program.code)

    def load_built(self, built: bytes) -> EngineProgram:
        """Raises DeviceError for what `build` did not give."""
        return FlowProgram(built)


def open_engine(_share: Share) -> Engine:
    """Open the engine; it takes one thread, and no more memory than its stages hold of chunks."""
    return DpuEngine()
