"""Times of single commands of an OpenCL device: `gon.timing.Timing`.

Where a queue measures, the event of a command that is queued anyway knows all of them.
"""

from __future__ import annotations

from gon.errors import InvalidArgument
from gon.model import CommandTimes, Handle
from gon_server.devices import opencl_driver as driver
from gon_server.devices.books import Table
from gon_server.devices.limits import CLOCKS_APART
from gon_server.devices.opencl_stream import Record, Stream, now_ns


class DeviceTiming:
    """The times of one device's commands."""

    def __init__(self, streams: Table[Stream], events: Table[Record]) -> None:
        self._streams, self._events = streams, events

    def __repr__(self) -> str:
        return f"DeviceTiming({len(self._events)} events)"

    def note(self, stream: Handle, event: Handle) -> ToldTimes:
        queue, noted = self._streams[stream], self._events[event]
        try:
            queue.note(noted)
        except driver.DriverError as error:
            raise driver.error_of(error, "noting a command") from error
        return self.times(event)

    def times(self, event: Handle) -> ToldTimes:
        noted = self._events[event]
        if noted.marker is None or noted.stream is None:
            raise InvalidArgument(f"event {event} was never recorded")
        return ToldTimes(noted.stream, noted.marker, noted.noted_ns)


class ToldTimes:
    """The times of one command, once it has ended."""

    __slots__ = ("_marker", "_noted_ns", "_stream")

    def __init__(self, stream: Stream, marker: driver.Event, noted_ns: int) -> None:
        self._stream, self._marker, self._noted_ns = stream, marker, noted_ns

    def ask(self) -> None:
        """Do nothing: whoever wants to know looks."""

    @property
    def is_asked(self) -> bool:
        return True

    @property
    def is_latest(self) -> bool:
        return False

    def done(self) -> bool:
        return self._stream.pending_for(self._marker).done()

    def wait(self, timeout_s: float | None = None) -> None:
        self._stream.pending_for(self._marker).wait(timeout_s)

    @property
    def between_ns(self) -> tuple[int, int]:
        return 0, 0

    @property
    def times(self) -> CommandTimes:
        try:
            queued, submitted, began, ended = driver.times_ns(self._marker)
        except driver.DriverError as error:
            raise driver.error_of(error, "reading a command's times") from error
        # It was noted when it was queued or later. Whatever the device's clock does, so much has
        # passed there since.
        passed_ns = now_ns() - self._noted_ns
        told = max(ended, queued + passed_ns - passed_ns // CLOCKS_APART)
        return CommandTimes(queued, submitted, began, ended, told)
