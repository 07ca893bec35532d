"""What finalizers leave: they run anywhere, so they only note what is to be given back, and whoever
makes the next thing does it.

A buffer at the front that has the size of a new one is renewed: its handle stays, so that a call
which makes its output, again and again, is the same call each time. Only a small one: of a large
one copies and reads may go on in other threads, which its free waits for, and the new one must not.

Must not know: devices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from gon.limits import INLINE_BYTES_MAX
from gon.model import Handle

# What gives a handle back, None for a buffer; the handle; what of the lease's memory comes with it.
Left: TypeAlias = tuple[Callable[[Handle], None] | None, Handle, int]


class Forgotten(deque[Left]):
    """What is to be given back, in the order in which the program has forgotten it; threads that
    make things take out of it at once.
    """

    def take(self) -> Left | None:
        """Take the first out; None if there is none, or another thread has taken the last."""
        try:
            return self.popleft()
        except IndexError:
            return None

    def take_buffer(self, size_bytes: int) -> Handle | None:
        """Take the first out, if it is a small buffer of this size."""
        try:
            first = self[0]
        except IndexError:
            return None
        if first[0] is not None or first[2] != size_bytes or size_bytes > INLINE_BYTES_MAX:
            return None
        taken = self.take()
        if taken is first:
            return first[1]
        if taken is not None:  # another thread has given that back meanwhile
            self.appendleft(taken)
        return None
