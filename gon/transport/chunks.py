"""The two streams of payloads that go over side links: what goes over which, and where what comes
belongs.

A receiver puts a chunk where it belongs, and leaves what belongs to a later payload in the socket.
Where a side link that breaks is to cost only itself (`mends`), the chunks that went over it are
sent again over others, as they were, unless the peer has acknowledged their frames. Its receiver
then takes chunks of later payloads too, beside their place: the one that it waits for comes behind
them. It does so once it knows of one that broke, or nothing has come for a while: only the sender
may know. What comes twice is dropped.

Rules: who receives uses Incoming, anybody Outgoing. Must not know: frames, acknowledgements.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gon.forked import new_lock
from gon.side_limits import (
    SIDE_AGAIN_BYTES_MAX,
    SIDE_CHUNK_BYTES_MAX,
    SIDE_CHUNK_BYTES_MIN,
    SIDE_EARLY_BYTES_MAX,
    SIDE_PAYLOADS_KEPT,
)
from gon.transport.sides import CHUNK, Chunk, ChunkError, Side

_NOTHING = memoryview(b"")


class Sent(NamedTuple):
    """A payload that was sent: the head of its frame, which of the frame's payloads it is, where in
    the stream it lies, and over which side links it went.
    """

    head: bytes
    which: int
    begin: int
    end: int
    over: tuple[Side, ...]

    def has(self, chunk: Chunk) -> bool:
        return self.begin <= chunk.at < self.end

    def may_go_over(self, side: Side) -> bool:
        """Return whether its receiver looks there for it: it may not yet know of later ones."""
        return side in self.over or all(each.is_broken for each in self.over)


class _Again(NamedTuple):
    """A chunk that is to be sent again."""

    sent: Sent
    chunk: Chunk
    data: memoryview


class Outgoing:
    """The stream of payloads that one end sends. Each call is one step, whoever else is in one."""

    def __init__(self) -> None:
        self.sides: tuple[Side, ...] = ()
        self.mends = False
        self._lock = new_lock()
        # Where in the stream the next payload begins; the payload at hand and where that does.
        self._end = self._begin = 0
        self._payload = _NOTHING
        # Whether there is one: whoever sends it is there until all of it has gone.
        self.is_at_hand = False
        # What of it is in no chunk yet; and chunks of any that go again, before all else.
        self._at = 0
        self._again: deque[_Again] = deque()
        self._share = 0
        # The last payloads, and the chunks of them that broken side links may have lost.
        self._sent: deque[Sent] = deque(maxlen=SIDE_PAYLOADS_KEPT)
        self._lost: list[Chunk] = []
        self.bytes_sent = self.bytes_again = 0

    def go_over(self, sides: tuple[Side, ...]) -> None:
        """Let payloads from here on go over these, and what goes again."""
        with self._lock:
            for side in self.sides:
                if side not in sides and side.parts:
                    side.is_broken = True
                    self._look((side,))
            self.sides = sides

    def begin(self, head: bytes, which: int, payload: memoryview) -> None:
        """Take a payload to send; `finish` is to follow once it has gone."""
        with self._lock:
            self._begin = self._at = self._end
            self._end += payload.nbytes
            self._payload, self.is_at_hand = payload, True
            share = -(-payload.nbytes // max(1, len(self.sides)))
            self._share = min(SIDE_CHUNK_BYTES_MAX, max(SIDE_CHUNK_BYTES_MIN, share))
            self._sent.append(Sent(head, which, self._begin, self._end, self.sides))
            oldest = self._sent[0].begin
            for side in self.sides:
                while side.sent and side.sent[0].at < oldest:
                    side.sent.popleft()

    def finish(self) -> bool:
        """Let go of the payload if all of it has gone, what goes again too; return whether it has.

        One step: what another thread finds broken afterwards is lost, and sent again from a copy.
        """
        with self._lock:
            if self._waiting() or self._again or self._left():
                return False
            self._begin = self._at = self._end
            self._payload, self.is_at_hand = _NOTHING, False
            return True

    def waiting(self) -> list[Side]:
        """Return the side links that have something to send; none once all has gone."""
        with self._lock:
            return self._waiting()

    def _waiting(self) -> list[Side]:
        self._look(self.sides)
        some = [side for side in self.sides if not side.is_broken]
        return [side for side in some if side.parts or self._has_for(side)]

    def _has_for(self, side: Side) -> bool:
        return bool(self._left()) or any(each.sent.may_go_over(side) for each in self._again)

    @property
    def is_stuck(self) -> bool:
        """Whether something is left to send that no side link will take."""
        with self._lock:
            return bool(self._again or self._left()) and not self._waiting()

    def misses(self, sides: Iterable[Side]) -> bool:
        """Return whether `lost` has something to tell."""
        return bool(self._lost) or any(side.is_broken and side.sent for side in sides)

    @property
    def goes_again(self) -> bool:
        """Whether chunks are being sent again, beside the payload at hand."""
        parts = not self.is_at_hand and any(side.parts for side in self.sides)
        return bool(self._again) or parts

    def _left(self) -> int:
        return self._begin + self._payload.nbytes - self._at

    def push(self, some: Iterable[Side]) -> int:
        """Send over these what they take, a chunk each; return how much.

        Raises OSError if none is left, or none may break.
        """
        with self._lock:
            pushed = sum(self._push(side) for side in some if not side.is_broken)
            self.bytes_sent += pushed
        return pushed

    def _push(self, side: Side) -> int:
        if not side.parts and self._has_for(side):
            side.parts = self._next_chunk(side)
        if side.parts:
            try:
                return side.push()
            except OSError:
                side.is_broken = True
                if not self.mends or all(each.is_broken for each in self.sides):
                    raise
                side.break_off()
        return 0

    def _next_chunk(self, side: Side) -> list[memoryview]:
        again = next((each for each in self._again if each.sent.may_go_over(side)), None)
        if again is not None:
            self._again.remove(again)
            _, chunk, data = again
        else:
            chunk = Chunk(self._at, min(self._share, self._left()))
            self._at += chunk.size
            data = self._of_payload(chunk)
        if self.mends:
            side.sent.append(chunk)
        return [memoryview(CHUNK.pack(*chunk)), data]

    def _of_payload(self, chunk: Chunk) -> memoryview:
        start = chunk.at - self._begin
        return self._payload[start : start + chunk.size]

    def _look(self, sides: Iterable[Side]) -> None:
        """Note what broken side links may have lost."""
        for side in sides:
            if side.is_broken and (side.sent or side.parts):
                side.parts = []
                for chunk in side.sent:
                    if self._begin <= chunk.at < self._begin + self._payload.nbytes:
                        again = _Again(self._sent[-1], chunk, self._of_payload(chunk))
                        self._again.append(again)
                        self.bytes_again += chunk.size
                    else:
                        self._lost.append(chunk)
                side.sent.clear()

    def lost(self, sides: Iterable[Side]) -> list[tuple[Sent, list[Chunk]]]:
        """Return what may have been lost since the last time, by payload."""
        with self._lock:
            self._look(sides)
            lost, self._lost = self._lost, []
            some = ((sent, [chunk for chunk in lost if sent.has(chunk)]) for sent in self._sent)
            return [(sent, chunks) for sent, chunks in some if chunks]

    def send_again(self, sent: Sent, payload: memoryview, chunks: Sequence[Chunk]) -> bool:
        """Send these chunks of a payload again; return whether that is as much as may be. The
        payload may change afterwards.
        """
        copies: list[_Again] = []
        for chunk in chunks:
            start = chunk.at - sent.begin
            copy = memoryview(bytes(payload[start : start + chunk.size]))
            copies.append(_Again(sent, chunk, copy))
        size = sum(chunk.size for chunk in chunks)
        with self._lock:
            held = sum(each.chunk.size for each in self._again)
            self._again.extend(copies)
            self.bytes_again += size
        return held + size <= SIDE_AGAIN_BYTES_MAX


class Incoming:
    """The stream of payloads that one end receives."""

    def __init__(self) -> None:
        self.sides: tuple[Side, ...] = ()
        self.mends = False
        self._begin = 0
        self._target = _NOTHING
        self._missing = 0
        # The chunks of this payload that are here, and those of later ones.
        self._here: set[int] = set()
        self._early: dict[int, bytearray] = {}
        self._early_bytes = 0
        # Whether nothing has come of it for a while.
        self.is_late = False
        self.bytes_received = 0

    def begin(self, target: memoryview) -> None:
        """Take the place of the bytes that come next; `finish` is to follow once they are here."""
        self._target, self._missing = target, target.nbytes
        for at in [at for at in self._early if at < self._end]:
            self._take(at, self._early.pop(at))

    @property
    def _end(self) -> int:
        return self._begin + self._target.nbytes

    def finish(self) -> None:
        """Let go of the place: what still comes of a chunk that is here already goes elsewhere."""
        self._begin, self._target, self.is_late = self._end, _NOTHING, False
        self._here.clear()
        for side in self.sides:
            if side.place is not None and side.early is None:
                side.place = memoryview(bytearray(side.place.nbytes))

    def waiting(self) -> list[Side]:
        """Return the side links on which some of them may come."""
        some = (side for side in self.sides if not side.has_ended)
        return [side for side in some if side.coming is None or side.place is not None]

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are here."""
        return not self._missing

    def is_cut(self, kept: Sequence[Side]) -> bool:
        """Return whether the peer has closed a side link for good: what it has lost does not go
        again, or that is none of those to be kept.
        """
        return any(side.has_ended and not (self.mends and side in kept) for side in self.sides)

    @property
    def _takes_early(self) -> bool:
        """Whether what is waited for may come behind chunks of later payloads."""
        return self.mends and (self.is_late or any(side.is_broken for side in self.sides))

    def pull(self) -> int:
        """Receive what is there; return how much.

        Raises ChunkError; OSError and EOFError if no side link is left, or none may break.
        """
        ended = self._ended()
        pulled = self._pull_each()
        if not pulled and self._ended() > ended:
            # What is waited for may now come behind what had no place before.
            pulled = self._pull_each()
        self.bytes_received += pulled
        if self._missing and self._ended() == len(self.sides):
            raise EOFError
        return pulled

    def _ended(self) -> int:
        return sum(side.has_ended for side in self.sides)

    def _pull_each(self) -> int:
        pulled = 0
        for side in self.sides:
            if side.has_ended:
                continue
            try:
                pulled += self._pull(side)
            except (OSError, EOFError):
                side.has_ended = True
                if not self.mends:
                    raise
            if side.has_ended and self.mends:
                self._drop_coming(side)
                side.break_off()
        return pulled

    def _pull(self, side: Side) -> int:
        pulled = 0
        while self._missing and self._has_place(side):
            got = side.pull()
            if not got:
                break
            pulled += got
            if not side.place:
                self._take_from(side)
        return pulled

    def _has_place(self, side: Side) -> bool:
        """Return whether what comes next has a place now."""
        if side.place is not None:
            return True
        if not side.pull_header():
            return False
        assert side.coming is not None, "pulled"
        at, size = side.coming
        if at >= self._end:
            # It is left where it is, unless what is waited for comes behind it.
            if self._takes_early and self._early_bytes + _cost(size) <= SIDE_EARLY_BYTES_MAX:
                side.early = bytearray(size)
                self._early_bytes += _cost(size)
                side.place = memoryview(side.early)
        elif at < self._begin or at in self._here:
            if not self.mends:
                raise ChunkError(f"bytes {at} of a stream that is at {self._begin}")
            side.place = memoryview(bytearray(size))
        else:
            side.place = self._place_of(at, size)
        return side.place is not None

    def _place_of(self, at: int, size: int) -> memoryview:
        """Return where a chunk of this payload belongs. Raises ChunkError."""
        if at + size > self._end:
            raise ChunkError("a chunk of two payloads")
        if size < SIDE_CHUNK_BYTES_MIN and at + size < self._end:
            # Each is remembered until the payload is whole.
            raise ChunkError(f"a chunk of {size} bytes that ends no payload")
        return self._target[at - self._begin : at - self._begin + size]

    def _take_from(self, side: Side) -> None:
        """Take a chunk that has come whole."""
        assert side.coming is not None, "whole"
        (at, size), early = side.coming, side.early
        side.forget_coming()
        if early is not None:
            self._take(at, early)
        elif at >= self._begin:
            self._count(at, size)

    def _take(self, at: int, early: bytearray) -> None:
        """Take a chunk that came beside its place."""
        if at >= self._end and at not in self._early:
            self._early[at] = early
            return
        self._early_bytes -= _cost(len(early))
        if self._begin <= at < self._end and at not in self._here:
            self._place_of(at, len(early))[:] = early
            self._count(at, len(early))

    def _count(self, at: int, size: int) -> None:
        """Count a chunk of this payload, once."""
        if at in self._here:
            return
        self._here.add(at)
        self._missing -= size
        if self._missing < 0:
            raise ChunkError("chunks that overlap")

    def _drop_coming(self, side: Side) -> None:
        """Forget the chunk that a broken side link has brought in part."""
        if side.early is not None:
            self._early_bytes -= _cost(len(side.early))
        side.forget_coming()


def _cost(size_bytes: int) -> int:
    """Return what a chunk that is held counts as: a peer that means harm sends tiny ones."""
    return max(size_bytes, SIDE_CHUNK_BYTES_MIN)
