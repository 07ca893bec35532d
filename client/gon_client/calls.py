"""Calls of gRPC's, and forks: a fork waits for those that other threads are in.

    call ── under way ── over          fork: waits for `over`, lets none begin ──▶ forked

gRPC's library serves new channels in a child if no thread was in it at the fork; else it crashes
there. So a fork waits for calls under way. Most take a millisecond; one that asks for a lease takes
as long as a worker to start, and where that is too long the child is told instead.

Rules: no fork waits longer than FORK_WAIT_S, nor for a call of its own thread. Must not know: grpc.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager

from gon.errors import Unsupported
from gon.limits import FORK_WAIT_S


class Calls:
    """The calls of this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # The threads that are in one, each as often as it is.
        self._under_way: list[int] = []
        self._waits = self._forks = False
        # Whether a fork that made this process has not waited long enough.
        self._spoilt = self._was_in_vain = False

    def __repr__(self) -> str:
        return f"Calls({len(self._under_way)} under way)"

    def heed_forks(self) -> None:
        """Let forks wait from now on: after gRPC was used, whose own wait is to come later."""
        if not self._waits:
            self._waits = True
            os.register_at_fork(
                before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child
            )

    @contextmanager
    def one(self) -> Generator[None]:
        """Be in a call, in the block. Raises Unsupported where none can be any more."""
        if self._spoilt:
            raise Unsupported(
                f"this process was forked while another thread had been talking to gond for more "
                f"than {FORK_WAIT_S:g} s, which gRPC does not survive in the child: fork again"
            )
        here = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._forks, FORK_WAIT_S)
            self._under_way.append(here)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.remove(here)
                self._changed.notify_all()

    def _before(self) -> None:
        """Wait for the others, let none begin, and keep the lock until after the fork."""
        here = threading.get_ident()
        self._changed.acquire()
        self._forks = True
        self._was_in_vain = not self._changed.wait_for(
            lambda: all(thread == here for thread in self._under_way), FORK_WAIT_S
        )

    def _in_parent(self) -> None:
        self._forks = False
        self._changed.notify_all()
        self._changed.release()

    def _in_child(self) -> None:
        self._changed = threading.Condition()
        self._under_way, self._forks = [], False
        self._spoilt = self._spoilt or self._was_in_vain


CALLS = Calls()
