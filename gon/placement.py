"""What a device may give besides gon.device: buffers in a memory that others see too.

Must not know: wires, who sees it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from gon.model import Handle


class Memory(Protocol):
    """Where buffers may lie."""

    def take(self, size_bytes: int) -> tuple[int, npt.NDArray[np.uint8]] | None:
        """Return where in the memory `size_bytes` zeroed bytes begin, and these, which are given
        back once nothing refers to them; None where there is no room, so that they lie elsewhere.
        """
        ...


@runtime_checkable
class Placed(Protocol):
    """What a device may give besides: buffers in such a memory."""

    def lie_in(self, memory: Memory) -> bool:
        """Let large buffers lie in `memory` from now on; return whether they can: where a buffer's
        memory is the device's own, none ever does.
        """
        ...

    def place_of(self, buffer: Handle) -> int | None:
        """Return where in that memory the buffer begins, None if it lies elsewhere. Raises
        BadHandle.
        """
        ...
