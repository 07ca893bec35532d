"""What a device may give besides: the numbers by which its errors name ops (`Numbered`).

Must not know: wires, sockets, leases.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Numbers(Protocol):
    """The numbers of a device's ops, in the order in which they were queued, of all streams."""

    @property
    def last(self) -> int:
        """That of the last op; 0 before the first."""
        ...


@runtime_checkable
class Numbered(Protocol):
    """A device whose errors name ops by numbers that a program can follow (`GonError.number`)."""

    @property
    def numbers(self) -> Numbers: ...
