"""The op that tells who waits: a row of the table of gon.wire.ops, for hosts of version 19 on."""

from __future__ import annotations

from gon.wire.op import Op


class NoteWaiters(Op, frozen=True, tag=84):
    """So many `threads` of the client wait for answers: if there are several, hold none up for what
    another one waits for, for a while.
    """

    threads: int
