"""The answers a session expects: what each reply settles, and how much is on its way.

Cookies are added by whoever sends and removed by whoever receives; each count has one writer.
"""

from __future__ import annotations

from typing import TypeAlias

from gon.errors import GonError, RemoteProtocolError
from gon.limits import EXPECTED_BYTES_MAX
from gon.transport.base import Link
from gon.wire.batch import Reply
from gon_client.pending import Answer, Origins

# The cookie and answer of a read whose bytes come as payload, where there is one.
Large: TypeAlias = tuple[int, Answer] | None


class Expected:
    """Answers by cookie."""

    def __init__(self) -> None:
        self.answers: dict[int, Answer] = {}
        # Inline answers: bytes ever asked for and ever received.
        self.asked_bytes = 0
        self.answered_bytes = 0
        # The read whose bytes are on their way as payload: there is one at a time, and until the
        # next batch acknowledges it its bytes are the buffer itself.
        self.large: Answer | None = None

    def may_ask(self) -> bool:
        """Return whether more inline bytes may be asked for before some are received."""
        return self.asked_bytes - self.answered_bytes <= EXPECTED_BYTES_MAX

    def add(self, cookie: int, answer: Answer) -> None:
        """Expect an answer in a reply's head."""
        if answer.target is not None:
            self.asked_bytes += answer.target.nbytes
        self.answers[cookie] = answer

    def add_large(self, cookie: int, answer: Answer) -> None:
        """Expect an answer whose bytes come as payload."""
        self.large = answer
        self.answers[cookie] = answer

    def receive_payloads(self, link: Link, replies: list[Reply]) -> None:
        """Receive the bytes of large reads into their places; a link that breaks leaves them to be
        sent again. Raises RemoteProtocolError.
        """
        for reply in replies:
            if reply.size_bytes:
                answer = self.answers.get(reply.reply)
                if answer is None or answer.target is None:
                    raise RemoteProtocolError(f"a reply to nothing: {reply.reply}")
                if answer.target.nbytes != reply.size_bytes:
                    raise RemoteProtocolError(f"{reply.size_bytes} bytes that nobody asked for")
                link.receive_into(answer.target)

    def settle(self, replies: list[Reply], origins: Origins) -> None:
        """Give each answer its reply. Raises RemoteProtocolError for one that nobody expects."""
        for reply in replies:
            answer = self.answers.pop(reply.reply, None)
            if answer is None:
                raise RemoteProtocolError(f"a reply to nothing: {reply.reply}")
            if answer is self.large:
                self.large = None
            elif answer.target is not None:
                self.answered_bytes += answer.target.nbytes
            answer.settle(reply, origins)

    def fail(self, error: GonError) -> None:
        """Settle all with an error of this side."""
        for answer in list(self.answers.values()):
            answer.fail(error)
        self.answers.clear()
