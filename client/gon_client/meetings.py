"""Tells the worker that several threads wait for one device: it then holds no thread up for what
another one waits for (gon_server.holding).

Rules: found out where a thread would wait and another one has the turn, so at no cost where none
has. The pump, which takes turns for a moment, is no such thread. Nobody waits to tell: where it
cannot be sent at once it goes with what is sent next, or by the pump.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from gon.clock import Clock
from gon.errors import GonError
from gon.limits import WAITERS_AGAIN_S
from gon.wire.versions import HOLDING
from gon.wire.waiter_ops import NoteWaiters
from gon_client.outbox import PlainOutbox
from gon_client.pending import NO_ORIGIN
from gon_client.pump import Pump
from gon_client.sending import Sending

if TYPE_CHECKING:
    from gon_client._express import Outbox


class Meetings:
    """Threads of one session that meet while they wait."""

    def __init__(
        self,
        version: int,
        outbox: PlainOutbox | Outbox,
        sending: Sending,
        pump: Pump,
        clock: Clock,
    ) -> None:
        self._is_heard = version >= HOLDING
        self._outbox, self._sending, self._pump = outbox, sending, pump
        self._now_s = clock.now_s
        self._told_s = -WAITERS_AGAIN_S

    def met(self, send: Callable[[], object]) -> None:
        """Hear that the turn is taken; tell of it, unless that was done a moment ago. `send` sends
        what is gathered, with the sending lock.
        """
        others = {*self._sending.inside.threads} - {self._pump.ident, threading.get_ident()}
        if not self._is_heard or not others:
            return
        now_s = self._now_s()
        if now_s - self._told_s >= WAITERS_AGAIN_S:
            self._told_s = now_s
            self._outbox.add(NoteWaiters(1 + len(others)), NO_ORIGIN)
            if self._pump.parked:
                self._pump.wake()
            with suppress(GonError):  # whose answer is here need not hear that the session is over
                self._sending.hold(send)
