"""What a device may give besides: launches as OpenCL has them (`Ranged`).

Must not know: wires, sockets, leases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from gon.model import Dim3, Handle, LaunchArg

# A block that leaves its size to the driver.
ANY_BLOCK: Dim3 = (0, 0, 0)


@runtime_checkable
class Ranged(Protocol):
    """Launches of any number of threads from any first one on."""

    def launch_range(
        self,
        stream: Handle,
        kernel: Handle,
        offset: Dim3,
        total: Dim3,
        block: Dim3,
        args: Sequence[LaunchArg],
    ) -> None:
        """Run the kernel over `total` threads whose numbers begin at `offset`, in blocks of
        `block`, those at the ends smaller, or of what the driver chooses for ANY_BLOCK.

        A buffer of 0 among the arguments is a null pointer. Raises as `Device.launch`, Unsupported
        for smaller blocks where the kernel's language has none.
        """
        ...
