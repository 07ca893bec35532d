"""A stream of an OpenCL device: an in-order queue, what its queued work still needs, and how to
wait for it.

The event of the last command queued stands for all of them, since the queue is in order: None
means the queue is known to be idle, and then the host may touch memory itself.

Rules: every wait is the driver's own and gives up the GIL; a command that failed raises
DeviceError at the first wait that follows. What `keep` was given lives until the queue has been
seen idle.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from gon.clock import SYSTEM_CLOCK
from gon.device import SETTLED, Pending
from gon.errors import InvalidArgument, WaitTimeout
from gon.limits import KEPT_BYTES_MAX, KEPT_MAX
from gon.native import NATIVE
from gon_server.devices import opencl_driver as driver


def now_ns() -> int:
    """Return the time of this process's clock."""
    return int(SYSTEM_CLOCK.now_s() * 1e9)


class PlainLatest:
    """A queue, the event of the last command queued, and whether its commands have times."""

    __slots__ = ("last", "measures", "queue")

    last: driver.Event | None
    measures: bool
    queue: driver.Queue


class PlainNoted:
    """The command, or the marker, that an event stands for."""

    __slots__ = ("marker", "noted_ns")

    marker: driver.Event | None
    # When that was, by this process's clock, or later.
    noted_ns: int


if TYPE_CHECKING or not NATIVE:
    Latest = PlainLatest
    Noted = PlainNoted
else:
    from gon_server.devices._opencl_port import Latest, Noted


class Stream(Latest):
    """One in-order queue.

    Measuring costs a twelfth of what a launch costs the driver, so a queue measures only once an
    event was recorded in it, or noted.
    """

    __slots__ = ("_kept", "_kept_bytes", "_mapping", "_unmeasured", "window_open")

    def __init__(self, queue: driver.Queue) -> None:
        super().__init__()
        self.queue = queue
        self.last = None
        self.window_open = False
        self._kept: list[object] = []
        self._kept_bytes = 0
        self._mapping: driver.Mapping | None = None
        self.measures = False
        # The queue before it measured, for as long as it may have something to do.
        self._unmeasured: driver.Queue | None = None

    def __repr__(self) -> str:
        return f"Stream({'idle' if self.last is None else 'busy'}, keeps {len(self._kept)})"

    def keep(self, needed: object, size_bytes: int) -> None:
        """Keep `needed` alive until all that is queued now has finished; `trim` is to follow."""
        self._kept.append(needed)
        self._kept_bytes += size_bytes

    def trim(self) -> None:
        """Wait for the queue if more is kept than allowed. Raises DeviceError."""
        if len(self._kept) > KEPT_MAX or self._kept_bytes > KEPT_BYTES_MAX:
            self.settle()

    def settle(self) -> None:
        """Wait for everything queued. Raises DeviceError if the queue's last command failed."""
        last = self.last
        if last is None:
            return
        try:
            last.wait()
        except driver.DriverError as error:
            # A failed command says nothing of those before it on another implementation's queue.
            self._finish()
            raise driver.error_of(error, "running what was queued") from error
        finally:
            self.last = None
            self.forget_kept()

    def forget_kept(self) -> None:
        """Let go what was kept: the queue has been seen idle."""
        self._kept.clear()
        self._kept_bytes = 0
        self._unmeasured = None

    def _finish(self) -> None:
        for queue in (self._unmeasured, self.queue):
            # The error that is raised already says more.
            with suppress(driver.DriverError):
                if queue is not None:
                    queue.finish()

    def pending(self) -> Pending:
        """Return a Pending for everything queued so far."""
        return SETTLED if self.last is None else self.pending_for(self.last)

    def pending_for(self, event: driver.Event) -> Pending:
        """Return a Pending for one command of this queue and all before it."""
        try:
            self.queue.flush()
        except driver.DriverError as error:
            raise driver.error_of(error, "starting what was queued") from error
        return Waiting(self, event)

    # Events ---------------------------------------------------------------------------------------
    def _measure(self) -> None:
        """Let what is queued from now on have times. Raises DriverError."""
        if self.measures:
            return
        measuring = driver.measuring(self.queue)
        if self.last is not None:
            # What is never started would be waited for forever.
            self.queue.flush()
            self.last = driver.enqueue_barrier(measuring, [self.last])
            self._unmeasured = self.queue
        self.queue, self.measures = measuring, True

    def record(self, record: Record) -> None:
        """Let `record` stand for everything queued so far. Raises DriverError."""
        self._measure()
        self.last = record.marker = driver.enqueue_marker(self.queue)
        record.noted_ns = now_ns()
        record.stream = self

    def note(self, record: Record) -> None:
        """Let `record` be the last command, a marker if there is none, or if that was not measured.

        Raises DriverError.
        """
        if self.last is None or not self.measures:
            self.record(record)
            return
        record.marker = self.last
        record.noted_ns = now_ns()
        record.stream = self

    def wait_for(self, record: Record) -> None:
        """Hold what is queued from now on until `record` has happened. Raises DriverError."""
        if record.marker is None or record.stream is None or record.stream is self:
            return
        # What is never started would be waited for forever.
        record.stream.queue.flush()
        self.last = driver.enqueue_barrier(self.queue, [record.marker])

    # Windows --------------------------------------------------------------------------------------
    def open_window(self) -> None:
        """Begin a window: the stream is idle from now on. Raises InvalidArgument if one is open."""
        if self.window_open:
            raise InvalidArgument("the stream has a window open already")
        self.settle()
        self.window_open = True

    def map_window(
        self, memory: driver.Memory, offset: int, size: int, *, write: bool
    ) -> memoryview:
        """Return a mapping of the driver's memory for the open window. Raises DriverError."""
        view, self._mapping = driver.map_memory(self.queue, memory, offset, size, write=write)
        return view if write else view.toreadonly()

    def close_window(self) -> None:
        """End the window; a mapping goes back to the driver."""
        if not self.window_open:
            raise InvalidArgument("the stream has no window open")
        self.window_open = False
        mapping, self._mapping = self._mapping, None
        if mapping is not None:
            try:
                # The stream was idle: what was written is to be there for every other one too.
                mapping.release(self.queue).wait()
            except driver.DriverError as error:
                raise driver.error_of(error, "ending a window") from error


