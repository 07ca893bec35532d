"""What stands for the contract of a device that is another process's: its parent's, in a child of
fork.

Rules: what it was is still told; what gives back does nothing, for it is the parent's to give; any
other call is refused.
"""

from __future__ import annotations

from typing import Final, NoReturn

from gon.forked import made_before_fork
from gon.model import DeviceInfo, Handle


class ForeignDevice:
    """A device of another process. See gon.device.Device, which it is as far as that goes."""

    def __init__(self, info: DeviceInfo) -> None:
        self.info: Final = info

    def __repr__(self) -> str:
        return f"ForeignDevice({self.info.name})"

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse what is not below. Raises BadHandle."""
        raise made_before_fork()

    @property
    def reconfigure(self) -> NoReturn:
        """Be refused too: `isinstance` looks for it without asking."""
        raise made_before_fork()

    def leave(self, _handle: Handle) -> None:
        """Leave something to the process whose it is."""

    free = close_stream = close_event = unload = close_kernel = close_graph = leave

    def close(self) -> None: ...
