"""Tells the worker that several threads wait for one device: it then holds no thread up for what
another one waits for (gon_server.holding).

Rules: found out where a thread would wait and another one has the turn, so at no cost where none
has. The pump, which takes turns for a moment, is no such thread.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gon.clock import Clock
from gon.limits import WAITERS_AGAIN_S
from gon.wire.versions import HOLDING
from gon.wire.waiter_ops import NoteWaiters
from gon_client.deadline import Deadline
from gon_client.interruption import Inside
from gon_client.pump import Pump

if TYPE_CHECKING:
    from gon_client.link import SessionLink


class Meetings:
    """Threads of one session that meet while they wait."""

    def __init__(self, link: SessionLink, inside: Inside, pump: Pump, clock: Clock) -> None:
        self._link, self._inside, self._pump = link, inside, pump
        self._now_s = clock.now_s
        self._told_s = -WAITERS_AGAIN_S

    def met(self, deadline: Deadline | None) -> None:
        """Hear that the turn is taken; tell of it, unless that was done a moment ago. Raises
        WaitTimeout.
        """
        others = {*self._inside.threads} - {self._pump.ident, threading.get_ident()}
        if self._link.version < HOLDING or not others:
            return
        now_s = self._now_s()
        if now_s - self._told_s >= WAITERS_AGAIN_S:
            self._told_s = now_s
            self._link.post(NoteWaiters(1 + len(others)))
            self._link.flush(deadline)
