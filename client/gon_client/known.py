"""Writes of contents that the host may have: asked for by their digest, sent if it does not.

    digest of a piece ──Recall──▶ there: nothing is sent
                                  unknown ──Write + Keep──▶ sent as ever, and kept by the host

An array is known in pieces of CONTENT_BYTES_MAX. Pieces are asked about while later ones are
digested, and share round trips; a piece that the host does not have is sent as soon as that is
known.

Rules: every digest is computed from the bytes as they are now, for arrays change. Whatever the host
does not keep is sent: the content arrives as by a plain write, and fails as one.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from gon.contents import digest_of
from gon.device import KnownWrite
from gon.forked import new_lock
from gon.limits import (
    CONTENT_ASKED_BYTES_MAX,
    CONTENT_ASKED_MAX,
    CONTENT_BYTES_MAX,
    CONTENT_BYTES_MIN,
    CONTENT_DIGESTS_MAX,
)
from gon.model import Handle
from gon.wire import ops
from gon.wire.batch import decode
from gon.wire.ops import Outcome
from gon_client.link import SessionLink
from gon_client.pending import Answer, caller


class _Asked(NamedTuple):
    """A piece that the host has been asked about."""

    op: ops.Recall
    piece: memoryview
    answer: Answer


class KnownContents:
    """What a session has asked its host for instead of sending it."""

    def __init__(self, link: SessionLink) -> None:
        self._link = link
        self._lock = new_lock()
        self.recalled = 0
        self.recalled_bytes = 0

    def __repr__(self) -> str:
        return f"KnownContents({self.recalled} recalled, {self.recalled_bytes} bytes not sent)"

    @property
    def kept(self) -> bool:
        """Whether the host keeps contents at all."""
        return bool(self._link.content_key)

    def write(
        self, stream: Handle, writes: Iterable[KnownWrite], cookies: Iterable[int]
    ) -> list[KnownWrite]:
        """Write what is large enough to be asked for, in pieces; return what is not."""
        try:
            return self._write(stream, writes, cookies)
        except BaseException:
            try:
                self._link.bulk.secure_now()
            except BaseException:
                self._link.bulk.secure_now()
                raise
            raise

    def _write(
        self, stream: Handle, writes: Iterable[KnownWrite], cookies: Iterable[int]
    ) -> list[KnownWrite]:
        asked: deque[_Asked] = deque()
        asked_bytes = 0
        sent = 0
        pieces = list(_pieces(writes))
        large = [piece for piece in pieces if piece.data.nbytes >= CONTENT_BYTES_MIN]
        digests = _digests(self._link.content_key, large)
        for piece, digest, cookie in zip(large, digests, cookies, strict=False):
            asked.append(self._ask(stream, piece, digest, cookie))
            asked_bytes += piece.data.nbytes
            while asked and (
                asked[0].answer.done()
                or asked_bytes > CONTENT_ASKED_BYTES_MAX
                or len(asked) > CONTENT_ASKED_MAX
            ):
                asked_bytes -= asked[0].piece.nbytes
                sent = self._settle(asked.popleft()) or sent
        while asked:
            sent = self._settle(asked.popleft()) or sent
        if sent:
            # Not only until the bytes are safe: the lease may end next, and what it sent is kept.
            self._link.bulk.wait(sent)
        return [piece for piece in pieces if piece.data.nbytes < CONTENT_BYTES_MIN]

    def _ask(self, stream: Handle, write: KnownWrite, digest: bytes, cookie: int) -> _Asked:
        piece = write.data
        op = ops.Recall(stream, write.buffer, write.offset, piece.nbytes, digest, cookie)
        answer = Answer(self._link, None, caller())
        self._link.ask(op, cookie, answer, len(digest))
        return _Asked(op, piece, answer)

    def _settle(self, asked: _Asked) -> int:
        """Wait for the answer, and send the piece if the host does not have it; return the number
        of its frame then, 0 if nothing is sent.
        """
        asked.answer.wait()
        outcome = decode(Outcome, asked.answer.data)
        op = asked.op
        if outcome is Outcome.UNKNOWN:
            where = (op.stream, op.buffer, op.offset, op.size_bytes)
            write, keep = ops.Write(*where, None), ops.Keep(*where, op.digest)
            return self._link.bulk.send(write, asked.piece, asked.answer.origin, (keep,))
        if outcome is Outcome.THERE:
            with self._lock:
                self.recalled += 1
                self.recalled_bytes += op.size_bytes
        return 0


def _pieces(writes: Iterable[KnownWrite]) -> Iterator[KnownWrite]:
    """Cut writes into pieces, each of which is a content."""
    for buffer, offset, data in writes:
        for start in range(0, data.nbytes, CONTENT_BYTES_MAX):
            yield KnownWrite(buffer, offset + start, data[start : start + CONTENT_BYTES_MAX])


def _digests(key: bytes, pieces: Sequence[KnownWrite]) -> Iterator[bytes]:
    """Give the digest of each piece, in order; several are made at once where there are cores."""
    threads = min(CONTENT_DIGESTS_MAX, len(pieces), _cores())
    if threads < 2:
        yield from (digest_of(key, piece.data) for piece in pieces)
        return
    with ThreadPoolExecutor(threads, "gon-digest") as pool:
        ahead: deque[Future[bytes]] = deque()
        for piece in pieces:
            ahead.append(pool.submit(digest_of, key, piece.data))
            # Not further ahead: what is digested should still be in memory when it is sent.
            if len(ahead) > threads:
                yield ahead.popleft().result()
        yield from (digest.result() for digest in ahead)


def _cores() -> int:
    """Return how many cores this process may use, as far as the system tells."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
