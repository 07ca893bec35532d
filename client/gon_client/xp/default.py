"""The device that arrays are made on where nobody names one.

use(device) ──▶ that; without it: the unit of `gon run`, or one of $GON_HOST, leased when first
needed and kept until the process ends
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from gon.array_program import ARRAY_FORMAT
from gon.errors import BadHandle
from gon.forked import new_lock
from gon_client.device import Device
from gon_client.leased import Leased
from gon_client.reserved import LEASE_VARIABLE

_HOST_VARIABLE = "GON_HOST"


class Default:
    """Which device it is."""

    def __init__(self) -> None:
        self._chosen: Device | None = None
        self._leased: Leased | None = None
        self._lock = new_lock()

    def __repr__(self) -> str:
        return f"Default({self._chosen or self._leased!r})"

    @property
    def device(self) -> Device:
        """The device. Raises BadHandle where there is none, what leasing one raises."""
        if self._chosen is not None:
            return self._chosen
        with self._lock:
            if self._leased is None:
                self._leased = self._lease()
        return self._leased.device

    def _lease(self) -> Leased:
        if not (os.environ.get(_HOST_VARIABLE) or os.environ.get(LEASE_VARIABLE)):
            raise BadHandle(
                "there is no device for arrays yet: gon.xp.use(device) names one, device= does "
                "for one call; a program under `gon run` has one, as where GON_HOST is set"
            )
        return Leased(code_format=ARRAY_FORMAT)

    def chosen(self) -> Device | None:
        """Return the device that was named, if there is one."""
        return self._chosen

    def choose(self, device: Device | None) -> None:
        """Name the device, or none."""
        self._chosen = device


class Using:
    """What `use` gives: as a context manager, it names the device that was before again."""

    def __init__(self, default: Default, before: Device | None) -> None:
        self._default = default
        self._before = before

    def __repr__(self) -> str:
        return f"Using({self._default!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._default.choose(self._before)


DEFAULT = Default()


def use(device: Device | None) -> Using:
    """Make arrays on this device from now on, where none is named; or, as a context manager, for a
    block. None is the one that the process's environment names. Raises Unsupported for a device
    that takes no arrays.
    """
    if device is not None:
        device.arrays  # noqa: B018 - that it takes them
    before = DEFAULT.chosen()
    DEFAULT.choose(device)
    return Using(DEFAULT, before)
