"""Whether events have happened, for programs that ask and do something else if they have not.

A remote event is asked about by an op that waits for no work (`AskDone`); an older host can only be
asked to wait for it. Either way there is one question at a time on its way, and the program waits
for its answer but for a moment: the worker may be waiting for something else, or be far away. Then
nobody knows yet, and the next look finds the answer.

Rules: nothing is asked while nothing may be sent, or a lost link is being replaced.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from gon.device import Device, Pending
from gon.errors import WaitTimeout
from gon.looking import Look, Looked
from gon.model import Handle
from gon.wire.batch import decode
from gon.wire.ops import SyncEvent
from gon.wire.versions import LOOKING
from gon.wire.waiter_ops import AskDone
from gon_client.link import SessionLink
from gon_client.pending import Answer, Waiting, once_more

# A round trip to a host nearby takes a thousandth of it, also where others want the processor; who
# asks as often as it can loses no more of its time than that, once a question.
_MOMENT_S: Final = 0.02


class RemoteLooking:
    """Looks at the events of a lease's device, over a session."""

    def __init__(self, link: SessionLink, waiting: Waiting) -> None:
        self._link, self._waiting = link, waiting

    def __repr__(self) -> str:
        return f"RemoteLooking({self._link!r})"

    def look(self, event: Handle) -> Look:
        return _RemoteLook(self._link, self._waiting, event)

    def catch_up(self) -> bool:
        return self._link.look()


class _RemoteLook:
    """A look at one event."""

    __slots__ = ("_answer", "_event", "_link", "_waiting")

    def __init__(self, link: SessionLink, waiting: Waiting, event: Handle) -> None:
        self._link, self._waiting, self._event = link, waiting, event
        # The question's that is on its way.
        self._answer: Answer | None = None

    def is_over(self) -> bool:
        may_ask = self._link.look()
        # Another thread may look, too.
        answer = self._answer
        if answer is None:
            if not may_ask:
                return False
            answer = self._answer = self._asked()
            with suppress(WaitTimeout):
                self._link.wait(answer, _MOMENT_S)
        if not answer.settled:
            return False
        self._answer = None
        if answer.error is not None:
            raise once_more(answer.error)
        return self._link.version < LOOKING or decode(bool, answer.data)

    def _asked(self) -> Answer:
        cookie, answer = next(self._link.cookies), Answer(self._waiting)
        question = AskDone if self._link.version >= LOOKING else SyncEvent
        self._link.expect(question(self._event, cookie), cookie, answer)
        return answer


class _OwnLook:
    """A look at an event of a device in this process."""

    __slots__ = ("_pending",)

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def is_over(self) -> bool:
        is_over = self._pending.done()
        if is_over:
            self._pending.wait()
        return is_over


def look_at(device: Device, event: Handle) -> Look:
    """Return a look at the last record of an event."""
    if isinstance(device, Looked):
        return device.looking.look(event)
    return _OwnLook(device.sync_event(event))


def may_ask(device: Device) -> bool:
    """Return whether a question to a device waits for nothing: otherwise nothing is known yet."""
    return not isinstance(device, Looked) or device.looking.catch_up()


def has_come(device: Device, pending: Pending) -> bool:
    """Return whether a device's answer is here; a program that only asks receives nothing."""
    if not pending.done() and isinstance(device, Looked):
        device.looking.catch_up()
    return pending.done()
