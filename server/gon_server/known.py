"""The worker's side of kept contents: gond finds them and takes them.

    [data thread] find  ── Find ──▶ gond             gond ── Found + file ──▶ [orders thread] give
    [data thread] offer ── Offer + content ──▶ gond  gond ── Taken ──▶ [orders thread] taken

Rules: the data thread asks and waits, for a bounded time; the orders thread gives. Whatever goes
wrong here costs a transfer, nothing else: it is logged, and the bytes travel as ever.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
from contextlib import suppress

from gon.limits import CONTENT_ANSWER_S, CONTENTS_OFFERED_MAX
from gon_server.orders import Find, Found, Offer, send_order
from gon_server.sealed import seal

_log = logging.getLogger("gond.worker")


class KnownToGond:
    """The contents that gond keeps for this lease's tenant; `wait_s` is how long it may take."""

    def __init__(
        self, sock: socket.socket, key: bytes, *, wait_s: float = CONTENT_ANSWER_S
    ) -> None:
        self._sock = sock
        self._key = key
        self._wait_s = wait_s
        self._count = 0
        # Whether the last question was not answered in time.
        self._owed = False
        self._answers: queue.SimpleQueue[tuple[Found, int | None]] = queue.SimpleQueue()
        self._room = threading.Semaphore(CONTENTS_OFFERED_MAX)

    def __repr__(self) -> str:
        return f"KnownToGond({self._count} asked for)"

    @property
    def key(self) -> bytes:
        return self._key

    def find(self, digest: bytes, size_bytes: int) -> int | None:
        """Return a file of the content, which the caller closes, or None."""
        if self._owed and self._late_answer():
            # gond would take a second question for nonsense; the first took too long already.
            return None
        self._count += 1
        try:
            send_order(self._sock, Find(self._count, digest, size_bytes))
        except OSError as error:
            _log.warning("gond cannot be asked for a content: %s", error)
            return None
        while True:
            try:
                order, fd = self._answers.get(timeout=self._wait_s)
            except queue.Empty:
                self._owed = True
                _log.warning("gond has found no content in %g s", self._wait_s)
                return None
            if order.number == self._count:
                return fd
            if fd is not None:
                os.close(fd)

    def _late_answer(self) -> bool:
        """Return whether it is still to come; drop it if it is there."""
        with suppress(queue.Empty):
            _order, fd = self._answers.get_nowait()
            self._owed = False
            if fd is not None:
                os.close(fd)
        return self._owed

    def offer(self, digest: bytes, content: memoryview) -> None:
        """Give gond a copy of the content; it looks at it by itself."""
        if not self._room.acquire(timeout=self._wait_s):
            _log.warning("gond has taken no content in %g s: one is not kept", self._wait_s)
            return
        try:
            fd = seal("gon-content", content)
            try:
                send_order(self._sock, Offer(digest), fd)
            finally:
                os.close(fd)
        except OSError as error:
            self._room.release()
            _log.warning("a content of %d bytes is not kept: %s", content.nbytes, error)

    def give(self, order: Found, fd: int | None) -> None:
        """Take gond's answer and its file, which is ours from now on."""
        self._answers.put((order, fd))

    def taken(self) -> None:
        """Hear that gond is done with an offer."""
        self._room.release()
