"""Commands: what a queue was given, and how far it is.

A command is *held* here as long as something that only this process can say has not happened: a
user event, or a command that waits for one. Then it is submitted, by which the device's stream has
it, and is over once a wait for the stream, or for the bytes of its read, has returned. A point in
the stream later than the command says the same of it: commands have numbers, in the order of the
stream, so one whose event nobody looks at costs nothing.

Rules: a status only falls; whoever lowers it to where others may go on tells `CHANGED`. What a
program gave to be called then is called by CALLER.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from gon.device import Pending
from gon.errors import GonError
from gon_client.event import Event as Marker
from gon_client.looks import has_come
from gon_shim.opencl.calls import CALLER, WATCHER
from gon_shim.opencl.errors import code_of
from gon_shim.opencl.khronos import constants as cl

if TYPE_CHECKING:
    from gon_client.stream import Stream
    from gon_shim.opencl.measuring import Measured
    from gon_shim.opencl.objects import Object

# Held commands of all queues, and statuses: changed and waited for with this.
CHANGED: Final = threading.Condition(threading.RLock())


class Course:
    """How far a stream is, by the numbers of its commands."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        # The queue, which closes the stream when it ends.
        self.owner: Object | None = None
        # The number of the last command that the stream has, and of the last that is known over.
        self.last = self.over = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Course({self.over} of {self.last} over)"

    def number(self) -> int:
        """Return the number of a command that the stream has got."""
        with self._lock:
            self.last += 1
            return self.last

    def passed(self, number: int) -> None:
        """Note that this command is over, and so are those before it."""
        with self._lock:
            if number > self.over:
                self.over = number


class Command:
    """One command; a user event is one without a course."""

    def __init__(self, course: Course | None) -> None:
        self.course = course
        self.status = cl.CL_QUEUED if course is not None else cl.CL_SUBMITTED
        # A point of the stream before it, where somebody wants to know.
        self.began: Marker | None = None
        # Its times, on a queue that measures.
        self.measured: Measured | None = None
        # What is called once the status is so low, or is that of a failure.
        self._calls: list[tuple[int, Callable[[int], None]]] = []
        self._number = 0
        self._read: Pending | None = None
        # What an answer tells of: the command itself, or what went before a read.
        self._answer: Pending | None = None
        # The last command that is over when the answer is here; the last that the stream had for
        # certain before this one, for another thread may queue while this gets its number.
        self._covers = self._before = 0
        self._mark: Marker | None = None

    def __repr__(self) -> str:
        return f"Command({self._number}, status {self.status})"

    @property
    def is_held(self) -> bool:
        """Whether nothing that waits for it may go to a stream yet."""
        return self.status == cl.CL_QUEUED or (self.course is None and self.status > 0)

    def submit(self, read: Pending | None, before: int) -> None:
        """Note that the stream has it; `read` is the read that it is, if it is one, `before` the
        number that the stream's last command had then.
        """
        assert self.course is not None
        self._number = self._covers = self.course.number()
        self._before = before
        if read is not None:
            self._read = self._answer = read
            self._covers = before
        self.lower(cl.CL_SUBMITTED)
        if self._calls:
            WATCHER.put(self._follow)

    def submitted(self, number: int, before: int) -> None:
        """As `submit`, of what the stream has got by this number; nobody knows of it yet."""
        self._number = self._covers = number
        self._before = before
        self.status = cl.CL_SUBMITTED

    def lower(self, status: int) -> None:
        """Let the status fall; tell those who wait."""
        with CHANGED:
            if status >= self.status:
                return
            self.status = status
            due = [each for each in self._calls if each[0] >= status]
            self._calls = [each for each in self._calls if each[0] < status]
            CHANGED.notify_all()
            # In the order of the statuses, whatever they were asked for in; and with the lock, that
            # another thread's fall does not come between.
            for when, call in sorted(due, key=itemgetter(0), reverse=True):
                CALLER.put(partial(call, status if status < 0 else when))

    def when(self, status: int, call: Callable[[int], None]) -> None:
        """Have `call` called when the status is as low as that, with it or with a failure. What the
        stream has is taken to run, unless it was noted when it begins.
        """
        if self.status == cl.CL_SUBMITTED and not self.is_held and self.began is None:
            self.lower(cl.CL_RUNNING)
        with CHANGED:
            reached = self.status
            if reached > status:
                self._calls.append((status, call))
            else:
                CALLER.put(partial(call, reached if reached < 0 else status))
        if reached > status and not self.is_held:
            WATCHER.put(self._follow)

    @property
    def tells_running(self) -> bool:
        """Whether somebody is to be told when it begins."""
        return any(when == cl.CL_RUNNING for when, _ in self._calls)

    def mark(self) -> Marker:
        """Return a point in the stream by which it is over."""
        if self._mark is None:
            assert self.course is not None
            self._mark = self.course.stream.record()
        return self._mark

    def look(self) -> int:
        """Return the status, and wait for no work: that of a moment ago."""
        if self.status > cl.CL_COMPLETE and not self.is_held:
            if self._is_over() or self._has_passed():
                self.settle()
            elif self.status == cl.CL_SUBMITTED:
                return cl.CL_RUNNING
        return self.status

    def _has_passed(self) -> bool:
        """Whether it is over by a question that waits for nothing."""
        course = self.course
        assert course is not None
        try:
            if self._read is not None:
                return has_come(course.stream.device.contract, self._read)
            is_over = self.mark().is_done
        except GonError as error:
            self._failed(error, course)
            return False
        if is_over:
            course.passed(self._number)
        return is_over

    def _failed(self, error: GonError, course: Course) -> None:
        """Take its failure, of which its own answer has told; a wait has the stream tell it, too,
        which is over with that.
        """
        with suppress(GonError):
            course.stream.sync()
        self.lower(code_of(error))

    def settle(self) -> int:
        """Wait until it is over; return its status."""
        if self.is_held:
            with CHANGED:
                CHANGED.wait_for(lambda: not self.is_held)
        if self.status > cl.CL_COMPLETE:
            assert self.course is not None
            try:
                if not self._is_over():
                    self._ask().wait()
                    self.course.passed(self._covers)
                self.lower(cl.CL_COMPLETE)
            except GonError as error:
                if self._answer is not None and self.measured is not None:
                    self._failed(error, self.course)
                else:
                    self.lower(code_of(error))
        return self.status

    def _follow(self) -> None:
        """Wait for what somebody is to be told of."""
        if self.tells_running:
            try:
                if self.began is not None:
                    self.began.sync()
                self.lower(cl.CL_RUNNING)
            except GonError as error:
                self.lower(code_of(error))
        if self._calls:
            self.settle()

    def _is_over(self) -> bool:
        """Whether a later point of the stream has told of it already."""
        return self._read is None and self.course is not None and self._number <= self.course.over

    def _ask(self) -> Pending:
        if self._answer is None:
            assert self.course is not None
            if self.measured is not None:
                self._answer = self.measured.answer()
                self._covers = self._number if self._answer is None else self._before
            if self._answer is None:
                stream = self.course.stream
                self._answer = stream.device.contract.sync(stream.handle)
        return self._answer
