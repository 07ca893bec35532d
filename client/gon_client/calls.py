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
        self._waits = False
        # Threads that fork, or wait to.
        self._forks: list[int] = []
        # Whether a fork that made this process has not waited long enough.
        self._spoilt = self._was_in_vain = False

    def __repr__(self) -> str:
        return f"Calls({len(self._under_way)} under way, {len(self._forks)} forking)"

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
        # That of this process: a child that begins in the middle of this has another.
        here, under_way = threading.get_ident(), self._under_way
        with self._changed:
            # A call within one, as a finalizer's, does not wait for a fork that waits for it.
            self._changed.wait_for(lambda: not self._forks or here in under_way, FORK_WAIT_S)
            under_way.append(here)
        try:
            yield
        finally:
            with self._changed:
                under_way.remove(here)
                self._changed.notify_all()

    def _before(self) -> None:
        """Wait for the others, let none begin, and keep the lock until after the fork."""
        here = threading.get_ident()
        self._forks.append(here)
        self._changed.acquire()
        ended = False
        try:
            ended = self._changed.wait_for(
                lambda: all(thread == here for thread in self._under_way), FORK_WAIT_S
            )
        finally:  # a signal's handler may raise in it, and the fork goes on
            self._was_in_vain = not ended

    def _in_parent(self) -> None:
        here = threading.get_ident()
        self._forks = [thread for thread in self._forks if thread != here]
        self._changed.notify_all()
        self._changed.release()

    def _in_child(self) -> None:
        self._changed = threading.Condition()
        self._under_way, self._forks = [], []
        self._spoilt = self._spoilt or self._was_in_vain


CALLS = Calls()
