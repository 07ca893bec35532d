"""Launches that were done once, by numbers: a program's loop launches the same over and over, which
is seen in C, and told by a number alone (`driver.c`).

Rules: a number is never given twice; what it stands for may be forgotten at any time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from _gon_opencl import ffi, lib
from gon.model import Dim3, Handle
from gon_shim.opencl.errors import told
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.limits import LAUNCHES_KNOWN_MAX

if TYPE_CHECKING:
    from gon_shim.opencl.kernel import Kernel, Range
    from gon_shim.opencl.queue import Queue

# To be looked at anew: no code of OpenCL's is above 0.
_OTHERWISE: Final = 1


class _Known(NamedTuple):
    """What the next launch of these sizes needs."""

    queue: Queue
    kernel: Kernel
    post: Callable[..., None]
    stream: Handle
    function: Handle
    size: Dim3
    block: Dim3


class Again:
    """The launches that are known."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return f"Again({len(self._known)})"

    def note(self, queue: Queue, kernel: Kernel, shape: Range) -> None:
        """Let what this thread launches now, whole blocks from 0 on, have a number."""
        if len(self._known) >= LAUNCHES_KNOWN_MAX:
            self._known.clear()
        number = next(self._numbers)
        function, stream = kernel.function, queue.stream.handle
        self._known[number] = _Known(
            queue, kernel, function.queue, stream, function.handle, shape.size, shape.block
        )
        lib.gon_note_launch(number)

    def forget(self, kernel: Kernel) -> None:
        """Keep nothing of a kernel that has ended."""
        for number, known in [*self._known.items()]:
            if known.kernel is kernel:
                self._known.pop(number, None)

    def launch(self, number: int) -> int:
        """Launch once more; return the code."""
        known = self._known.get(number)
        if known is None:
            return _OTHERWISE
        queue, kernel, post, stream, function, size, block = known
        if queue.held or not queue.references or not kernel.references:
            return _OTHERWISE
        try:
            args = kernel.ready
            if args is None:
                args = kernel.taken()
            if kernel.has_null:
                return _OTHERWISE
            post(stream, function, size, block, 0, args)
        except BaseException as error:  # noqa: BLE001 - nothing passes through the program's C
            return told("clEnqueueNDRangeKernel", error)
        return cl.CL_SUCCESS


AGAIN: Final = Again()
ffi.def_extern(name="gon_launch_again")(AGAIN.launch)
