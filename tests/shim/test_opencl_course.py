"""Courses of OpenCL's queues by themselves: which commands a failure makes fail."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import pytest

from gon.errors import DeviceError, GonError, LeaseLost
from gon_shim.opencl import course as courses
from gon_shim.opencl.course import Course
from gon_shim.opencl.khronos import constants as cl
from tests.shim.pending_read import Read

if TYPE_CHECKING:
    from gon_client.stream import Stream


class Numbering:
    """A device, its contract and a stream of its, as far as courses look at them."""

    def __init__(self) -> None:
        self.last = 0

    @property
    def device(self) -> Numbering:
        return self

    @property
    def contract(self) -> Numbering:
        return self

    @property
    def numbers(self) -> Numbering:
        return self


class Queue:
    """A queue whose commands are each an op."""

    def __init__(self) -> None:
        self.ops = Numbering()
        self.course = Course(cast("Stream", self.ops))

    def command(self) -> tuple[int, int]:
        """Queue one; return what is known of its numbers."""
        before = self.course.last
        self.ops.last += 1
        return before, self.course.number()

    def wait(self, failed: int = 0) -> None:
        """Wait, by an op that may tell of one that failed."""
        queued = self.course.queued
        self.ops.last += 1
        if failed:
            self.course.failed(DeviceError("it burns", number=failed), queued)
        self.course.passed(queued)

    def ended(self, *commands: tuple[int, int]) -> str:
        """Return how each has ended: "." well, "x" not."""
        codes = [self.course.status_of(*each) for each in commands]
        return "".join("." if code == cl.CL_COMPLETE else "x" for code in codes)


def test_what_came_before_a_failure_and_after_the_wait_that_told_is_complete() -> None:
    queue = Queue()
    first, failed, skipped = (queue.command() for _ in range(3))
    queue.wait(failed=failed[1])
    later, again = queue.command(), queue.command()
    queue.wait(failed=again[1])
    assert queue.ended(first, failed, skipped, later, again) == ".xx.x"


def test_a_failure_that_came_from_elsewhere_is_that_of_all_not_known_to_be_over() -> None:
    queue = Queue()
    over = queue.command()
    queue.wait()
    maybe, skipped = queue.command(), queue.command()
    queue.wait(failed=over[0] + 1)
    assert queue.ended(over, maybe, skipped) == ".xx"
    # One that a wait itself has found may be anybody's, too.
    maybe = queue.command()
    queue.wait(failed=queue.ops.last + 1)
    assert queue.ended(maybe, queue.command()) == "x."


def test_a_reads_answer_tells_though_nobody_looks_at_it() -> None:
    queue = Queue()
    failed, before = queue.command(), queue.course.queued
    queue.command()
    read = Read(fails=True, number=failed[1])
    queue.course.reads(read, before)
    later = queue.command()
    read.here = True
    queue.wait()
    assert queue.ended(failed, later) == "x."
    queue.course.tell()  # by the status


def test_nobody_passes_a_failure_that_another_thread_hears_of() -> None:
    queue, free = Queue(), list[bool]()

    class Heard(Read):
        def wait(self, timeout_s: float | None = None) -> None:
            other = threading.Thread(
                target=lambda: free.append(queue.course._lock.acquire(blocking=False))
            )
            other.start()
            other.join()
            super().wait(timeout_s)

    failed, before = queue.command(), queue.course.queued
    queue.command()
    read = Heard(fails=True, number=failed[1])
    read.here = True
    queue.course.reads(read, before)
    queue.wait()
    assert (queue.ended(failed), free) == ("x", [False])


def test_the_program_is_told_once_whatever_it_has_asked() -> None:
    queue = Queue()
    for _ in range(2):
        queue.wait(failed=queue.command()[1])
    with pytest.raises(GonError, match="it burns"):
        queue.course.tell()
    queue.course.tell()
    # What is no op's failure is told by whoever waits, and nothing is known by it.
    queue.course.failed(LeaseLost("it is over"), queue.course.queued)
    assert queue.ended(queue.command()) == "."


def test_more_failures_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courses, "FAILURES_REMEMBERED", 2)
    queue, commands = Queue(), list[tuple[int, int]]()
    for _ in range(3):
        commands += [queue.command(), queue.command()]
        queue.wait(failed=commands[-1][1])
    assert queue.ended(*commands) == ".xxx.x"
