"""The ops of who waits, and who does not: rows of the table of gon.wire.ops.

They are for hosts of version 19 on, the second for those of version 20.
"""

from __future__ import annotations

from gon.wire.op import Op
from gon.wire.timing_ops import EventQuestion


class NoteWaiters(Op, frozen=True, tag=84):
    """So many `threads` of the client wait for answers: if there are several, hold none up for what
    another one waits for, for a while.
    """

    threads: int


class AskDone(EventQuestion, frozen=True, tag=85):
    """Say at once whether the event's last record has happened, as a `SyncEvent` that does not
    wait: an older host is asked that.
    """
