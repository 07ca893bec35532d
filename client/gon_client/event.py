"""Events: points in a stream that other streams and the host can wait for, with device time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.looking import Look
from gon.model import Handle
from gon_client.looks import look_at
from gon_client.staying import Stays

if TYPE_CHECKING:
    from gon_client.device import Device


class Event(Stays):
    """A point in a stream. Made by `Device.create_event` or `Stream.record`."""

    __slots__ = ("__weakref__", "_closed", "_look", "_over", "device", "handle", "records")

    def __init__(self, device: Device, handle: Handle) -> None:
        self.device = device
        self.handle = handle
        # How often it was recorded, the one of these that is known to have happened, and one that
        # is looked at.
        self.records = self._over = 0
        self._look: tuple[int, Look] | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Event({self.handle} of {self.device.name}{', closed' if self._closed else ''})"

    def sync(self, timeout_s: float | None = None) -> None:
        """Wait until the last record of this event has happened; at once if there was none."""
        of = self.records
        self.device.contract.sync_event(self.handle).wait(timeout_s)
        self._over = of

    @property
    def is_done(self) -> bool:
        """Whether the last record of this event has happened; true if there was none.

        Asks the device, and waits for none of its work: true comes late where the device is far
        away, or waits for something itself, but is known after a `sync`. Raises what that does.
        """
        of, look = self.records, self._look
        if self._over != of:
            if look is None or look[0] != of:  # another thread may have one of another record
                look = self._look = of, look_at(self.device.contract, self.handle)
            if not look[1].is_over():
                return False
            self._over = of
        return True

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
