"""A stream of a CUDA device: what its queued work still needs, and how to wait for it.

Each op queued is counted. A marker is an event of CUDA behind all that was counted so far; once one
has been waited for, the stream knows how far it has come, and one that has come all the way is idle
without asking the driver.

Rules: a wait looks a few times, then sleeps in the driver without the GIL and without the CPU; an
op that failed raises DeviceError there. What `keep` was given lives until the stream has been seen
idle; what `expect` was given is called once the stream has been seen to come so far.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable

from gon.device import SETTLED, Pending
from gon.errors import WaitTimeout
from gon.limits import DEVICE_LOOK_S, KEPT_BYTES_MAX, KEPT_MAX, LOOKS_BEFORE_SLEEP
from gon_server.devices.cuda_driver import NOT_READY, Cuda, CudaEvent, Health


class Stream:
    """One stream that does not wait for CUDA's default one."""

    __slots__ = (
        "_cuda",
        "_expected",
        "_health",
        "_kept",
        "_kept_bytes",
        "ptr",
        "queued",
        "settled",
        "stream",
    )

    def __init__(self, cuda: Cuda, health: Health) -> None:
        self._cuda = cuda
        self._health = health
        try:
            self.stream = cuda.api.Stream(non_blocking=True)
        except cuda.errors as error:
            raise health.error_of(error, "creating a stream") from error
        self.ptr = self.stream.ptr
        self.queued = 0
        self.settled = 0
        self._kept: list[object] = []
        self._kept_bytes = 0
        self._expected: deque[tuple[int, Callable[[], None]]] = deque()

    def __repr__(self) -> str:
        return f"Stream({'busy' if self.busy else 'idle'}, keeps {len(self._kept)})"

    @property
    def busy(self) -> bool:
        """Whether work may be queued that has not been seen to finish."""
        return self.queued != self.settled

    def keep(self, needed: object, size_bytes: int) -> None:
        """Keep `needed` alive until all that is queued now has finished."""
        self._kept.append(needed)
        self._count(size_bytes)

    def expect(self, deliver: Callable[[], None], size_bytes: int) -> None:
        """Call `deliver` once all that is queued now has been seen to finish."""
        self._expected.append((self.queued, deliver))
        self._count(size_bytes)

    def _count(self, size_bytes: int) -> None:
        self._kept_bytes += size_bytes
        many = len(self._kept) + len(self._expected) > KEPT_MAX
        if many or self._kept_bytes > KEPT_BYTES_MAX:
            self.settle()

    def mark(self, *, timing: bool = False) -> Marker:
        """Return a marker behind everything queued so far. Raises DeviceError."""
        cuda = self._cuda
        try:
            event = cuda.api.Event(True, not timing)
            cuda.api.runtime.eventRecord(event.ptr, self.ptr)
        except cuda.errors as error:
            raise self._health.error_of(error, "recording an event") from error
        return Marker(cuda, self._health, self, event)

    def settle(self) -> None:
        """Wait for everything queued. Raises DeviceError."""
        if self.busy:
            self.mark().wait()

    def pending(self) -> Pending:
        """Return a Pending for everything queued so far."""
        return self.mark() if self.busy else SETTLED

    def wait_for(self, marker: Marker) -> None:
        """Hold what is queued from now on until `marker` has happened. Raises DeviceError."""
        if marker.stream is self:
            return
        try:
            self._cuda.api.runtime.streamWaitEvent(self.ptr, marker.ptr)
        except self._cuda.errors as error:
            raise self._health.error_of(error, "waiting for an event") from error
        self.queued += 1

    def came_to(self, position: int) -> None:
        """Note that everything up to `position` has finished."""
        self.settled = max(self.settled, position)
        while self._expected and self._expected[0][0] <= self.settled:
            self._expected.popleft()[1]()
        if not self.busy:
            self._kept.clear()
            self._kept_bytes = 0


class Marker:
    """A place in a stream, as a Pending; `ptr` is CUDA's event."""

    __slots__ = ("_cuda", "_event", "_health", "_position", "ptr", "stream")

    def __init__(self, cuda: Cuda, health: Health, stream: Stream, event: CudaEvent) -> None:
        self._cuda = cuda
        self._health = health
        self._event = event
        self._position = stream.queued
        self.stream = stream
        self.ptr = event.ptr

    def done(self) -> bool:
        # A failed one is done too: waiting for it raises at once.
        return self._cuda.api.runtime.eventQuery(self.ptr) != NOT_READY

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for everything before the marker. Raises DeviceError, WaitTimeout."""
        self._health.check()
        if timeout_s is None:
            self._look()
        else:
            self._look_for(timeout_s)
        try:
            self._cuda.api.runtime.eventSynchronize(self.ptr)
        except self._cuda.errors as error:
            raise self._health.error_of(error, "running what was queued") from error
        self.stream.came_to(self._position)

    def time_until_us(self, end: Marker) -> float:
        """Return device time from this marker to `end`, both waited for. Raises DeviceError."""
        try:
            return self._cuda.api.runtime.eventElapsedTime(self.ptr, end.ptr) * 1000.0
        except self._cuda.errors as error:
            raise self._health.error_of(error, "reading an event's time") from error

    def _look(self) -> None:
        for _ in range(LOOKS_BEFORE_SLEEP):
            if self.done():
                return

    def _look_for(self, timeout_s: float) -> None:
        never = threading.Event()
        for _ in range(math.ceil(timeout_s / DEVICE_LOOK_S)):
            if self.done():
                return
            never.wait(DEVICE_LOOK_S)
        if not self.done():
            raise WaitTimeout(f"the device is still busy after {timeout_s} s")
