"""Tables of handles that know whether their device still works.

Rules: as long as it does, a look-up costs what a dict's does. When the device is lost, entries are
put aside, not dropped: giving them back to a driver that is out of order would only fail.
"""

from __future__ import annotations

from typing import TypeVar

from gon_server.devices.books import Table
from gon_server.devices.cuda_driver import Health

T = TypeVar("T")


class HealthyTable(Table[T]):
    """A table whose look-ups raise DeviceError once the device is lost."""

    __slots__ = ("_health", "_put_aside")

    def __init__(self, noun: str, limit: int, health: Health) -> None:
        super().__init__(noun, limit)
        self._health = health
        self._put_aside: list[T] = []
        health.on_loss.append(self._lose)

    def _lose(self) -> None:
        self._put_aside = list(self.values())
        self.clear()

    def __missing__(self, handle: object) -> T:
        self._health.check()
        return super().__missing__(handle)

    def check_new(self, handle: int) -> None:
        self._health.check()
        super().check_new(handle)
