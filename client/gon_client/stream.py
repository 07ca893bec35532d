"""Streams: queues of work, each in order; events order them among themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gon.model import DEFAULT_STREAM, Handle
from gon_client.event import Event
from gon_client.staying import Stays

if TYPE_CHECKING:
    from gon_client.device import Device


class Stream(Stays):
    """An ordered queue of work on a device. Made by `Device.create_stream`."""

    __slots__ = ("__weakref__", "_closed", "_sync_now", "device", "handle")

    def __init__(self, device: Device, handle: Handle) -> None:
        self.device = device
        self.handle = handle
        self._closed = False
        self._sync_now = None if device.express is None else device.express.sync_now

    def __repr__(self) -> str:
        name = "default" if self.handle == DEFAULT_STREAM else f"{self.handle}"
        return f"Stream({name} of {self.device.name}{', closed' if self._closed else ''})"

    def sync(self, timeout_s: float | None = None) -> None:
        """Wait for everything queued on this stream.

        Raises the first error of what was queued since the last wait, with the op and the line that
        queued it; WaitTimeout after `timeout_s` (the work goes on); LeaseLost.
        """
        if self.device.capturing is not None:
            self.device.check_free("a sync")
        if timeout_s is None and self._sync_now is not None:
            self._sync_now(self.handle)
        else:
            self.device.contract.sync(self.handle).wait(timeout_s)

    def record(self, event: Event | None = None) -> Event:
        """Let `event` (a new one if not given) happen when everything queued so far has."""
        if event is None:
            event = self.device.create_event()
        self.device.own(event, "event")
        self.device.contract.record(self.handle, event.handle)
        event.records += 1
        return event

    def wait(self, event: Event) -> None:
        """Hold what is queued from now on until the event has happened; nobody waits here."""
        self.device.own(event, "event")
        self.device.contract.wait_event(self.handle, event.handle)

    def close(self) -> None:
        """Finish and forget the stream; idempotent. The default stream cannot be closed."""
        self.device.check_free("closing a stream")
        if not self._closed and self.handle != DEFAULT_STREAM:
            self._closed = True
            self.device.contract.close_stream(self.handle)

    def __del__(self) -> None:
        if not self._closed and self.handle != DEFAULT_STREAM:
            self._closed = True
            self.device.drop(self.device.own_contract.close_stream, self.handle)
