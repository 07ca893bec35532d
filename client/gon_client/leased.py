"""The unit that a program has without saying so: one a process, leased when it is first needed,
given back when the process ends.

The host is $GON_HOST, the lease that of `gon run` if nobody has claimed it yet. A child of fork has
one of its own, once it needs one, as any other process that is started here.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.util import Finalize

from gon.errors import GonError, LeaseLost, Unsupported
from gon.forked import inherit, new_lock
from gon_client.connect import Host, connect
from gon_client.device import Device
from gon_client.lease import OPEN


class Leased:
    """The leased unit, once there is one."""

    def __init__(self, *, code_format: str = "", properties: bool = False) -> None:
        """`code_format` is what the unit has to take; `properties` asks for its own answers to
        queries.
        """
        self._code_format = code_format
        self._properties = properties
        self._lock = new_lock()
        self._host: Host | None = None
        self._device: Device | None = None
        self._over = False
        # What is to be done before it is given back.
        self.on_close: list[Callable[[], None]] = []
        # What is left open is given back last: this one is closed before, in good order.
        OPEN.release_at_exit()
        atexit.register(self.close)
        inherit(self, Leased.forsake)

    def __repr__(self) -> str:
        return f"Leased({self._device!r})"

    @property
    def is_over(self) -> bool:
        """Whether the process is ending, and the device given back."""
        return self._over

    @property
    def device(self) -> Device:
        """The device. Raises GonError where there is none."""
        device = self._device
        if device is not None:
            return device
        with self._lock:
            if self._device is None:
                if self._over:
                    raise LeaseLost("the process is ending")
                host = connect()
                try:
                    self._device = self._acquired(host)
                except BaseException:
                    host.close()
                    raise
                self._host = host
                if parent_process() is not None:
                    # Some of multiprocessing's processes end without Python's own exit.
                    Finalize(None, self.close, exitpriority=0)
            return self._device

    def _acquired(self, host: Host) -> Device:
        device = host.acquire(properties=self._properties)
        if self._code_format and self._code_format not in device.info.formats:
            device.close()
            raise Unsupported(f"{device.name} takes no {self._code_format}")
        return device

    def forsake(self) -> None:
        """Have none, in a child of fork."""
        self._device = self._host = None

    def close(self) -> None:
        """Give the unit back; idempotent."""
        with self._lock:
            self._over = True
            device, self._device = self._device, None
            host, self._host = self._host, None
        for call in self.on_close:
            call()
        try:
            if device is not None:
                with suppress(GonError):  # nobody is left to be told
                    device.close()
        finally:
            if host is not None:
                host.close()
