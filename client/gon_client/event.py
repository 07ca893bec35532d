"""Events: points in a stream that other streams and the host can wait for, with device time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.model import Handle

if TYPE_CHECKING:
    from gon_client.device import Device


class Event:
    """A point in a stream. Made by `Device.create_event` or `Stream.record`."""

    __slots__ = ("__weakref__", "_closed", "device", "handle")

    def __init__(self, device: Device, handle: Handle) -> None:
        self.device = device
        self.handle = handle
        self._closed = False

    def __repr__(self) -> str:
        return f"Event({self.handle} of {self.device.name}{', closed' if self._closed else ''})"

    def sync(self, timeout_s: float | None = None) -> None:
        """Wait until the last record of this event has happened; at once if there was none."""
        self.device.contract.sync_event(self.handle).wait(timeout_s)

    def elapsed_us(self, start: Event) -> float:
        """Return the device time from `start` to this event in µs; waits for both.

        Raises InvalidArgument if one of them was never recorded.
        """
        self.device.own(start, "start")
        return self.device.contract.elapsed_us(start.handle, self.handle)

    def close(self) -> None:
        """Forget the event; idempotent."""
        self.device.check_free("closing an event")
        if not self._closed:
            self._closed = True
            self.device.contract.close_event(self.handle)

    def __del__(self) -> None:
        if not self._closed:
            self._closed = True
            self.device.drop(self.device.own_contract.close_event, self.handle)
