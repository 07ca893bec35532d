"""What a device may give besides gon.device: other personalities, and memory that engines work on.

Must not know: wires, engines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from gon.model import Configuration, Handle


@runtime_checkable
class Elastic(Protocol):
    """What a device may give besides: being another kind of unit, with the same buffers."""

    def reconfigure(self, personality: str, *, keep: bool) -> Configuration:
        """Let the unit be `personality` from now on; waits for every stream first.

        Buffers, streams, events and graphs stay, and all handles. Programs are unloaded, so that
        launches of their kernels raise Unsupported, unless `keep`: then they stay as they are.
        Raises Unsupported for a personality that it may not take, and what its engines raise; it
        is then what it was before, with all programs.
        """
        ...


@runtime_checkable
class HoldsPrograms(Protocol):
    """What a device may give besides: what its programs take of the host's memory."""

    def program_bytes(self, module: Handle) -> int:
        """Return what memory a module's program takes beside the device's buffers, as far as its
        engine knows; of kernels nothing is known: 0.
        """
        ...


@runtime_checkable
class InPlace(Protocol):
    """What a device may give besides: its buffers' own memory, where that is this process's."""

    @property
    def in_place(self) -> bool:
        """Whether that is so; fixed."""
        ...

    def memory_of(self, buffer: Handle) -> memoryview:
        """Return all bytes of a buffer, in place, for as long as there is the buffer; whoever uses
        them orders that among the streams himself. It is the same object each time, and may be that
        of a buffer that was freed before. Raises BadHandle, Unsupported for a buffer whose memory
        is elsewhere.
        """
        ...

    def watch(self, gone: Callable[[memoryview], None]) -> None:
        """Call `gone` with what `memory_of` has given, before that memory goes; it may do so some
        time after its buffer was freed.
        """
        ...
