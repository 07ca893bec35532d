"""Launches that were done once, by numbers: a program's loop launches the same over and over, which
is seen in C, and told by a number alone (`driver.c`). Until arguments are set, all of it is coded
already.

Rules: a number is never given twice; what it stands for may be forgotten at any time.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, Protocol

from _gon_opencl import ffi, lib
from gon.model import LaunchArg
from gon.timing import PendingTimes
from gon_shim.opencl.errors import told
from gon_shim.opencl.event import seeded
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.limits import LAUNCHES_KNOWN_MAX
from gon_shim.opencl.measuring import Noted

if TYPE_CHECKING:
    from _gon_opencl import Handles
    from gon_shim.opencl.kernel import Kernel, Range
    from gon_shim.opencl.queue import Queue

# To be looked at anew: no code of OpenCL's is above 0.
_OTHERWISE: Final = 1


class _Prepared(Noted, Protocol):
    """A launch, ready to be queued."""

    def queue(self) -> None: ...


class _Plain:
    """A launch, ready to be queued without native modules."""

    def __init__(self, queue: Queue, kernel: Kernel, shape: Range) -> None:
        self._queue, self._kernel, self._shape = queue, kernel, shape

    def queue(self) -> None:
        function, shape = self._kernel.function, self._shape
        args = self._kernel.ready or ()
        function.device.contract.launch(
            self._queue.stream.handle, function.handle, shape.size, shape.block, 0, args
        )

    def queue_noted(self, event: int, /) -> PendingTimes:
        assert self._queue.meter is not None
        return self._queue.meter.note(self.queue, event)

    def queue_asked(self, event: int, /) -> PendingTimes:
        return self.queue_noted(event)


class _Known:
    """What the next launch of these sizes needs."""

    __slots__ = ("args", "kernel", "prepared", "queue", "shape")

    def __init__(self, queue: Queue, kernel: Kernel, shape: Range) -> None:
        self.queue, self.kernel, self.shape = queue, kernel, shape
        # The arguments that it was prepared with.
        self.args: tuple[LaunchArg, ...] | None = None
        self.prepared: _Prepared = _Plain(queue, kernel, shape)

    def prepare(self, args: tuple[LaunchArg, ...]) -> None:
        """Be ready for a launch with these arguments."""
        express = self.queue.stream.device.express
        if express is not None:
            shape, function = self.shape, self.kernel.function.handle
            stream = self.queue.stream.handle
            self.prepared = express.prepare(stream, function, shape.size, shape.block, 0, args)
        self.args = args


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
        self._known[number] = _Known(queue, kernel, shape)
        lib.gon_note_launch(number)

    def forget(self, ended: Kernel | Queue) -> None:
        """Keep nothing of a kernel, or of a queue, that has ended."""
        for number, known in [*self._known.items()]:
            if ended in (known.kernel, known.queue):
                self._known.pop(number, None)

    def launch(self, number: int, event_at: Handles, queued_ns: int) -> int:
        """Launch once more, with an event if there is a place for it; return the code."""
        known = self._known.get(number)
        if known is None:
            return _OTHERWISE
        queue, kernel = known.queue, known.kernel
        if queue.held or not queue.references or not kernel.references:
            return _OTHERWISE
        try:
            args = kernel.ready
            if args is None:
                args = kernel.taken()
            if args is not known.args:
                if kernel.has_null:
                    return _OTHERWISE
                known.prepare(args)
            before = queue.course.last
            if not event_at:
                known.prepared.queue()
            elif queue.meter is None:
                known.prepared.queue()
                event_at[0] = seeded(queue, None, before)
            else:
                measured = queue.meter.measure(known.prepared, queued_ns)
                event_at[0] = seeded(queue, measured, before)
        except BaseException as error:  # noqa: BLE001 - nothing passes through the program's C
            return told("clEnqueueNDRangeKernel", error)
        return cl.CL_SUCCESS


AGAIN: Final = Again()
# What a signal's handler raises before the launch has begun to look is no success.
ffi.def_extern(name="gon_launch_again", error=cl.CL_OUT_OF_HOST_MEMORY)(AGAIN.launch)
