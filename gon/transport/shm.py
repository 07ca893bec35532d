"""Links through memory that two processes of one machine share: bytes are copied in and out, and
nothing else is paid.

    client ──unix socket (preamble)──▶ gond ──the socket──▶ worker
    client ◀──the memory, a second socket────────────────── worker       (gon.transport.shm_setup)

Each direction is a ring of bytes (gon.transport.shm_ring) in which frames lie as on a stream, but
without a pad: a prefix, the head, the payloads. Whoever has nothing to read looks for a while, then
sleeps on a socket, and the writer rings if it sleeps; the same the other way round for whoever has
no room to write. The sockets are the sign of life too: when one ends, so does the link.

Two peers that both send more than the rings hold, and receive only in `while_blocked`, do not wait
for each other: whoever receives a payload there goes on sending meanwhile.

Must not know: what heads mean, sessions, tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from mmap import mmap
from typing import TYPE_CHECKING

from gon.clock import SYSTEM_CLOCK, Clock
from gon.errors import LinkLost, RemoteProtocolError
from gon.forked import inherit
from gon.limits import (
    BLOCKED_PAUSE_S,
    BLOCKED_SLICE_S,
    FRAME_STALL_S,
    SHM_SLEEP_S,
)
from gon.native import NATIVE
from gon.transport.base import Bytes, LinkStatistics
from gon.transport.framing import MAGIC, PREFIX, as_bytes, check_frame
from gon.transport.interlude import Interlude
from gon.transport.shm_bell import Bell, wait_for_either
from gon.transport.shm_frames import FrameReader
from gon.transport.shm_lane import PlainShmLane
from gon.transport.shm_loan import ShmLoan
from gon.transport.shm_ring import PlainRingReader, PlainRingWriter
from gon.transport.spin import SpinPolicy, spin_on_memory

if TYPE_CHECKING or not NATIVE:
    RingReader, RingWriter, ShmLane = PlainRingReader, PlainRingWriter, PlainShmLane
else:
    from gon.transport._ring import RingReader, RingWriter
    from gon.transport._shm_lane import ShmLane


class ShmLink:
    """One end of a link through shared memory. See gon.transport.base.Link.

    It writes ring `number` and reads the other. `data` rings for bytes, `room` for room; each is
    waited on by the thread that receives, or that sends.
    """

    sides = None

    def __init__(
        self,
        memory: mmap,
        number: int,
        data: Bell,
        room: Bell,
        name: str,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.memory = memory
        self._writer = RingWriter(memory, number, data.ring)
        self._reader = RingReader(memory, 1 - number, room.ring)
        self._frames = FrameReader(self._reader)
        self._data, self._room = data, room
        self.loan = ShmLoan(data, room)
        # The short way; the counts here are those of the long way.
        self.lane = ShmLane(self._writer, self._reader, data, room)
        self._name = name
        self._now_s = clock.now_s
        self._write_spin = SpinPolicy()
        # What is left of the frame being sent, and who may go on with it where it receives.
        self._outgoing: list[memoryview] = []
        self._interlude = Interlude()
        self._why_lost = ""
        # Taken by who ends it, and never given back: nobody waits for that.
        self._ending = threading.Lock()
        inherit(self, ShmLink.forsake)
        self._frames_sent = self._frames_received = 0
        self._copied_sent = self._copied_received = 0
        self._blocking_waits = 0

    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        state = f"lost: {self._why_lost}" if self._why_lost else "open"
        told = self.statistics()
        frames = f"{told.frames_sent} out, {told.frames_received} in"
        return f"ShmLink({self._name}, {state}, {frames})"

    def statistics(self) -> LinkStatistics:
        lane = self.lane
        return LinkStatistics(
            frames_sent=self._frames_sent + lane.frames_sent,
            frames_received=self._frames_received + lane.frames_received,
            bytes_sent=self._writer.total,
            bytes_received=self._reader.total,
            copied_sent=self._copied_sent,
            copied_received=self._copied_received,
            blocking_waits=self._blocking_waits + lane.blocking_waits,
            spin_hits=lane.spin_hits + self._write_spin.hits,
        )

    # Sending --------------------------------------------------------------------------------------
    def send(
        self,
        head: Bytes,
        payloads: Sequence[Bytes] = (),
        while_blocked: Callable[[], None] | None = None,
    ) -> None:
        self._interlude.refuse_here()
        if self._why_lost:
            raise self._lost("")
        if payloads or not self.lane.send(head):
            self._send_parts(head, payloads, while_blocked)

    def send_rest(
        self,
        head: Bytes,
        sent: int,
        while_blocked: Callable[[], None] | None,
        payloads: Sequence[Bytes] = (),
    ) -> None:
        """Send a frame that the lane has not sent: it sends all of one or nothing."""
        assert not sent, "the lane sends whole frames"
        self._send_parts(head, payloads, while_blocked)

    def _send_parts(
        self, head: Bytes, payloads: Sequence[Bytes], while_blocked: Callable[[], None] | None
    ) -> None:
        """Send a frame in pieces, as there is room.

        Whatever interrupts this ends the link: its peer would wait for the rest.
        """
        check_frame(head, payloads)
        bulk = [view for view in map(as_bytes, payloads) if view.nbytes]
        self._outgoing = [memoryview(PREFIX.pack(len(head), 0, MAGIC) + head), *bulk]
        whole = False
        try:
            while self._outgoing:
                if self._why_lost:
                    raise self._lost("")
                if self._push():
                    continue
                if while_blocked is not None and self._reader.has_some():
                    self._call(while_blocked)
                else:
                    self._await_room(SHM_SLEEP_S if while_blocked is None else BLOCKED_SLICE_S)
            whole = True
        finally:
            if not whole:
                self._end_with("a frame was sent in part")
        self._frames_sent += 1
        self._copied_sent += sum(view.nbytes for view in bulk)

    def _push(self) -> bool:
        """Write of `_outgoing` what fits; return whether some did."""
        part = self._outgoing[0]
        try:
            size = self._writer.put(part)
        except ValueError as error:
            raise self._lost(f"the peer spoiled the memory: {error}") from error
        if size == part.nbytes:
            del self._outgoing[0]
        elif size:
            self._outgoing[0] = part[size:]
        return size > 0

    def _call(self, while_blocked: Callable[[], None]) -> None:
        received = self._reader.total
        self._interlude.call(while_blocked)
        if self._reader.total == received:
            # It took nothing of what is there: asking again at once would only burn the core.
            self._await_room(BLOCKED_PAUSE_S)

    def _await_room(self, timeout_s: float) -> None:
        """Return when there is room, or after `timeout_s`. Raises LinkLost."""
        policy, writer = self._write_spin, self._writer
        try:
            if policy.wants() and spin_on_memory(policy, writer.has_room, self._room.look):
                return
            self._blocking_waits += 1
            if writer.sleep():
                self._room.wait(timeout_s)
        except ValueError as error:
            raise self._lost(f"the peer spoiled the memory: {error}") from error
        if self._room.hung_up:
            raise self._lost("the peer closed it")

    # Receiving ------------------------------------------------------------------------------------
    def receive(self, timeout_s: float | None = None) -> memoryview | None:
        if timeout_s is None:
            quick = self.lane.receive()
            if quick is not None:
                return quick
        try:
            head = None if self._why_lost else self._frames.frame()
        except ValueError as error:
            raise self._broken(str(error)) from error
        if head is None:
            head = self._receive_later(timeout_s)
            if head is None:
                return None
        self._frames_received += 1
        return memoryview(head)

    def _receive_later(self, timeout_s: float | None) -> bytes | bytearray | None:
        """Wait for the next frame; return its head, or None after `timeout_s`."""
        reader = self._reader
        until_s = self._now_s() + timeout_s if timeout_s else None
        quiet_s = 0.0
        while True:
            if self._why_lost:
                raise self._lost("")
            slice_s = SHM_SLEEP_S
            if until_s is not None:
                slice_s = min(slice_s, until_s - self._now_s())
            if timeout_s == 0 or slice_s <= 0:
                self._data.take()
                there = reader.has_some()
                if not there:
                    self._check_end()
                    return None
            else:
                there = self._await_data(slice_s)
            if there:
                try:
                    head = self._frames.frame()
                except ValueError as error:
                    raise self._broken(str(error)) from error
                if head is not None:
                    return head
                quiet_s = 0.0
                continue
            self._check_end()
            quiet_s += slice_s
            if reader.in_frame:
                self._check_stall(quiet_s)

    def _await_data(self, timeout_s: float) -> bool:
        """Return whether there is something to read, waiting up to `timeout_s` for it."""
        reader = self._reader
        if reader.has_some():
            return True
        if self.lane.spin():
            return True
        self._blocking_waits += 1
        if reader.sleep():
            self._data.wait(timeout_s)
        return reader.has_some()

    def receive_into(self, target: memoryview) -> None:
        size = target.nbytes
        whole = False
        try:
            got = self._take(target)
            quiet_s = 0.0
            while got < size:
                if self._why_lost:
                    raise self._lost("")
                some = self._take(target[got:]) if self._await_payload() else 0
                got += some
                quiet_s = 0.0 if some else quiet_s + SHM_SLEEP_S
                if not some:
                    self._check_end()
                    self._check_stall(quiet_s)
            whole = True
        finally:
            if not whole:
                self._end_with("a payload was received in part")
        self._copied_received += size

    def _take(self, target: memoryview) -> int:
        try:
            return self._reader.take(target)
        except ValueError as error:
            raise self._broken(str(error)) from error

    def _await_payload(self) -> bool:
        """Wait for bytes of a payload; return whether there are some.

        In the middle of sending it goes on with that. The peer may be doing the same: if both only
        received, each would wait for what the other is holding back.
        """
        if not (self._interlude.is_here() and self._outgoing):
            return self._await_data(SHM_SLEEP_S)
        reader = self._reader
        while not reader.has_some():
            if self._outgoing and self._push():
                continue
            if reader.sleep() and not (self._outgoing and not self._is_full()):
                self._blocking_waits += 1
                wait_for_either(self._data, self._room, SHM_SLEEP_S)
            if self._data.hung_up or self._room.hung_up:
                break
        return reader.has_some()

    def _is_full(self) -> bool:
        """Ask to be rung when there is room; return whether there is none now."""
        try:
            return self._writer.sleep()
        except ValueError as error:
            raise self._lost(f"the peer spoiled the memory: {error}") from error

    # Ending ---------------------------------------------------------------------------------------
    def close(self) -> None:
        self._end_with("closed on this side")

    def __del__(self) -> None:
        self._end_with("dropped")

    def _end_with(self, reason: str) -> None:
        self._why_lost = self._why_lost or reason
        if not self._ending.acquire(blocking=False):
            return
        self.lane.over = True
        self._data.close()
        self._room.close()

    def forsake(self) -> None:
        """Be over in a child of fork: the memory is its parent's, as are the bells' connections."""
        self._why_lost, self.lane.over = "made before fork", True

    def _lost(self, reason: str) -> LinkLost:
        """End the link; return what to raise. The first reason it ended for is the one to tell."""
        self._end_with(reason)
        return LinkLost(f"the link to {self._name} is over: {self._why_lost}")

    def _broken(self, what: str) -> RemoteProtocolError:
        self._end_with(what)
        return RemoteProtocolError(f"{what} on the link to {self._name}")

    def _check_end(self) -> None:
        """Raise LinkLost if the peer is gone and everything it sent is read."""
        if (self._data.hung_up or self._room.hung_up) and not self._reader.has_some():
            where = " in the middle of a frame" if self._reader.in_frame else ""
            raise self._lost(f"the peer closed it{where}")

    def _check_stall(self, quiet_s: float) -> None:
        """Raise LinkLost if a frame has stopped half-way, `quiet_s` ago."""
        if quiet_s >= FRAME_STALL_S:
            raise self._lost(f"the peer stopped {quiet_s:.0f} s ago in the middle of a frame")
