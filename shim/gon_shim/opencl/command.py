"""Commands: what a queue was given, and how far it is.

A command is *held* here as long as something that only this process can say has not happened: a
user event, or a command that waits for one. Then it is submitted, by which the device's stream has
it, and is over once a wait for the stream, or for the bytes of its read, has returned. A point in
the stream later than the command says the same of it, so that a command whose event nobody looks at
costs nothing.

Rules: a status only falls; whoever lowers it to where others may go on tells `CHANGED`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gon.device import Pending
from gon.errors import GonError
from gon_client.event import Event as Marker
from gon_shim.opencl.device import now_ns
from gon_shim.opencl.errors import code_of
from gon_shim.opencl.khronos import constants as cl

if TYPE_CHECKING:
    from gon_client.stream import Stream

# Held commands of all queues, and statuses: changed and waited for with this.
CHANGED: Final = threading.Condition(threading.RLock())


class Command:
    """One command; a user event is one without a stream."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self.status = cl.CL_QUEUED if stream is not None else cl.CL_SUBMITTED
        self.queued_ns = self.submitted_ns = now_ns()
        # Points of the stream before and after it, where a queue measures times.
        self.began: Marker | None = None
        self.ended: Marker | None = None
        # What they say, once they were asked.
        self.ran_ns: tuple[int, int] | None = None
        # What is called with the status when it is submitted and when it is over.
        self.on_submitted: list[Callable[[int], None]] = []
        self.on_over: list[Callable[[int], None]] = []
        self._pending: Pending | None = None
        self._mark: Marker | None = None

    def __repr__(self) -> str:
        return f"Command(status {self.status})"

    @property
    def is_held(self) -> bool:
        """Whether nothing that waits for it may go to a stream yet."""
        return self.status == cl.CL_QUEUED or (self.stream is None and self.status > 0)

    def submit(self, pending: Pending | None) -> None:
        """Note that the stream has it; `pending` is the read that it is, if it is one."""
        self._pending = pending
        self.submitted_ns = now_ns()
        self.lower(cl.CL_SUBMITTED)

    def lower(self, status: int) -> None:
        """Let the status fall; tell those who wait."""
        with CHANGED:
            if status >= self.status:
                return
            self.status = status
            CHANGED.notify_all()
        calls, self.on_submitted = self.on_submitted, []
        if status <= cl.CL_COMPLETE:
            calls, self.on_over = calls + self.on_over, []
        for call in calls:
            call(status)

    def mark(self) -> Marker:
        """Return a point in the stream by which it is over."""
        if self._mark is None:
            assert self.stream is not None
            self._mark = self.ended or self.stream.record()
        return self._mark

    def look(self) -> int:
        """Return the status as far as it is known without waiting; ask for more."""
        if self.status > cl.CL_COMPLETE and not self.is_held:
            if self._ask().done():
                self.settle()
            elif self.status == cl.CL_SUBMITTED:
                return cl.CL_RUNNING
        return self.status

    def settle(self) -> int:
        """Wait until it is over; return its status."""
        if self.is_held:
            with CHANGED:
                CHANGED.wait_for(lambda: not self.is_held)
        if self.status > cl.CL_COMPLETE:
            try:
                self._ask().wait()
                self.lower(cl.CL_COMPLETE)
            except GonError as error:
                self.lower(code_of(error))
        return self.status

    def _ask(self) -> Pending:
        if self._pending is None:
            assert self.stream is not None
            self._pending = self.stream.device.contract.sync(self.stream.handle)
        return self._pending
