"""A stream link and its side links, as one link: heads on the one, payloads over the others.

    heads     ────────────── the stream link ──────────────▶
    payloads  ── chunk ──▶ side 0   ── chunk ──▶ side 1   …

Which payloads go how is not said with them: both ends agree on it by words between two frames
(`send_over`, `receive_over`). While they go over none, this is the stream link alone.

Rules: where both ends know how (`mends`), a side link that breaks costs only itself: what it may
have lost is sent again over the others, by `mend`. Whoever waits for anything here watches all of
them for that, for nobody else may be free to notice. Otherwise, or if it was the last one, or the
link itself, all are ended: the session goes on with the next link. Must not know: what heads mean,
sessions.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import LinkLost, LocalProtocolError, RemoteProtocolError
from gon.forked import new_lock
from gon.limits import BLOCKED_PAUSE_S, FRAME_STALL_S, PEER_SILENT_S, WAIT_SLICE_S
from gon.side_limits import SIDE_LOOK_S, SIDES_MAX
from gon.transport.base import Bytes, Heal, Lane, Link, LinkStatistics, PayloadsOf
from gon.transport.chunks import Incoming, Outgoing
from gon.transport.framing import as_bytes, check_frame
from gon.transport.interlude import Interlude
from gon.transport.keepalive import wait_for
from gon.transport.mending import Mending
from gon.transport.sides import ENDED, ChunkError, Side, Watch, break_off_vanished, fds_of
from gon.transport.stream import StreamLink

T = TypeVar("T")

# A payload of no bytes: the head is padded as before others, so that whoever has a whole frame
# read ahead misses nothing that it would have to receive.
_NOTHING = (b"",)


class Bundle:
    """A stream link that can have side links. See gon.transport.base.Link, and Sides for it."""

    loan = None

    def __init__(self, main: StreamLink, clock: Clock = SYSTEM_CLOCK) -> None:
        self._main = main
        self._now_s = clock.now_s
        # That of the stream link, which knows nothing of side links: so none once this is over. No
        # property: each small frame asks for it, both ways.
        self.lane: Lane | None = main.lane
        self._all: tuple[Side, ...] = ()
        self._out, self._in = Outgoing(), Incoming()
        self._mending = Mending(self._out, clock.now_s)
        self._why_lost = ""
        self._lock = new_lock()
        # Who is in `while_blocked` of a payload goes on sending where it receives.
        self._interlude = Interlude()
        # Which thread is sending payloads over side links.
        self._sender = 0

    @property
    def name(self) -> str:
        return self._main.name

    @property
    def sides(self) -> Bundle:
        return self

    def __repr__(self) -> str:
        return f"Bundle({self._main!r}, {self.count} side links)"

    def statistics(self) -> LinkStatistics:
        main = self._main.statistics()
        return replace(
            main,
            bytes_sent=main.bytes_sent + self._out.bytes_sent,
            bytes_received=main.bytes_received + self._in.bytes_received,
        )

    # Side links -----------------------------------------------------------------------------------
    @property
    def count(self) -> int:
        return len(self._out.sides)

    @property
    def mends(self) -> bool:
        return self._out.mends

    def agree(self, *, mends: bool, heal: Heal) -> None:
        self._out.mends = self._in.mends = mends
        self._mending.heal = heal if mends else None

    @property
    def bytes_again(self) -> int:
        return self._out.bytes_again

    def add(self, link: Link) -> None:
        assert isinstance(link, StreamLink), "side links are stream links"
        if len(self._all) >= SIDES_MAX:
            raise LocalProtocolError(f"more than {SIDES_MAX} side links")
        try:
            side = Side(link.take_socket())
        except OSError as error:
            raise self._lost(error) from error
        with self._lock:
            self._all = (*self._all, side)
        if self._why_lost:
            side.close()

    def send_over(self, count: int) -> None:
        if not count and self.heals:
            raise self._lost("what is to be sent again has none to go over")
        self._out.go_over(self._all[:count])
        self._main.lane.sends_payloads = not count
        self._drop()

    def receive_over(self, count: int) -> None:
        self._in.sides = self._all[:count]
        self._main.lane.receives_payloads = not count
        # Whoever waits for a head watches all of them.
        self._main.rest_lane()
        self._drop()

    def _drop(self) -> None:
        """Close the side links that neither direction goes over."""
        with self._lock:
            used = max(len(self._out.sides), len(self._in.sides))
            unused, self._all = self._all[used:], self._all[:used]
        for side in unused:
            side.close()

    def broken(self) -> list[int]:
        return [number for number, side in enumerate(self._all) if side.is_broken]

    def break_off(self, number: int) -> None:
        self._all[number].break_off()

    def look(self, *, between: bool = False) -> None:
        self._watch_all().wait(0)
        self._tend(between=between)

    def _watch_all(self) -> Watch:
        """Return a wait for the end of each, and until what goes again can go on, if it is for this
        thread to send it.
        """
        watch = Watch()
        if self.mends:
            watch.add_ends(self._all)
        if self._may_push():
            watch.add(fds_of(self._out.waiting()), select.POLLOUT)
        return watch

    def _tend(self, *, between: bool = False) -> None:
        """Heal what has broken, send on what goes again; `between` frames, or in one."""
        self._mending.tend(self, self._all, between=between)
        if self._out.goes_again:
            self._go_on()
        if self._mending.is_too_late(self._all, self._main.fd):
            raise self._lost("one broke before it was closed")

    @property
    def heals(self) -> bool:
        return self._out.goes_again or self._out.misses(self._all)

    def mend(self, payloads_of: PayloadsOf) -> None:
        if not self._out.sides:
            return  # all are being closed, if the peer has all that went over them
        whole = False
        try:
            whole = self._mending.send_again(self._all, payloads_of)
        finally:
            if not whole:
                self._end("too much is to be sent again, or it was in part")
        if not whole:
            raise self._lost("")

    @property
    def sends_here(self) -> bool:
        return self._sender == threading.get_ident() or self._main.sends_here

    def say(self, word: Bytes) -> bool:
        if self._main.sends_here:
            self._main.send_behind(word)
            return True
        if not wait_for(self._main.fd, select.POLLOUT, 0):
            return False
        self._main.send(word)
        return True

    # Sending --------------------------------------------------------------------------------------
    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        self._interlude.refuse_here()
        if not payloads or not self._out.sides:
            self._see_to_sides(between=not payloads)
            self._main.send(head, payloads, while_blocked)
            return
        check_frame(head, payloads)
        whole = False
        try:
            self._sender = threading.get_ident()
            self._see_to_sides(between=False)
            self._main.send(head, _NOTHING, while_blocked)
            for which, payload in enumerate(payloads):
                self._out.begin(bytes(head), which, as_bytes(payload))
                self._send_chunks(while_blocked)
            whole = True
        finally:
            self._sender = 0
            if not whole:
                self._end("a frame was sent in part")

    def send_rest(
        self,
        head: Bytes,
        sent: int,
        while_blocked: Callable[[], None] | None,
        payloads: Sequence[Bytes] = (),
    ) -> None:
        if payloads and self._out.sides:
            assert not sent, "the lane sends no payloads now"
            self.send(head, payloads, while_blocked)
        else:
            self._see_to_sides(between=not payloads)
            self._main.send_rest(head, sent, while_blocked, payloads)

    def _see_to_sides(self, *, between: bool) -> None:
        """Let whoever waits to send on the link itself see to these: nobody else may be free to."""
        self._main.interlude.meanwhile = partial(self.look, between=between) if self._all else None

    def _send_chunks(self, while_blocked: Callable[[], None] | None) -> None:
        while not self._out.finish():
            waiting = self._out.waiting()
            if not waiting and self._out.is_stuck:
                raise self._lost("none is left")
            if waiting and not self._push(waiting):
                self._tend()
                self._wait_to_send(waiting, while_blocked)

    def _push(self, some: Sequence[Side]) -> int:
        try:
            return self._out.push(some)
        except OSError as error:
            raise self._lost(error) from error

    def _wait_to_send(
        self, waiting: Sequence[Side], while_blocked: Callable[[], None] | None
    ) -> None:
        """Return once the peer takes bytes, `while_blocked` was called, one has broken, or a slice
        is over.
        """
        watch = self._watch_all()
        watch.add(fds_of(waiting), select.POLLOUT)
        # Whoever receives, and would be told of the link's end, may be waiting to send.
        wanted = select.POLLRDHUP if while_blocked is None else select.POLLRDHUP | select.POLLIN
        watch.add((self._main.fd,), wanted)
        happened = watch.wait(SIDE_LOOK_S)
        if not happened:
            self._check_peer(waiting)
        on_link = happened.get(self._main.fd, 0)
        if while_blocked is not None and on_link:
            before = self.statistics().bytes_received
            self._interlude.call(while_blocked)
            if self.statistics().bytes_received != before:
                return
            # As on the link alone: it had no room, and asking again would only burn the core.
            pause = Watch()
            pause.add(fds_of(waiting), select.POLLOUT)
            pause.wait(BLOCKED_PAUSE_S)
        if on_link & ENDED:
            raise self._lost("the link itself is over")

    # Receiving ------------------------------------------------------------------------------------
    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        if self._why_lost:
            # Heads that have come already may follow on one whose payload was lost.
            raise self._lost("")
        if not self._all:
            return self._main.receive(timeout_s)
        end_s = None if timeout_s is None else self._now_s() + timeout_s
        quiet_s = 0.0
        while True:
            self._tend(between=True)
            head = self._main.receive(0)
            wait_s = SIDE_LOOK_S if end_s is None else min(SIDE_LOOK_S, end_s - self._now_s())
            if head is not None or wait_s <= 0 or timeout_s == 0:
                return head
            quiet_s = 0.0 if self._wait_for_head(wait_s) else quiet_s + wait_s
            self._main.check_quiet(quiet_s)

    def _wait_for_head(self, wait_s: float) -> bool:
        """Return once some of it is here, or one has broken, True, or time is over."""
        watch = self._watch_all()
        watch.add((self._main.fd,), select.POLLIN)
        return bool(watch.wait(wait_s))

    def receive_into(self, target: memoryview) -> None:
        if not self._in.sides:
            self._main.receive_into(target)
            return
        whole = False
        try:
            self._receive_payload(target)
            whole = True
        finally:
            if not whole:
                self._end("a payload was received in part")

    def _receive_payload(self, target: memoryview) -> None:
        coming, quiet_s = self._in, 0.0
        self._take(lambda: coming.begin(target))
        while not coming.is_whole:
            if self._take(coming.pull) or self._go_on():
                quiet_s = 0.0
                continue
            self._tend()
            if not coming.is_whole and not self._wait_to_receive():
                quiet_s += SIDE_LOOK_S
                # Only the peer may know of one that has broken.
                coming.is_late = True
                self._check_peer(coming.sides)
                over = quiet_s >= WAIT_SLICE_S and coming.is_cut(self._out.sides)
                if quiet_s >= FRAME_STALL_S or over:
                    raise self._lost(f"the peer stopped {quiet_s:.0f} s ago in a payload")
        coming.finish()

    def _take(self, step: Callable[[], T]) -> T:
        """Let a step of receiving tell what breaks as a link does."""
        try:
            return step()
        except OSError as error:
            raise self._lost(error) from error
        except EOFError:
            raise self._lost("the peer closed a side link in the middle of a payload") from None
        except ChunkError as error:
            self._end(str(error))
            raise RemoteProtocolError(f"{error} on a side link to {self.name}") from None

    def _may_push(self) -> bool:
        """Return whether this thread may send what is waiting to be: it is sending, in a receive
        of its own, or nobody is and it goes again.
        """
        return self._interlude.is_here() or not self._out.is_at_hand

    def _go_on(self) -> int:
        """Go on with what this thread may send; return how much of it went."""
        if not self._may_push():
            return 0
        waiting = self._out.waiting()
        if not waiting and self._out.is_stuck:
            raise self._lost("none is left")
        return self._push(waiting)

    def _wait_to_receive(self) -> bool:
        """Return once something may be done, True, or a slice is over."""
        watch = self._watch_all()
        watch.add(fds_of(self._in.waiting()), select.POLLIN)
        if self._main.go_on():
            watch.add((self._main.fd,), select.POLLOUT)
        return bool(watch.wait(SIDE_LOOK_S))

    # Ending ---------------------------------------------------------------------------------------
    def close(self) -> None:
        self._end("closed on this side")

    def _end(self, reason: str) -> None:
        with self._lock:
            self._why_lost = self._why_lost or reason
            self.lane = self._mending.heal = self._main.interlude.meanwhile = None
            sides = self._all
        self._main.close()
        for side in sides:
            side.close()

    def _lost(self, cause: OSError | str) -> LinkLost:
        self._end(cause if isinstance(cause, str) else os.strerror(cause.errno or 0))
        return LinkLost(f"the link to {self.name} is over: a side link: {self._why_lost}")

    def _check_peer(self, some: Iterable[Side]) -> None:
        """Break off side links whose peer's host has vanished. Raises LinkLost if one may not
        break, or none is left.
        """
        try:
            vanished = break_off_vanished(some)
        except OSError as error:
            raise self._lost(error) from error
        if vanished and (not self.mends or all(each.is_broken for each in self._all)):
            raise self._lost(f"the peer's host has not answered for {PEER_SILENT_S:.0f} s")
