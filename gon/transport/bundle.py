"""A stream link and its side links, as one link: heads on the one, payloads over the others.

    heads     ────────────── the stream link ──────────────▶
    payloads  ── chunk ──▶ side 0   ── chunk ──▶ side 1   …

Which payloads go how is not said with them: both ends agree on it by words between two frames
(`send_over`, `receive_over`). While they go over none, this is the stream link alone.

Rules: if one connection breaks, all are ended: what that loses is sent again by the session, on the
next link. Must not know: what heads mean, sessions.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from gon.errors import LinkLost, LocalProtocolError, RemoteProtocolError
from gon.limits import (
    BLOCKED_PAUSE_S,
    FRAME_STALL_S,
    PEER_SILENT_S,
    SIDES_MAX,
    WAIT_SLICE_S,
)
from gon.transport.base import Bytes, Lane, Link, LinkStatistics
from gon.transport.framing import as_bytes, check_frame
from gon.transport.keepalive import has_vanished
from gon.transport.sides import ChunkError, Incoming, Outgoing, Side, Watch, fds_of
from gon.transport.stream import StreamLink

# A payload of no bytes: the head is padded as before others, so that whoever has a whole frame
# read ahead misses nothing that it would have to receive.
_NOTHING = (b"",)


class Bundle:
    """A stream link that can have side links. See gon.transport.base.Link, and Sides for it."""

    loan = None

    def __init__(self, main: StreamLink) -> None:
        self._main = main
        # That of the stream link, which knows nothing of side links: so none once this is over. No
        # property: each small frame asks for it, both ways.
        self.lane: Lane | None = main.lane
        self._all: tuple[Side, ...] = ()
        self._out, self._in = Outgoing(), Incoming()
        self._why_lost = ""
        self._lock = threading.Lock()
        # The thread that is in `while_blocked` of a payload: it goes on sending where it receives.
        self._in_callback = 0

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
        self._out.sides = self._all[:count]
        self._main.lane.sends_payloads = not count
        self._drop()

    def receive_over(self, count: int) -> None:
        self._in.sides = self._all[:count]
        self._main.lane.receives_payloads = not count
        self._drop()

    def _drop(self) -> None:
        """Close the side links that neither direction goes over."""
        with self._lock:
            used = max(len(self._out.sides), len(self._in.sides))
            unused, self._all = self._all[used:], self._all[:used]
        for side in unused:
            side.close()

    # Sending --------------------------------------------------------------------------------------
    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        if self._in_callback == threading.get_ident():
            raise LocalProtocolError("a frame cannot be sent in the middle of another one")
        if not payloads or not self._out.sides:
            self._main.send(head, payloads, while_blocked)
            return
        check_frame(head, payloads)
        whole = False
        try:
            self._main.send(head, _NOTHING, while_blocked)
            for payload in payloads:
                self._send_payload(as_bytes(payload), while_blocked)
            whole = True
        finally:
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
            self._main.send_rest(head, sent, while_blocked, payloads)

    def _send_payload(self, payload: memoryview, while_blocked: Callable[[], None] | None) -> None:
        out = self._out
        out.begin(payload)
        while waiting := out.waiting():
            if not self._push(waiting):
                self._wait_to_send(waiting, while_blocked)

    def _push(self, some: Sequence[Side]) -> int:
        try:
            return self._out.push(some)
        except OSError as error:
            raise self._lost(error) from error

    def _wait_to_send(
        self, waiting: Sequence[Side], while_blocked: Callable[[], None] | None
    ) -> None:
        """Return once the peer takes bytes, `while_blocked` was called, or a slice is over."""
        watch = Watch()
        watch.add(fds_of(waiting), select.POLLOUT)
        if while_blocked is not None:
            watch.add((self._main.fd,), select.POLLIN)
        happened = watch.wait(WAIT_SLICE_S)
        if not happened:
            self._check_peer(waiting)
        if while_blocked is None or not happened.get(self._main.fd):
            return
        before = self.statistics().bytes_received
        self._in_callback = threading.get_ident()
        try:
            while_blocked()
        finally:
            self._in_callback = 0
        if self.statistics().bytes_received == before:
            # As on the link alone: it had no room, and asking again would only burn the core.
            pause = Watch()
            pause.add(fds_of(waiting), select.POLLOUT)
            pause.wait(BLOCKED_PAUSE_S)

    # Receiving ------------------------------------------------------------------------------------
    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        if self._why_lost:
            # Heads that have come already may follow on one whose payload was lost.
            raise self._lost("")
        return self._main.receive(timeout_s)

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
        coming.begin(target)
        while not coming.is_whole:
            if self._pull() or self._go_on():
                quiet_s = 0.0
            elif not coming.is_whole and not self._wait_to_receive():
                quiet_s += WAIT_SLICE_S
                self._check_peer(coming.sides)
                if quiet_s >= FRAME_STALL_S or coming.has_ended:
                    raise self._lost(f"the peer stopped {quiet_s:.0f} s ago in a payload")

    def _pull(self) -> int:
        try:
            return self._in.pull()
        except OSError as error:
            raise self._lost(error) from error
        except EOFError:
            raise self._lost("the peer closed a side link in the middle of a payload") from None
        except ChunkError as error:
            self._end(str(error))
            raise RemoteProtocolError(f"{error} on a side link to {self.name}") from None

    def _is_sending(self) -> bool:
        """Return whether this thread receives in the middle of a send."""
        return self._in_callback == threading.get_ident()

    def _go_on(self) -> int:
        """Go on with what this thread is sending, if it is; return whether some of it went."""
        if self._is_sending():
            return self._push(self._out.waiting())
        return 0

    def _wait_to_receive(self) -> bool:
        """Return once something may be done, True, or a slice is over."""
        watch = Watch()
        watch.add(fds_of(self._in.waiting()), select.POLLIN)
        if self._is_sending():
            watch.add(fds_of(self._out.waiting()), select.POLLOUT)
        if self._main.go_on():
            watch.add((self._main.fd,), select.POLLOUT)
        return bool(watch.wait(WAIT_SLICE_S))

    # Ending ---------------------------------------------------------------------------------------
    def close(self) -> None:
        self._end("closed on this side")

    def _end(self, reason: str) -> None:
        with self._lock:
            self._why_lost = self._why_lost or reason
            self.lane = None
            sides = self._all
        self._main.close()
        for side in sides:
            side.close()

    def _lost(self, cause: OSError | str) -> LinkLost:
        self._end(cause if isinstance(cause, str) else os.strerror(cause.errno or 0))
        return LinkLost(f"the link to {self.name} is over: a side link: {self._why_lost}")

    def _check_peer(self, some: Sequence[Side]) -> None:
        """Raise LinkLost if the peer's host has vanished."""
        try:
            vanished = any(has_vanished(side.sock) for side in some)
        except OSError as error:
            raise self._lost(error) from error
        if vanished:
            raise self._lost(f"the peer's host has not answered for {PEER_SILENT_S:.0f} s")
