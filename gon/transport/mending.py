"""What one end of a link does where side links break, as long as others are left: it has what they
may have lost sent again.

Rules: whoever waits for anything here looks; whose payloads they are is for the link's user to say
(`heal`). Must not know: what is sent over what (gon.transport.chunks), how to wait.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Sequence

from gon.side_limits import SIDE_LOOK_S
from gon.transport.base import Heal, PayloadsOf, Sides
from gon.transport.chunks import Outgoing
from gon.transport.framing import as_bytes
from gon.transport.keepalive import wait_for
from gon.transport.sides import Side


class Mending:
    """What is to be done about broken side links, of those that payloads go out over."""

    def __init__(self, out: Outgoing, now_s: Callable[[], float]) -> None:
        self._out = out
        self._now_s = now_s
        self.heal: Heal | None = None
        # Since when something has been missing that goes again over none.
        self._missed_s = math.inf

    def tend(self, sides: Sides, some: Sequence[Side], *, between: bool) -> None:
        """See that what has broken of `some`, all of `sides`, is healed; `between` says that no
        frame is in the middle.
        """
        fresh = [side for side in some if side.is_broken and not side.is_healed]
        if (fresh or self._out.misses(())) and self.heal is not None and self.heal(sides, between):
            for side in fresh:
                side.is_healed = True

    def send_again(self, some: Sequence[Side], payloads_of: PayloadsOf) -> bool:
        """Let what broken ones may have lost go again; return whether that is as much as may be.
        Raises what `payloads_of` raises.
        """
        for sent, chunks in self._out.lost(some):
            with payloads_of(sent.head) as payloads:
                if not payloads:
                    continue  # the peer has it
                if not self._out.send_again(sent, as_bytes(payloads[sent.which]), chunks):
                    return False
        return True

    def is_too_late(self, some: Sequence[Side], fd: int) -> bool:
        """Return whether one broke that the peer was to close once it has all that went over it,
        when nothing went over any more: then none is left to send that again.

        Closed by the peer, it has said so on the link, `fd`; a moment later that is there to read.
        """
        misses = bool(some) and not self._out.sides and self._out.misses(some)
        if not misses or wait_for(fd, select.POLLIN, 0):
            self._missed_s = math.inf
            return False
        now_s = self._now_s()
        self._missed_s = min(self._missed_s, now_s)
        return now_s - self._missed_s > SIDE_LOOK_S
