"""The ops that tell times of single commands: rows of the table of gon.wire.ops.

They are for hosts of version 16 or later: an older one tells times between records only.
"""

from __future__ import annotations

from gon.wire.op import Op


class NoteCommand(Op, frozen=True, tag=80):
    """Let the event be the last command of `stream`, as gon.timing has it."""

    stream: int
    event: int


class EventQuestion(Op, frozen=True):
    """Base of what asks something of the last record, or note, of an event."""

    event: int
    reply: int


class TimesQuestion(EventQuestion, frozen=True):
    """Base of what asks for a command's times."""


class AskTimes(TimesQuestion, frozen=True, tag=81):
    """Say when the command that the event is was queued, submitted, began and ended, once it has:
    in ns of the device's clock.
    """


class TellTimes(TimesQuestion, frozen=True, tag=83):
    """As `AskTimes`, and say how late it is by then: the answer comes at that moment of the
    device's clock or later, which tells a client more of that clock than the end of the command.

    For hosts of version 18 or later.
    """
