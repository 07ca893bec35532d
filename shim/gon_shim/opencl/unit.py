"""The unit that this process has: leased when a program first asks for devices."""

from __future__ import annotations

from collections.abc import Callable

from gon.errors import GonError
from gon_client.device import Device
from gon_shim.leased import Leased
from gon_shim.opencl.errors import ClError, say
from gon_shim.opencl.khronos import constants as cl


class Unit:
    """The leased unit, once there is one."""

    def __init__(self) -> None:
        self._leased = Leased(code_format="opencl-c", properties=True)
        self._told = False

    def __repr__(self) -> str:
        return f"Unit({self._leased!r})"

    @property
    def is_over(self) -> bool:
        """Whether the program is ending, and the unit given back."""
        return self._leased.is_over

    @property
    def on_close(self) -> list[Callable[[], None]]:
        """What is to be done before it is given back."""
        return self._leased.on_close

    @property
    def device(self) -> Device:
        """The leased device. Raises ClError where there is none."""
        try:
            device = self._leased.device
        except GonError as error:
            say(f"no device: {error}")
            raise ClError(cl.CL_DEVICE_NOT_FOUND) from error
        if not self._told:
            self._told = True
            say(f"leased {device!r}")
        return device


UNIT = Unit()
