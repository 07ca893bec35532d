"""The answers a session expects: what each reply settles, and how much is on its way.

Cookies are added by whoever sends and removed by whoever receives; each count has one writer.

A large read comes in pieces, each received into its place. Nothing that is ordered behind it may be
sent before all of it is here (gon.wire.batch). Where the thread that reads waits in the read, that
holds by itself, for what other threads send has no order with it. Where it does not, nothing is
sent at all: such a read is `large`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gon.compression import expand
from gon.errors import GonError, RemoteProtocolError
from gon.forked import new_lock
from gon.limits import DOWNLOADS_MAX, EXPECTED_BYTES_MAX
from gon.transport.base import Link
from gon.wire.batch import Reply
from gon_client.pending import Answer, Origins


class Expected:
    """Answers by cookie."""

    def __init__(self) -> None:
        self.answers: dict[int, Answer] = {}
        # Inline answers: bytes ever asked for and ever received.
        self.asked_bytes = 0
        self.answered_bytes = 0
        # Bytes that are here of each large read, by cookie; pieces received that nothing has
        # acknowledged.
        self.here: dict[int, int] = {}
        # The replies of the last frame, and its number; how many of them were given out.
        self._arrived: tuple[int, list[Reply]] = (0, [])
        self._given = 0
        self.pieces_owed = 0
        # Whether payloads may come compressed; pieces that did, and what did not travel of them.
        self.compressed = False
        # Bytes of pieces that have come, as they came.
        self.piece_bytes = 0
        self.pieces_compressed = self.bytes_spared = 0
        # A large read that its thread does not wait in, and all such reads.
        self.large: Answer | None = None
        self._unwaited: list[Answer] = []
        self._unwaited_lock = new_lock()

    def may_ask(self) -> bool:
        """Return whether more inline bytes may be asked for before some are received."""
        return self.asked_bytes - self.answered_bytes <= EXPECTED_BYTES_MAX

    def may_ask_large(self) -> bool:
        """Return whether the worker takes one more large read."""
        return len(self.here) < DOWNLOADS_MAX

    @property
    def is_reading(self) -> bool:
        """Whether a large read is on its way."""
        return bool(self.here)

    def add(self, cookie: int, answer: Answer) -> None:
        """Expect an answer in a reply's head."""
        if answer.target is not None:
            self.asked_bytes += answer.target.nbytes
        self.answers[cookie] = answer

    def add_large(self, cookie: int, answer: Answer, *, waited: bool) -> None:
        """Expect an answer whose bytes come as payload, and which its thread waits for, or not."""
        self.here[cookie] = 0
        self.answers[cookie] = answer
        if not waited:
            self.hold(answer)

    def take_back(self, cookie: int) -> None:
        """Hear that a large read was not asked for after all; idempotent, also where it was broken
        off.
        """
        answer = self.answers.get(cookie)
        if answer is not None:
            answer.settled = True
            self._let_go()
        self.here.pop(cookie, None)
        self.answers.pop(cookie, None)

    def hold(self, answer: Answer) -> None:
        """Hear that nobody waits in a large read, or no more; it may not have been asked for."""
        if answer not in self.answers.values():
            return
        with self._unwaited_lock:
            self._unwaited.append(answer)
            # Settling comes before letting go, so one of the two sees the other.
            self._unwaited = [each for each in self._unwaited if not each.settled]
            self.large = next(iter(self._unwaited), None)

    def _let_go(self) -> None:
        with self._unwaited_lock:
            self._unwaited = [each for each in self._unwaited if not each.settled]
            self.large = next(iter(self._unwaited), None)

    def receive_payloads(self, link: Link, replies: list[Reply], sizes: Sequence[int]) -> None:
        """Receive payloads of these sizes, the bytes of large reads, into their places; a link that
        breaks leaves them to be sent again. Raises RemoteProtocolError.
        """
        arriving: dict[int, int] = {}
        coming = iter(sizes)
        for reply in replies:
            if reply.size_bytes:
                cookie, size = reply.reply, reply.size_bytes
                answer = self.answers.get(cookie)
                # Read once, here and below: who ends the session takes it away.
                target = None if answer is None else answer.target
                here = arriving.get(cookie, self.here.get(cookie))
                if target is None or here is None:
                    raise RemoteProtocolError(f"a reply to nothing: {cookie}")
                place = target[here : here + size]
                if place.nbytes != size:
                    raise RemoteProtocolError(f"{size} bytes that nobody asked for")
                self._receive(link, place, next(coming))
                arriving[cookie] = here + size

    def _receive(self, link: Link, place: memoryview, payload_bytes: int) -> None:
        """Receive one payload, of so many bytes as it comes, into its place."""
        self.piece_bytes += payload_bytes
        if payload_bytes == place.nbytes:
            link.receive_into(place)
            return
        payload = bytearray(payload_bytes)
        link.receive_into(memoryview(payload))
        place[:] = expand(payload, place.nbytes)
        self.pieces_compressed += 1
        self.bytes_spared += place.nbytes - payload_bytes

    def arrived(self, seq: int, replies: list[Reply]) -> None:
        """Hear of the replies of frame `seq`, all of which is here; `settle` gives them out."""
        self._arrived, self._given = (seq, replies), 0

    def settle(self, received: int, origins: Origins) -> None:
        """Give each answer its reply, if the last frame that arrived is among those `received`; go
        on where an interrupt has broken that off. Raises RemoteProtocolError for a reply that
        nobody expects.
        """
        seq, replies = self._arrived
        if seq <= received:
            while self._given < len(replies):
                reply = replies[self._given]
                answer = self.answers.get(reply.reply)
                if answer is None:
                    raise RemoteProtocolError(f"a reply to nothing: {reply.reply}")
                if reply.reply in self.here:
                    self._settle_large(answer, reply, origins)
                    continue
                target = answer.target
                if target is not None:
                    self.answered_bytes += target.nbytes
                if not answer.settled:
                    answer.settle(reply, origins)
                # No call from here on, and so no interrupt, to where it counts as given.
                del self.answers[reply.reply]
                self._given += 1
        self._arrived = (0, [])

    def _settle_large(self, answer: Answer, reply: Reply, origins: Origins) -> None:
        """Count a piece of a large read, or settle it: all of it is here, or it failed."""
        target = answer.target
        if target is not None and reply.size_bytes:
            here = self.here[reply.reply] + reply.size_bytes
            if here < target.nbytes:
                self.here[reply.reply] = here
                self.pieces_owed += 1
                self._given += 1
                return
            reply = Reply(reply.reply, None, here)
        if not answer.settled:
            answer.settle(reply, origins)
        if self.large is not None:
            self._let_go()
        del self.here[reply.reply], self.answers[reply.reply]
        self.pieces_owed += 1
        self._given += 1

    def fail(self, error: GonError) -> None:
        """Settle all with an error of this side. They stay: a thread may be giving them replies
        in this moment, or may have been in a child of fork, and goes on with it.
        """
        for answer in list(self.answers.values()):
            answer.fail(error)
