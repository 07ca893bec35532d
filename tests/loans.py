"""Memory that is lent within a process, for tests of what is done with it."""

from __future__ import annotations

import mmap
import os
import random
import socket

from gon.transport.base import Link
from gon.transport.shm_setup import join, share
from gon_server.pages import COLLAPSE, Pages


class SmallPages(Pages):
    """Memory for buffers on whatever pages there are, so that it is there on every host."""

    def _advise(self, advice: int, first: int, last: int) -> None:
        if advice != COLLAPSE:
            super()._advise(advice, first, last)


def shm_pair() -> tuple[Link, Link]:
    """Return the ends of a link through shared memory, the client's first."""
    here, there = socket.socketpair()
    worker = share(there, "pair:client")
    return join(here, "pair:worker"), worker


class PassedLoan:
    """Both ends of a loan; see gon.transport.base.Loan. Now and then it says the peer is away."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._lent = -1

    def lend(self, fd: int) -> None:
        self._lent = os.dup(fd)

    def borrow(self, size_bytes: int) -> memoryview:
        try:
            return memoryview(mmap.mmap(self._lent, size_bytes))
        finally:
            os.close(self._lent)

    def is_held(self) -> bool:
        return self._chance.random() > 0.1
