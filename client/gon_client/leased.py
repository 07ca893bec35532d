"""The unit that a program has without saying so: one a process, leased when it is first needed,
given back when the process ends.

The host is $GON_HOST, the lease that of `gon run` if nobody has claimed it yet.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from gon.errors import GonError, LeaseLost, Unsupported
from gon_client.connect import Host, connect
from gon_client.device import Device


class Leased:
    """The leased unit, once there is one."""

    def __init__(self, *, code_format: str = "", properties: bool = False) -> None:
        """`code_format` is what the unit has to take; `properties` asks for its own answers to
        queries.
        """
        self._code_format = code_format
        self._properties = properties
        self._lock = threading.Lock()
        self._host: Host | None = None
        self._device: Device | None = None
        self._over = False
        self._process = os.getpid()
        # What is to be done before it is given back.
        self.on_close: list[Callable[[], None]] = []
        atexit.register(self.close)

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
            return self._device

    def _acquired(self, host: Host) -> Device:
        device = host.acquire(properties=self._properties)
        if self._code_format and self._code_format not in device.info.formats:
            device.close()
            raise Unsupported(f"{device.name} takes no {self._code_format}")
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
                with suppress(GonError):  # nobody is left to be told
                    device.close()
        finally:
            if host is not None:
                host.close()
