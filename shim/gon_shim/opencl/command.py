"""Commands: what a queue was given, and how far it is.

A command is *held* here as long as something that only this process can say has not happened: a
user event, or a command that waits for one. Then it is submitted, by which the device's stream has
it, and is over once a wait for the stream, or for the bytes of its read, has returned. A point in
the stream later than the command says the same of it, and whether it failed (`course`): commands
have numbers, so one whose event nobody looks at costs nothing.

Rules: a status only falls; whoever lowers it to where others may go on tells `CHANGED`. What a
program gave to be called then is called by CALLER.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from gon.device import Pending
from gon.errors import GonError
from gon_client.event import Event as Marker
from gon_client.looks import has_come, may_ask
from gon_shim.opencl.calls import CALLER, WATCHER
from gon_shim.opencl.errors import code_of
from gon_shim.opencl.khronos import constants as cl

if TYPE_CHECKING:
    from gon_shim.opencl.course import Course
    from gon_shim.opencl.measuring import Measured

# Held commands of all queues, and statuses: changed and waited for with this.
CHANGED: Final = threading.Condition(threading.RLock())


class _Asked(NamedTuple):
    """A question whose answer tells that a command is over, and so what was queued `before`."""

    answer: Pending
    before: int
    # Whether the answer is that of the command's times, not the stream's.
    is_of_times: bool = False


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
        self._asked: _Asked | None = None
        # What was queued for certain before: another thread may queue while this gets its number.
        self._before = 0
        self._mark: Marker | None = None
        # The number by which the mark is there.
        self._marked = 0

    def __repr__(self) -> str:
        return f"Command({self._number}, status {self.status})"

    @property
    def is_held(self) -> bool:
        """Whether nothing that waits for it may go to a stream yet."""
        return self.status == cl.CL_QUEUED or (self.course is None and self.status > 0)

    def submit(self, read: Pending | None, before: int) -> None:
        """Note that the stream has it; `read` is the read that it is, if it is one, `before` a
        number that was queued before.
        """
        assert self.course is not None
        self._number = self.course.number()
        self._before = before
        if read is not None:
            self._read, self._asked = read, _Asked(read, before)
        self.lower(cl.CL_SUBMITTED)
        if self._calls:
            WATCHER.put(self._follow)

    def submitted(self, number: int, before: int) -> None:
        """As `submit`, of what the stream has got by this number; nobody knows of it yet."""
        self._number, self._before = number, before
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
            self._marked = self.course.queued
        return self._mark

    def look(self) -> int:
        """Return the status, and wait for no work: that of a moment ago."""
        if not self.is_known() and not self.is_held:
            if self._has_passed():
                self.settle()
            elif self.status == cl.CL_SUBMITTED:
                return cl.CL_RUNNING
        return self.status

    def is_known(self) -> bool:
        """Whether it is known without a question how it has ended."""
        course = self.course
        if self.status > cl.CL_COMPLETE and not self.is_held and course is not None:
            # A read is not here before its own answer is.
            if self._read is not None:
                if self._read.done():
                    self._hear(self._ask())
            elif self._number <= course.over:
                self.lower(course.status_of(self._before, self._number))
        return self.status <= cl.CL_COMPLETE

    def _has_passed(self) -> bool:
        """Whether it is over by a question that waits for nothing."""
        course = self.course
        assert course is not None
        try:
            if self._read is not None:
                return has_come(course.stream.device.contract, self._read)
            if self._mark is None and not may_ask(course.stream.device.contract):
                return False
            is_over = self.mark().is_done
        except GonError as error:
            self._failed(error, self._marked)
            return False
        if is_over:
            course.passed(self._number)
        return is_over

    def _failed(self, error: GonError, before: int) -> None:
        """Take a failure that was not told for the stream: a wait has the stream tell it, too,
        which is over with that.
        """
        course = self.course
        assert course is not None
        queued = course.queued
        try:
            course.stream.sync()
        except GonError as its_own:
            self._take(its_own, queued)
            return
        if error.number <= before:  # otherwise the question failed, and no command
            course.failed(error, before)
        course.passed(queued)
        self.lower(course.status_of(self._before, self._number))

    def _take(self, error: GonError, before: int) -> None:
        """Take a failure that a wait has told of; `before` was queued before that wait."""
        course = self.course
        assert course is not None
        course.failed(error, before)
        status = course.status_of(self._before, self._number)
        # A read's own answer tells of it; and what is no op's failure is everybody's.
        is_its = self._read is not None or not error.number
        self.lower(code_of(error) if is_its and status == cl.CL_COMPLETE else status)

    def settle(self) -> int:
        """Wait until it is over; return its status."""
        if self.is_held:
            with CHANGED:
                CHANGED.wait_for(lambda: not self.is_held)
        if not self.is_known():
            self._hear(self._ask())
        return self.status

    def _hear(self, asked: _Asked) -> None:
        """Take what an answer tells, and wait for it if it is not here."""
        course = self.course
        assert course is not None
        try:
            asked.answer.wait()
            course.passed(asked.before)
            self.lower(course.status_of(self._before, self._number))
        except GonError as error:
            if asked.is_of_times:
                self._failed(error, self._number)
            else:
                self._take(error, asked.before)

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

    def _ask(self) -> _Asked:
        asked, course = self._asked, self.course
        assert course is not None
        if asked is None and self.measured is not None:
            times = self.measured.answer()
            asked = None if times is None else _Asked(times, self._before, is_of_times=True)
        if asked is None:
            stream, queued = course.stream, course.queued
            asked = _Asked(stream.device.contract.sync(stream.handle), queued)
        self._asked = asked
        return asked
