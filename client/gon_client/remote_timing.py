"""Times of a remote unit's commands by queued ops: `gon.timing.Timing` over the wire."""

from __future__ import annotations

from gon.clock import SYSTEM_CLOCK
from gon.model import CommandTimes, Handle
from gon.timing import PendingTimes
from gon.wire.batch import Reply, decode
from gon.wire.timing_ops import AskTimes, NoteCommand, TellTimes
from gon.wire.versions import TELLING_TIMES
from gon_client.link import SessionLink
from gon_client.pending import Answer, Origins, Waiting


class RemoteTiming:
    """The times of the commands of a lease's device, over a session."""

    def __init__(self, link: SessionLink, waiting: Waiting) -> None:
        self._link = link
        self._express = link.express
        self._waiting = waiting

    def __repr__(self) -> str:
        return f"RemoteTiming({self._link!r})"

    def note(self, stream: Handle, event: Handle) -> PendingTimes:
        if self._express is not None:
            return self._express.note(stream, event)
        self._link.post(NoteCommand(stream, event))
        return self.times(event)

    def times(self, event: Handle) -> PendingTimes:
        if self._express is not None:
            return self._express.times(event)
        return _PlainTimes(self._link, self._waiting, event)


class _PlainTimes:
    """Times of one command; `gon_client._express.TimesAnswer` is the same, natively."""

    def __init__(self, link: SessionLink, waiting: Waiting, event: Handle) -> None:
        self._link, self._waiting, self._event = link, waiting, event
        self._answer: _TimesAnswer | None = None

    def ask(self) -> None:
        self._asked()

    @property
    def is_asked(self) -> bool:
        return self._answer is not None

    @property
    def is_latest(self) -> bool:
        return False

    def done(self) -> bool:
        return self._answer is not None and self._answer.done()

    def wait(self, timeout_s: float | None = None) -> None:
        self._asked().wait(timeout_s)

    @property
    def times(self) -> CommandTimes:
        return decode(CommandTimes, self._asked().data)

    @property
    def between_ns(self) -> tuple[int, int]:
        return 0, self._asked().heard_ns

    def _asked(self) -> _TimesAnswer:
        if self._answer is None:
            cookie = next(self._link.cookies)
            self._answer = _TimesAnswer(self._waiting)
            question = TellTimes if self._link.version >= TELLING_TIMES else AskTimes
            self._link.ask(question(self._event, cookie), cookie, self._answer)
        return self._answer


class _TimesAnswer(Answer):
    """The answer to an `AskTimes`."""

    heard_ns: int = 0

    def settle(self, reply: Reply, origins: Origins) -> None:
        """Take the reply, and note when that was. Raises RemoteProtocolError."""
        self.heard_ns = int(SYSTEM_CLOCK.now_s() * 1e9)
        Answer.settle(self, reply, origins)
