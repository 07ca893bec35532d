"""Courses: how far the stream of a queue is, and what of it has failed.

Commands are known by the numbers of their ops, by which errors name these too: a command's are
above one number, `before`, and go up to another, its own; other streams' ops, and other threads',
may be among them. A wait that returns says that all before it is over. One that tells of a failure
names the first op that failed: what came before that on the stream ran, what followed up to the
wait did not. The stream is usable again then, and no later wait knows: so it is noted here.

Rules: what succeeds pays a look at an empty list. What may have failed has failed: a failure that
came from elsewhere, by an event or a buffer, may have come with any command that was not known to
be over. Must not know: events, handles.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gon.device import Pending
from gon.errors import GonError
from gon.numbered import Numbered
from gon_shim.limits import READS_REMEMBERED
from gon_shim.opencl.errors import code_of
from gon_shim.opencl.khronos import constants as cl
from gon_shim.opencl.limits import FAILURES_REMEMBERED

if TYPE_CHECKING:
    from gon_client.stream import Stream
    from gon_shim.opencl.objects import Object


@dataclass(slots=True)
class _Failure:
    """Ops of the stream that failed, or were skipped for that, up to the wait that told of it."""

    first: int
    last: int
    error: GonError
    # Whether the program knows.
    is_told: bool = False


class Course:
    """How far a stream is, and what of it has failed."""

    def __init__(self, stream: Stream) -> None:
        contract = stream.device.contract
        assert isinstance(contract, Numbered), "a leased device is"
        self.stream = stream
        self._numbers = contract.numbers
        # The queue, which closes the stream when it ends.
        self.owner: Object | None = None
        # The number of the last command that may be asked about, or of a wait that failed after it;
        # the number by which all is known to be over.
        self.last = self.over = 0
        self._lock = threading.RLock()
        self._failures: list[_Failure] = []
        # Reads that are not known to be here, each with a number before its own.
        self._reads: list[tuple[int, Pending]] = []
        self._reads_most = READS_REMEMBERED

    def __repr__(self) -> str:
        return f"Course({self.over} of {self.last} over, {len(self._failures)} failures)"

    @property
    def queued(self) -> int:
        """The number of the last op that was queued, on whatever stream."""
        return self._numbers.last

    def number(self) -> int:
        """Return the number of a command that the stream has got last."""
        number = self.last = self._numbers.last
        return number

    def reads(self, read: Pending, before: int) -> None:
        """Follow a read: its answer tells of failures as a wait does, and nobody may look at it."""
        with self._lock:
            self._reads.append((before, read))
            is_many = len(self._reads) >= self._reads_most
        if is_many:
            self._take_reads()
            self._reads_most = max(READS_REMEMBERED, 2 * len(self._reads))

    def _take_reads(self) -> None:
        """Hear what the answers of reads tell, of those that are here."""
        if not self._reads:
            return
        with self._lock:  # all of it: no other thread passes a failure that is told here
            reads, self._reads = self._reads, []
            missing = [each for each in reads if not self._heard(*each)]
            self._reads[:0] = missing

    def _heard(self, before: int, read: Pending) -> bool:
        """Hear what a read's answer tells; return whether it is here."""
        is_here = read.done()
        if is_here:
            try:
                read.wait()
            except GonError as error:
                self.failed(error, before)
        return is_here

    def passed(self, number: int) -> None:
        """Hear that all up to this number is over, by a wait that has told of no failure."""
        self._take_reads()
        with self._lock:
            self.over = max(self.over, number)

    def failed(self, error: GonError, before: int, *, is_told: bool = False) -> None:
        """Hear of a failure by a wait that was queued when `before` was the last number."""
        if not error.number:  # of no op: whoever waits is told that, each time
            return
        with self._lock:
            first, last = self.over + 1, before + 1
            if error.number <= before:  # otherwise the wait itself has found it, of any of them
                first = max(first, error.number)
            if first > last:  # another wait has told of it
                return
            self._failures.append(_Failure(first, last, error, is_told))
            if len(self._failures) > FAILURES_REMEMBERED:
                oldest, second, *others = self._failures
                second.first = oldest.first
                self._failures = [second, *others]
            self.over, self.last = last, max(self.last, last)

    def status_of(self, before: int, number: int) -> int:
        """Return what has become of a command that is over; the program is told."""
        for failure in self._failures:
            if before < failure.last and failure.first <= number:
                failure.is_told = True
                return code_of(failure.error)
        return cl.CL_COMPLETE

    def tell(self) -> None:
        """Raise the first failure that the program does not know of, if there is one; it knows of
        all then.
        """
        untold = [failure for failure in self._failures if not failure.is_told]
        for failure in untold:
            failure.is_told = True
        if untold:
            raise untold[0].error.with_traceback(None)
