"""The time in which a send that is blocked lets its caller receive: `while_blocked` of a link.

So that is also when it sees to what nobody else may be free to see to: `meanwhile`.

Rules: whoever is in it may go on with that send where it receives, and must not begin another one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from gon.errors import LocalProtocolError
from gon.limits import WAIT_SLICE_S
from gon.side_limits import SIDE_LOOK_S


class Interlude:
    """Which thread is in the `while_blocked` of one link, if any."""

    __slots__ = ("_thread", "meanwhile")

    def __init__(self) -> None:
        self._thread = 0
        # What is to be done whenever a send has waited for a slice in vain.
        self.meanwhile: Callable[[], None] | None = None

    @property
    def slice_s(self) -> float:
        """How long a send waits at a time."""
        return WAIT_SLICE_S if self.meanwhile is None else SIDE_LOOK_S

    def waited(self) -> None:
        """Do what is to be done when a send has waited in vain."""
        meanwhile = self.meanwhile  # which another thread may take away
        if meanwhile is not None:
            self.call(meanwhile)

    def is_here(self) -> bool:
        """Return whether it is this thread."""
        return self._thread == threading.get_ident()

    def refuse_here(self) -> None:
        """Raise LocalProtocolError if it is this thread, which is about to send."""
        if self._thread == threading.get_ident():
            raise LocalProtocolError("a frame cannot be sent in the middle of another one")

    def call(self, while_blocked: Callable[[], None]) -> None:
        """Let this thread be in it for the time of the call."""
        self._thread = threading.get_ident()
        try:
            while_blocked()
        finally:
            self._thread = 0
