"""What a check of a device stands on: fresh handles, typed transfers, and refusals early or late.

Rules: a failure may come at the call or at a wait that follows, and may poison the stream and the
buffers it was to write; so each refusal gets a stream of its own and buffers that are not looked at
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar, cast

import numpy as np
import numpy.typing as npt

from gon.device import Device, HostDevice
from gon.errors import GonError
from gon.model import DEFAULT_STREAM, Handle, ModuleInfo, Program
from gon.testing.kernels import MODULES, TestModule

P = ParamSpec("P")
S = TypeVar("S", bound=np.generic)

# Above those that checks take for handles which nothing has.
FIRST_HANDLE: Final = 1000


class CheckFailed(AssertionError):
    """A device does not keep the contract; the message says in what."""


def expect(truth: bool, says: str) -> None:
    """Raise CheckFailed with `says` unless `truth`; also where assertions are off."""
    if not truth:
        raise CheckFailed(says)


class Trial:
    """One device while a check works on it; its handles are `first_handle` and those above."""

    def __init__(self, device: Device, first_handle: int = FIRST_HANDLE) -> None:
        self.device = device
        self._last = first_handle - 1

    def handle(self) -> Handle:
        """Return a handle that was never used."""
        self._last += 1
        return Handle(self._last)

    def host_side(self) -> HostDevice | None:
        """Return the device as its host sees it; None for a remote one, whose host is elsewhere."""
        if callable(getattr(self.device, "host_window", None)):
            return cast(HostDevice, self.device)
        return None

    # Buffers --------------------------------------------------------------------------------------
    def buffer(self, size_bytes: int) -> Handle:
        """Return a new buffer."""
        buffer = self.handle()
        self.device.allocate(buffer, size_bytes)
        return buffer

    def holding(self, array: npt.NDArray[S], stream: Handle = DEFAULT_STREAM) -> Handle:
        """Return a new buffer with the array's bytes, written on `stream`."""
        buffer = self.buffer(array.nbytes)
        self.write(buffer, array, stream=stream)
        return buffer

    def write(
        self,
        buffer: Handle,
        array: npt.NDArray[S],
        offset: int = 0,
        stream: Handle = DEFAULT_STREAM,
    ) -> None:
        """Write the array's bytes."""
        self.device.write(stream, buffer, offset, memoryview(array.tobytes()))

    def read(
        self,
        buffer: Handle,
        dtype: type[S],
        count: int,
        offset: int = 0,
        stream: Handle = DEFAULT_STREAM,
    ) -> npt.NDArray[S]:
        """Return what is there once everything queued on `stream` before has taken effect."""
        out = bytearray(count * np.dtype(dtype).itemsize)
        self.device.read(stream, buffer, offset, memoryview(out)).wait()
        return np.frombuffer(out, dtype)

    def expect_content(
        self, buffer: Handle, wanted: npt.NDArray[S], says: str, stream: Handle = DEFAULT_STREAM
    ) -> None:
        """Raise CheckFailed unless the buffer begins with the array's bytes."""
        got = self.read(buffer, wanted.dtype.type, wanted.size, stream=stream)
        if got.tobytes() != wanted.tobytes():
            place = int(np.flatnonzero(got != wanted.reshape(-1))[0])
            raise CheckFailed(f"{says}: [{place}] is {got[place]}, not {wanted.reshape(-1)[place]}")

    # Streams, events, kernels ---------------------------------------------------------------------
    def stream(self) -> Handle:
        """Return a new stream."""
        stream = self.handle()
        self.device.create_stream(stream)
        return stream

    def event(self) -> Handle:
        """Return a new event."""
        event = self.handle()
        self.device.create_event(event)
        return event

    def format(self) -> str:
        """Return the first of the device's formats that the suite has kernels in."""
        return next(name for name in self.device.info.formats if name in MODULES)

    def source(self) -> TestModule:
        """Return the suite's module in that format."""
        return MODULES[self.format()]

    def load(self) -> tuple[Handle, ModuleInfo]:
        """Return the suite's module, loaded."""
        module = self.handle()
        info = self.device.load(module, Program(self.source().code, self.format()))
        return module, info

    def kernels(self, *names: str) -> list[Handle]:
        """Return kernels of the suite's module, loaded anew."""
        module, _info = self.load()
        kernels = [self.handle() for _name in names]
        for kernel, name in zip(kernels, names, strict=True):
            self.device.get_kernel(kernel, module, name)
        return kernels

    # Refusals -------------------------------------------------------------------------------------
    def refused(
        self,
        error: type[GonError],
        says: str,
        call: Callable[P, object],
        *args: P.args,
        **named: P.kwargs,
    ) -> str:
        """Call; return the message of the `error` that is met there or at a wait.

        Raises CheckFailed if none is met, or another.
        """
        try:
            given = call(*args, **named)
            wait = getattr(given, "wait", None)
            if callable(wait):
                wait()
            self.device.sync_all().wait()
        except GonError as met:
            expect(isinstance(met, error), f"{says}: raised {met!r}, not a {error.__name__}")
            return str(met)
        raise CheckFailed(f"{says}: no {error.__name__} was raised")


def bytes_of(value: float, dtype: type[np.generic]) -> bytes:
    """Return a number as a kernel's argument."""
    return np.asarray(value, dtype).tobytes()
