"""A simulator with a stream whose work is done when a gate is open, and a clock for tests."""

from __future__ import annotations

import threading

from gon.device import Pending
from gon.errors import DeviceError
from gon.model import Handle
from gon_server.devices.sim import SimDevice
from gon_server.limits import SLOW_WAIT_S
from tests.inproc_worker import PATIENCE_S

# A stream whose work is held back, and another one.
GATED, FREE = 1, 2


class Gated:
    """A Pending that waits for a gate; `takes_s` is what a wait for it takes of the clock."""

    def __init__(self, inner: Pending, device: GatedDevice) -> None:
        self._inner, self._device = inner, device

    def done(self) -> bool:
        return self._device.gate.is_set() and self._inner.done()

    def wait(self, timeout_s: float | None = None) -> None:
        device = self._device
        device.waits += 1
        device.clock.time_s += device.takes_s
        assert device.gate.wait(PATIENCE_S), "nobody opens the gate"
        if device.fault is not None:
            raise device.fault
        self._inner.wait(timeout_s)


class Stepped:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now_s(self) -> float:
        return self.time_s

    def sleep_s(self, duration_s: float, /) -> None:
        raise AssertionError("nobody sleeps")

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        raise AssertionError("nobody waits")


class GatedDevice(SimDevice):
    """A simulator with a stream whose work is done when a gate is open."""

    def __init__(self) -> None:
        super().__init__(3)
        self.gate = threading.Event()
        self.gate.set()
        self.clock = Stepped()
        self.takes_s = 2 * SLOW_WAIT_S
        self.waits = 0
        self.fault: DeviceError | None = None

    def sync(self, stream: Handle) -> Pending:
        pending = super().sync(stream)
        return Gated(pending, self) if stream == GATED else pending

    def sync_all(self) -> Pending:
        return Gated(super().sync_all(), self)

    def sync_event(self, event: Handle) -> Pending:
        return Gated(super().sync_event(event), self)
