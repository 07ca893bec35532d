"""The engine of the format "array": array programs (gon.array_program), by NumPy, in place."""

from __future__ import annotations

import numpy as np

from gon.array_program import ARRAY_FORMAT
from gon.model import Program
from gon_server.devices.books import check_bare
from gon_server.engines.array.program import ArrayProgram, Scratch
from gon_server.engines.base import EngineProgram, Share


class ArrayEngine:
    """Loads array programs. Steps run one after the other, in the thread that calls."""

    def __init__(self) -> None:
        self.format = ARRAY_FORMAT
        self.version = f"numpy {np.__version__}"
        self._scratch = Scratch()

    def __repr__(self) -> str:
        return f"ArrayEngine({self.version})"

    def load(self, program: Program) -> EngineProgram:
        """Raises as gon.array_program.decode, InvalidArgument for what no array program has beside
        its steps.
        """
        check_bare(program)
        return ArrayProgram(program.code, self._scratch)


def open_engine(share: Share) -> ArrayEngine:  # noqa: ARG001 - NumPy has no threads of its own here
    """Make the engine ready."""
    # OpenBLAS takes memory for its products, 32 MiB, at the first that is not small, keeps it, and
    # ends the process where it is refused any: so it is to have it before a lease's programs
    # take what that may take.
    small = np.ones((200, 200))
    np.matmul(small, small)
    return ArrayEngine()