class Record(Noted):
    """What an event remembers:

    the marker of its last record, or the command that was noted, and the stream it is in, or
    neither.
    """

    __slots__ = ("stream",)

    def __init__(self) -> None:
        super().__init__()
        self.marker = None
        self.noted_ns = 0
        self.stream: Stream | None = None

    def pending(self) -> Pending:
        """Return a Pending for the last record."""
        if self.marker is None or self.stream is None:
            return SETTLED
        return self.stream.pending_for(self.marker)

    def time_ns(self) -> int | None:
        """Return the device's time of the last record, waiting for it;

        None without one. Raises DriverError.
        """
        if self.marker is None:
            return None
        self.marker.wait()
        return driver.end_ns(self.marker)


class Waiting:
    """The Pending of one command."""

    __slots__ = ("_event", "_stream")

    def __init__(self, stream: Stream, event: driver.Event) -> None:
        self._stream = stream
        self._event = event

    def done(self) -> bool:
        return driver.state_of(self._event) <= driver.COMPLETE

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the command and so for all before it. Raises DeviceError, WaitTimeout."""
        if timeout_s is not None and not self.done():
            self._wait_no_longer_than(timeout_s)
        if self._stream.last is self._event:
            self._stream.settle()
            return
        try:
            self._event.wait()
        except driver.DriverError as error:
            raise driver.error_of(error, "running what was queued") from error

    def _wait_no_longer_than(self, timeout_s: float) -> None:
        # OpenCL has no wait with an end; pyopencl waits for the callback on a thread of its own.
        over = threading.Event()
        self._event.set_callback(driver.COMPLETE, lambda _state: over.set())
        if not over.wait(timeout_s):
            raise WaitTimeout(f"the device is still busy after {timeout_s} s")
