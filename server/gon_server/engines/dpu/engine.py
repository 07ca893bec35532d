"""The engine of the format "dpu-flow": byte flows (gon.flow), on the host's processor."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from gon.errors import InvalidArgument
from gon.flow import FLOW_FORMAT
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
        """Raises as `compile_flow`, InvalidArgument for what no flow has beside its stages."""
        if program.options or program.names or program.headers:
            raise InvalidArgument("a flow has no options, name expressions or headers")
        return FlowProgram(compile_flow(program.code))


def open_engine(_share: Share) -> Engine:
    """Open the engine; it takes one thread, and no more memory than its stages hold of chunks."""
    return DpuEngine()
