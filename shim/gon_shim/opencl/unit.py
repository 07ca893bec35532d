"""The unit that this process has: leased when a program first asks for devices, given back when it
ends.

The host is $GON_HOST, the lease that of `gon run` if nobody has claimed it yet.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

import gon
from gon.device import Device as Contract
from gon.errors import GonError
from gon_client.connect import Host
from gon_client.device import Device
from gon_shim.opencl.errors import ClError, say
from gon_shim.opencl.khronos import constants as cl


class Unit:
    """The leased unit, once there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host: Host | None = None
        self._device: Device | None = None
        self._over = False
        self._process = os.getpid()
        # What is to be done before it is given back.
        self.on_close: list[Callable[[], None]] = []

    @property
    def device(self) -> Device:
        """The leased device. Raises ClError where there is none."""
        with self._lock:
            if self._device is None:
                self._device = self._lease()
            return self._device

    @property
    def contract(self) -> Contract:
        return self.device.contract

    def _lease(self) -> Device:
        if self._over:
            raise ClError(cl.CL_DEVICE_NOT_FOUND)
        try:
            self._host = gon.connect()
            device = self._host.acquire(properties=True)
        except GonError as error:
            say(f"no device: {error}")
            raise ClError(cl.CL_DEVICE_NOT_FOUND) from error
        if "opencl-c" not in device.info.formats:
            say(f"no device: {device.name} takes no OpenCL C")
            device.close()
            raise ClError(cl.CL_DEVICE_NOT_FOUND)
        say(f"leased {device!r}")
        return device

    def close(self) -> None:
        """Give the unit back; idempotent. A process that was forked off has none to give."""
        if os.getpid() != self._process:
            return
        with self._lock:
            self._over = True
            device, self._device = self._device, None
            host, self._host = self._host, None
        for call in self.on_close:
            call()
        try:
            if device is not None:
                device.close()
        except GonError as error:
            say(f"closing: {error}")
        finally:
            if host is not None:
                host.close()


UNIT = Unit()
atexit.register(UNIT.close)
