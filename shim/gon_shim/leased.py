"""The unit that a program has through a foreign API: one a process, leased when it is first needed,
given back when the process ends.

The host is $GON_HOST, the lease that of `gon run` if nobody has claimed it yet.
"""

from __future__ import annotations

import atexit
import os
import threading

import gon
from gon.errors import LeaseLost
from gon_client.connect import Host
from gon_client.device import Device


class Leased:
    """The leased unit, once there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host: Host | None = None
        self._device: Device | None = None
        self._over = False
        self._process = os.getpid()
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"Leased({self._device!r})"

    @property
    def device(self) -> Device:
        """The device. Raises GonError where there is none."""
        with self._lock:
            if self._device is None:
                if self._over:
                    raise LeaseLost("the process is ending")
                self._host = gon.connect()
                self._device = self._host.acquire()
            return self._device

    def close(self) -> None:
        """Give the unit back; idempotent. A process that was forked off has none to give."""
        if os.getpid() != self._process:
            return
        with self._lock:
            self._over = True
            device, self._device = self._device, None
            host, self._host = self._host, None
        try:
            if device is not None:
                device.close()
        finally:
            if host is not None:
                host.close()
